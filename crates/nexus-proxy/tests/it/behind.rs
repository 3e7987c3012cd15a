//! Behind another proxy, which this machine's environment names: what goes by it, and what is told of it.

use std::sync::Arc;

use nexus_proxy::{Parents, Upstream};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Client, Names, Scene, mirror};

/// A proxy that answers plain requests itself with their head, and carries each tunnel to `to`, telling it the request's head.
async fn other_proxy(to: std::net::SocketAddr, status: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut client = Client(stream);
                let head = client.head().await;
                if !head.starts_with("CONNECT ") {
                    let length = head.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{head}");
                    return client.write(&answer).await;
                }
                client.write(&format!("HTTP/1.1 {status}\r\nX-Proxy: other\r\n\r\n")).await;
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client.0, &mut server).await;
            });
        }
    });
    address
}

fn behind(proxy: std::net::SocketAddr, no_proxy: &str) -> Upstream {
    let (url, no_proxy) = (format!("http://me:p%40ss-word@{proxy}"), no_proxy.to_owned());
    let parents = Parents::of(move |name| match name {
        "ALL_PROXY" => Some(url.clone()),
        "NO_PROXY" => Some(no_proxy.clone()),
        _ => None,
    });
    Upstream::new(Names::default().known("near.test", &[&["93.184.216.34"]]), Vec::new()).behind(Arc::new(parents))
}

fn listed() -> [String; 1] {
    ["*.test:*".to_owned()]
}

#[tokio::test]
async fn a_tunnel_goes_by_the_other_proxy_though_no_name_is_known_here() {
    let server = mirror("127.0.0.1").await;
    let scene = Scene::with(&listed(), Vec::new(), behind(other_proxy(server, "200 Fine").await, ""));
    let mut client = scene.client().await;
    client.write("CONNECT far.test:443 HTTP/1.1\r\nHost: far.test\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    client.write("GET /inner HTTP/1.1\r\nHost: far.test\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.contains("GET /inner HTTP/1.1") && !answer.contains("X-Proxy"), "{answer}");
}

#[tokio::test]
async fn a_plain_request_is_written_whole_and_carries_the_login() {
    let server = mirror("127.0.0.1").await;
    let scene = Scene::with(&listed(), Vec::new(), behind(other_proxy(server, "200 OK").await, ""));
    let own = "Proxy-Authorization: Basic of-the-agent\r\nConnection: close\r\n";
    let answer = scene.ask(&format!("GET http://far.test/a?b HTTP/1.1\r\nHost: far.test\r\n{own}\r\n")).await;
    assert!(answer.contains("GET http://far.test:80/a?b HTTP/1.1"), "{answer}");
    assert!(
        answer.contains("proxy-authorization: Basic bWU6cEBzcy13b3Jk") && !answer.contains("of-the-agent"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_not_listed_is_refused_there_too() {
    let server = mirror("127.0.0.1").await;
    let scene = Scene::with(&listed(), Vec::new(), behind(other_proxy(server, "200 OK").await, ""));
    for request in ["CONNECT evil.example:443 HTTP/1.1\r\n", "GET http://evil.example/ HTTP/1.1\r\nHost: far.test\r\n"]
    {
        let answer = scene.ask(&format!("{request}Connection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
}

#[tokio::test]
async fn no_proxy_and_this_machine_are_reached_straight() {
    let server = mirror("127.0.0.1").await;
    // A proxy that nobody must ask: nothing listens there.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let scene = Scene::with(&[server.to_string(), "*.test:*".to_owned()], Vec::new(), behind(gone, "gone.test"));
    let get = |at: &str| format!("GET http://{at}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(scene.ask(&get(&server.to_string())).await.starts_with("HTTP/1.1 200 "));
    let answer = scene.ask(&get("gone.test")).await;
    assert!(answer.contains("gone.test:80 can't be resolved"), "{answer}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let server = mirror("127.0.0.1").await;
    for (status, told) in [("407 No", "407"), ("503 Busy", "503"), ("nonsense", "as an HTTP proxy does")] {
        let proxy = other_proxy(server, status).await;
        let scene = Scene::with(&listed(), Vec::new(), behind(proxy, ""));
        let answer = scene.ask("CONNECT far.test:443 HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(told), "{answer}");
        assert!(answer.contains(&format!("http://***@{proxy}")) && !answer.contains("ss-word"), "{answer}");
    }
}
