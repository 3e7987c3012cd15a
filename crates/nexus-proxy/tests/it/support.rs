//! A proxy, servers behind it, and a client that writes bytes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nexus_core::network::Allowed;
use nexus_proxy::{Injection, Proxy, Refusal, Resolve, Resolved, Rules, Upstream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A limit that nothing here reaches.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

/// A running proxy, where it listens, and what it has refused.
pub(crate) struct Scene {
    pub(crate) proxy: Proxy,
    pub(crate) at: SocketAddr,
    refusals: Arc<Mutex<Vec<Refusal>>>,
}

impl Scene {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self::with(allowed, Vec::new(), Upstream::new(Names::default(), Vec::new()))
    }

    pub(crate) fn with(allowed: &[String], injections: Vec<Injection>, upstream: Upstream) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let refusals = Arc::<Mutex<Vec<Refusal>>>::default();
        let rules = Rules { allowed: Allowed::parse(allowed).unwrap(), injections, upstream };
        let told = Arc::clone(&refusals);
        let proxy = Proxy::serve(listener, rules, move |refusal| told.lock().unwrap().push(refusal)).unwrap();
        Self { proxy, at, refusals }
    }

    pub(crate) fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    pub(crate) async fn client(&self) -> Client {
        Client(soon(TcpStream::connect(self.at)).await.unwrap())
    }

    /// A connection for one request, and all that comes back.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.write(request).await;
        client.rest().await
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn write(&mut self, text: &str) {
        soon(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// A head, with its empty line.
    pub(crate) async fn head(&mut self) -> String {
        head(&mut self.0).await
    }

    pub(crate) async fn exactly(&mut self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        soon(self.0.read_exact(&mut buffer)).await.unwrap();
        String::from_utf8(buffer).unwrap()
    }

    pub(crate) async fn rest(&mut self) -> String {
        let mut text = String::new();
        soon(self.0.read_to_string(&mut text)).await.unwrap();
        text
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Answers one request per connection with the head that it got.
pub(crate) async fn mirror(at: &str) -> SocketAddr {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(reflect(stream));
        }
    });
    address
}

pub(crate) async fn reflect(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let head = head(&mut stream).await;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nKeep-Alive: timeout=5\r\n\r\n{head}", head.len());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Sends back whatever comes.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

/// Names that lead where the test says, in turns, and how often each was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    known: BTreeMap<String, Vec<Vec<IpAddr>>>,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Names {
    pub(crate) fn known(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
        self.known.insert(name.to_owned(), answers.collect());
        self
    }

    pub(crate) fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved> {
        Box::pin(async move {
            let turn = {
                let mut asked = self.asked.lock().unwrap();
                let turn = asked.entry(name.to_owned()).or_default();
                *turn += 1;
                *turn - 1
            };
            let answers = self.known.get(name).ok_or_else(|| std::io::Error::other("no such name"))?;
            Ok(answers[turn.min(answers.len() - 1)].clone())
        })
    }
}
