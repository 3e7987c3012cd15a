//! A secret that the agent never holds.

use std::net::SocketAddr;
use std::sync::Arc;

use nexus_proxy::{Injection, InjectionError, Upstream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::support::{Names, Scene, mirror, reflect};

const SECRET: &str = "Bearer s3cr3t";

/// A server with TLS that reflects, and its certificate for `name`.
async fn tls(name: &str) -> (SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(reflect(stream));
            }
        }
    });
    (address, certificate)
}

#[tokio::test]
async fn a_plain_request_leaves_with_tls_and_the_secret() {
    let (server, certificate) = tls("api.test").await;
    let other = mirror("127.0.0.1").await;
    let port = server.port();
    let names = Names::default().known("api.test", &[&["127.0.0.1"]]);
    let listed = [format!("api.test:{port}"), server.to_string(), other.to_string()];
    let injection = Injection::new(format!("https://api.test:{port}").parse().unwrap(), "X-Key", SECRET).unwrap();
    assert!(!format!("{injection:?}").contains("s3cr3t"));
    let scene = Scene::with(&listed, vec![injection], Upstream::new(names, vec![certificate]));
    for own in ["", "X-Key: mine\r\nx-key: and mine\r\n"] {
        for at in ["api.test".to_owned(), format!("api.test:{port}")] {
            let request = format!("GET http://{at}/v1 HTTP/1.1\r\nHost: evil\r\n{own}Connection: close\r\n\r\n");
            let answer = scene.ask(&request).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("GET /v1 HTTP/1.1"), "{answer}");
            assert!(answer.contains(&format!("x-key: {SECRET}")) && !answer.contains("mine"), "{answer}");
        }
    }
    let answer =
        scene.ask(&format!("GET http://{other}/ HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains(SECRET), "{answer}");
}

#[tokio::test]
async fn who_is_not_the_server_does_not_get_it() {
    let (server, certificate) = tls("other.test").await;
    let port = server.port();
    let names = Names::default().known("api.test", &[&["127.0.0.1"]]);
    let listed = [format!("api.test:{port}"), server.to_string()];
    let injection = Injection::new(format!("https://api.test:{port}").parse().unwrap(), "X-Key", SECRET).unwrap();
    let scene = Scene::with(&listed, vec![injection], Upstream::new(names, vec![certificate]));
    let answer = scene.ask("GET http://api.test/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("TLS") && !answer.contains(SECRET), "{answer}");
}

#[tokio::test]
async fn its_server_must_be_listed_too() {
    let injection = Injection::new("https://api.test".parse().unwrap(), "X-Key", SECRET).unwrap();
    let scene = Scene::with(&[], vec![injection], Upstream::new(Names::default(), Vec::new()));
    let answer = scene.ask("GET http://api.test/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(scene.refusals().len(), 1);
}

#[test]
fn what_no_header_can_hold_is_refused_without_showing_it() {
    let to = || "https://api.test".parse().unwrap();
    assert_eq!(Injection::new(to(), "x y", "a").unwrap_err(), InjectionError::Name);
    let error = Injection::new(to(), "x-key", "s3cr3t\r\nEvil: 1").unwrap_err();
    assert_eq!(error, InjectionError::Value);
    assert!(!error.to_string().contains("s3cr3t"));
}
