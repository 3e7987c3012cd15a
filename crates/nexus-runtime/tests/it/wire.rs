//! NATS as another program speaks it, in its own few words: enough to publish with headers and to read dead letters.

use nexus_core::api::DeadLetter;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::{Server, within};

mod request;

/// A connection that is subscribed to all dead letters.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) async fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.broker.port())).await.unwrap();
        let mut wire = Self(BufReader::new(stream));
        assert!(wire.line().await.starts_with("INFO "));
        let (user, password) = (server.broker.user(), server.broker.password());
        let options = format!(r#"{{"user":"{user}","pass":"{password}","verbose":false,"headers":true}}"#);
        wire.say(&format!("CONNECT {options}\r\nSUB nexus.dead.> 1\r\nPING\r\n")).await;
        assert_eq!(wire.line().await, "PONG");
        wire
    }

    /// Publishes with these headers (`Name: value` lines).
    pub(crate) async fn publish(&mut self, subject: &str, headers: &[&str], payload: &str) {
        let headers =
            format!("NATS/1.0\r\n{}\r\n", headers.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        let (before, total) = (headers.len(), headers.len() + payload.len());
        self.say(&format!("HPUB {subject} {before} {total}\r\n{headers}{payload}\r\n")).await;
    }

    /// The next dead letter of what could not become work, and its subject.
    pub(crate) async fn dead_letter(&mut self) -> (String, DeadLetter) {
        within("a dead letter", async {
            loop {
                let line = self.line().await;
                let words: Vec<_> = line.split(' ').collect();
                match words[..] {
                    ["PING"] => self.say("PONG\r\n").await,
                    ["HMSG", subject, .., before, total] => {
                        let (before, total): (usize, usize) = (before.parse().unwrap(), total.parse().unwrap());
                        let mut message = vec![0; total + 2];
                        self.0.read_exact(&mut message).await.unwrap();
                        if String::from_utf8_lossy(&message[..before]).contains("nexus.dead.task") {
                            continue;
                        }
                        return (subject.to_owned(), serde_json::from_slice(&message[before..total]).unwrap());
                    }
                    _ => panic!("unexpected: {line}"),
                }
            }
        })
        .await
    }

    async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        within("a line", self.0.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }
}
