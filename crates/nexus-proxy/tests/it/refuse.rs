//! Refusals, and how they are said.

use nexus_proxy::Upstream;

use crate::support::{Names, Scene, mirror};

#[tokio::test]
async fn what_is_not_listed_is_refused_and_told_once() {
    let scene = Scene::new(&["api.example.com:443".to_owned()]);
    for _ in 0..3 {
        let answer = scene.ask("CONNECT evil.test:443 HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("sandbox.network"), "{answer}");
    }
    let answer =
        scene.ask("GET http://evil.test/ HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let why = "it is not on the list of its network (sandbox.network, the agent's `hosts`)";
    let expected = [format!("network: refused evil.test:443: {why}"), format!("network: refused evil.test:80: {why}")];
    assert_eq!(scene.refusals(), expected);
}

#[tokio::test]
async fn an_address_is_refused_however_it_is_spelled() {
    let server = mirror("127.0.0.1").await;
    let port = server.port();
    let scene = Scene::new(&["*.test:*".to_owned()]);
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "127.1", "[::1]", "0"] {
        let answer = scene.ask(&format!("CONNECT {host}:{port} HTTP/1.1\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{host}: {answer}");
        let get = format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = scene.ask(&get).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    let server = mirror("127.0.0.1").await;
    let names = Names::default()
        .known("home.test", &[&["127.0.0.1"]])
        .known("meta.test", &[&["169.254.169.254"]])
        .known("mapped.test", &[&["::ffff:127.0.0.1"]]);
    let scene = Scene::with(&["*.test:*".to_owned()], Vec::new(), Upstream::new(names, Vec::new()));
    for host in ["home.test", "meta.test", "mapped.test"] {
        let request = format!("CONNECT {host}:{} HTTP/1.1\r\nConnection: close\r\n\r\n", server.port());
        let answer = scene.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("which is not listed itself"), "{answer}");
    }
    assert_eq!(scene.refusals().len(), 3);
}

#[tokio::test]
async fn what_was_looked_at_is_what_is_connected_to() {
    // Of two addresses one is listed; and a name that leads elsewhere when it is asked for a second time.
    let server = mirror("127.0.0.1").await;
    let port = server.port();
    let names = Names::default().known("a.test", &[&["127.0.0.7", "127.0.0.1"], &["169.254.169.254"]]);
    let listed = [format!("a.test:{port}"), format!("127.0.0.1:{port}")];
    let scene = Scene::with(&listed, Vec::new(), Upstream::new(names.clone(), Vec::new()));
    let answer =
        scene.ask(&format!("GET http://a.test:{port}/ HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&format!("host: a.test:{port}")), "{answer}");
    assert_eq!(names.asked("a.test"), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_said_to_make_none() {
    let scene = Scene::new(&["a.test:80".to_owned()]);
    for request in [
        "GET / HTTP/1.1\r\nHost: a.test",
        "GET https://a.test/ HTTP/1.1\r\nHost: a.test",
        "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test",
        "GET http://user@a.test/ HTTP/1.1\r\nHost: a.test",
        "GET http://a.test:0/ HTTP/1.1\r\nHost: a.test",
        "CONNECT user@a.test:80 HTTP/1.1",
    ] {
        let answer = scene.ask(&format!("{request}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_to_be_so() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = Scene::new(&["nowhere.test:80".to_owned(), gone.to_string()]);
    let answer = scene.ask("GET http://nowhere.test/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("can't be resolved"), "{answer}");
    let answer = scene.ask(&format!("CONNECT {gone} HTTP/1.1\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("can't be connected to"), "{answer}");
    assert!(scene.refusals().is_empty(), "it was not us who refused");
}
