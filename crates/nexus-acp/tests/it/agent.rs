//! A scripted agent at the other end of a conversation's streams.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_acp::{Brief, Conversation, Files};
use nexus_agents::Reader;
use nexus_core::department::Approval;
use nexus_core::question::RunMark;
use nexus_core::run::{Ending, Run, Said};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, Lines};

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

pub(crate) fn brief() -> Brief {
    Brief {
        prompt: "do it".to_owned(),
        cwd: "/workspace".into(),
        servers: Vec::new(),
        resume: None,
        approval: Approval::Allow,
        variables: Vec::new(),
        patience: Duration::from_secs(3600),
        mark: RunMark::new(0),
        has_asked: false,
    }
}

pub(crate) struct Agent {
    pub(crate) conversation: Conversation,
    pub(crate) said: Vec<Said>,
    input: Lines<BufReader<DuplexStream>>,
}

impl Agent {
    /// `room`: bytes that its input holds before it is read.
    pub(crate) fn new(brief: Brief, files: Option<Arc<dyn Files>>, room: usize) -> Self {
        Self::of(Conversation::new(brief, files), room)
    }

    pub(crate) fn of(conversation: Conversation, room: usize) -> Self {
        let (writer, input) = tokio::io::duplex(room);
        conversation.connect(writer);
        Self { conversation, said: Vec::new(), input: BufReader::new(input).lines() }
    }

    /// One that has its prompt.
    pub(crate) async fn prompted(brief: Brief, files: Option<Arc<dyn Files>>) -> Self {
        let mut agent = Self::new(brief, files, 64 * 1024);
        agent.begin().await;
        agent
    }

    pub(crate) async fn begin(&mut self) {
        for (method, result) in
            [("initialize", json!({"protocolVersion": 1})), ("session/new", json!({"sessionId": "s"}))]
        {
            let asked = self.read().await;
            assert_eq!(asked["method"], method);
            self.say(json!({"id": asked["id"], "result": result}));
        }
        assert_eq!(self.read().await["method"], "session/prompt");
    }

    /// The next message to it.
    pub(crate) async fn read(&mut self) -> Value {
        let line = soon(self.input.next_line()).await.unwrap().expect("its input has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Waits for the end of its input.
    pub(crate) async fn ends(&mut self) {
        assert_eq!(soon(self.input.next_line()).await.unwrap(), None);
        assert!(self.conversation.is_over());
    }

    pub(crate) fn say(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        self.line(message.to_string().as_bytes());
    }

    pub(crate) fn line(&mut self, line: &[u8]) {
        self.conversation.line(line, &mut self.said);
    }

    pub(crate) fn ask(&mut self, id: u64, method: &str, params: Value) {
        self.say(json!({"id": id, "method": method, "params": params}));
    }

    pub(crate) fn read_file(&mut self, id: u64, path: &Path) {
        self.ask(id, "fs/read_text_file", json!({"sessionId": "s", "path": path}));
    }

    pub(crate) fn stop(&mut self, reason: &str) {
        self.say(json!({"id": 3, "result": {"stopReason": reason}}));
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        let mut run = Run::new(None);
        self.said.iter().for_each(|said| run.hear(said));
        run.ending().cloned()
    }
}
