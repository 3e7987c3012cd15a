//! Asking the server itself, as its own tools do.

use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::Wire;
use crate::support::within;

impl Wire {
    /// Asks the server for something that takes no more than a subject, and returns its answer; null: it has none.
    pub(crate) async fn request(&mut self, subject: &str) -> Value {
        self.ask(subject, "").await
    }

    /// Asks with a payload, and returns the answer; null: it is none, or a refusal.
    pub(crate) async fn ask(&mut self, subject: &str, payload: &str) -> Value {
        let length = payload.len();
        self.say(&format!("SUB _INBOX.wire 2\r\nUNSUB 2 1\r\nPUB {subject} _INBOX.wire {length}\r\n{payload}\r\n"))
            .await;
        within("an answer", async {
            loop {
                let line = self.line().await;
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["PING"] => self.say("PONG\r\n").await,
                    ["HMSG", _, sid, .., before, total] => {
                        let (before, total): (usize, usize) = (before.parse().unwrap(), total.parse().unwrap());
                        let mut message = vec![0; total + 2];
                        self.0.read_exact(&mut message).await.unwrap();
                        // The others are dead letters that are being published.
                        if sid == "2" {
                            return serde_json::from_slice(&message[before..total]).unwrap_or_default();
                        }
                    }
                    ["MSG", "_INBOX.wire", "2", length] => {
                        let length: usize = length.parse().unwrap();
                        let mut message = vec![0; length + 2];
                        self.0.read_exact(&mut message).await.unwrap();
                        return serde_json::from_slice(&message[..length]).unwrap();
                    }
                    _ => panic!("unexpected: {line}"),
                }
            }
        })
        .await
    }
}
