//! Requests that are let through, and in which form.

use tokio::io::AsyncWriteExt;

use crate::support::{Scene, echo, mirror, soon};

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_to_their_end() {
    let server = echo().await;
    let scene = Scene::new(&[server.to_string()]);
    let mut client = scene.client().await;
    client.write(&format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    client.write("\u{1}\u{2} not http at all").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "\u{1}\u{2} not http at all");
    assert!(scene.refusals().is_empty());
}

#[tokio::test]
async fn a_plain_request_is_written_anew() {
    let server = mirror("127.0.0.1").await;
    let scene = Scene::new(&[server.to_string()]);
    let answer = scene
        .ask(&format!(
            "GET http://{server}/a/b?c=d HTTP/1.1\r\nHost: elsewhere.test\r\nProxy-Authorization: Basic eDp5\r\n\
             Proxy-Connection: keep-alive\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n"
        ))
        .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(!head.to_lowercase().contains("keep-alive"), "{answer}");
    assert!(body.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{answer}");
    let body = body.to_lowercase();
    assert!(body.contains(&format!("host: {server}\r\n")) && body.contains("x-end: 2"), "{answer}");
    for gone in ["elsewhere", "proxy-", "x-hop", "basic"] {
        assert!(!body.contains(gone), "{gone}: {answer}");
    }
}

#[tokio::test]
async fn a_body_has_one_end_only() {
    let server = mirror("127.0.0.1").await;
    let scene = Scene::new(&[server.to_string()]);
    let answer = scene
        .ask(&format!(
            "POST http://{server}/ HTTP/1.1\r\nHost: {server}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET http://{server}/smuggled HTTP/1.1\r\n\r\n"
        ))
        .await
        .to_lowercase();
    // Refused whole, or read by its chunks.
    let is_whole = answer.contains("transfer-encoding: chunked") && !answer.contains("content-length: 4");
    assert!(is_whole || answer.starts_with("http/1.1 400"), "{answer}");
    assert!(!answer.contains("smuggled"), "{answer}");
}

#[tokio::test]
async fn one_connection_is_asked_anew_for_each_request() {
    let (one, other) = (mirror("127.0.0.1").await, mirror("127.0.0.1").await);
    let scene = Scene::new(&[one.to_string()]);
    let mut client = scene.client().await;
    client.write(&format!("GET http://{one}/first HTTP/1.1\r\nHost: {one}\r\n\r\n")).await;
    let head = client.head().await;
    let length = head.to_lowercase().split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().to_owned();
    assert!(client.exactly(length.parse().unwrap()).await.contains("GET /first"));
    client.write(&format!("GET http://{other}/second HTTP/1.1\r\nHost: {one}\r\nConnection: close\r\n\r\n")).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("sandbox.network"), "{answer}");
}

#[tokio::test]
async fn with_the_proxy_its_connections_end() {
    let server = echo().await;
    let scene = Scene::new(&[server.to_string()]);
    let mut client = scene.client().await;
    client.write(&format!("CONNECT {server} HTTP/1.1\r\n\r\n")).await;
    client.head().await;
    client.write("still here").await;
    assert_eq!(client.exactly(10).await, "still here");
    let at = scene.at;
    drop(scene.proxy);
    assert_eq!(client.rest().await, "");
    let refused = async {
        while tokio::net::TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(refused).await;
}
