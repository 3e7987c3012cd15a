use std::time::Duration;

use rmcp::model::{ListToolsResult, PaginatedRequestParams};
use rmcp::service::RequestContext;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::*;

/// Far more than this takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Far more than the next write takes of whoever is read.
const STUCK: Duration = Duration::from_secs(1);
/// Bytes between the two ends.
const PIPE: usize = 4096;
const BEGIN: &str = r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"greedy","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
"#;

/// Answers at once, what the real one says; one call never is.
struct Offers;

impl ServerHandler for Offers {
    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(crate::tools::offered(true).cloned().collect()))
    }

    async fn call_tool(
        &self,
        _request: rmcp::model::CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<rmcp::model::CallToolResponse, ErrorData> {
        std::future::pending().await
    }
}

type Heard = Lines<BufReader<ReadHalf<DuplexStream>>>;

struct Peer {
    said: WriteHalf<DuplexStream>,
    heard: Heard,
}

async fn peer() -> Peer {
    let (here, there) = tokio::io::duplex(PIPE);
    tokio::spawn(async move {
        let (said, heard) = tokio::io::split(there);
        let running = Offers.serve(Paced::new(AsyncRwTransport::new(said, heard))).await.unwrap();
        running.waiting().await.unwrap();
    });
    let (heard, said) = tokio::io::split(here);
    let mut peer = Peer { said, heard: BufReader::new(heard).lines() };
    peer.said.write_all(BEGIN.as_bytes()).await.unwrap();
    assert_eq!(peer.hear().await["id"], "hello");
    peer
}

impl Peer {
    /// Says as much as is read: how many lines that were, and what is left of the one after them.
    async fn flood(&mut self, mut line: impl FnMut(usize) -> String, most: usize) -> (usize, Vec<u8>) {
        for number in 0..most {
            let line = line(number).into_bytes();
            let mut said = 0;
            while said < line.len() {
                match timeout(STUCK, self.said.write(&line[said..])).await {
                    Ok(written) => said += written.unwrap(),
                    Err(_) => return (number, line[said..].to_vec()),
                }
            }
        }
        (most, Vec::new())
    }

    async fn hear(&mut self) -> Value {
        hear(&mut self.heard).await
    }
}

async fn hear(heard: &mut Heard) -> Value {
    let line = timeout(PATIENCE, heard.next_line()).await.expect("an answer").unwrap().expect("a line");
    serde_json::from_str(&line).unwrap()
}

fn request(id: usize, method: &str, params: &Value) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

fn list(id: usize) -> String {
    request(id, "tools/list", &json!({}))
}

fn cancel(id: usize) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }))
}

/// More lines than fit what is read ahead, the pipe, and the room: 8 KiB are the reader's own buffer.
fn most_taken(line: &str) -> usize {
    ROOM + 1 + (PIPE + 8192) / line.len() + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_without_reading_is_not_read_and_gets_every_answer_when_it_does() {
    let mut peer = peer().await;
    let (taken, rest) = peer.flood(list, 100_000).await;
    assert!(taken <= most_taken(&list(0)), "{taken} requests were taken");
    let Peer { mut said, mut heard } = peer;
    let all = 1000;
    let saying = tokio::spawn(async move {
        said.write_all(&rest).await.unwrap();
        for id in taken + 1..all {
            said.write_all(list(id).as_bytes()).await.unwrap();
        }
        said
    });
    let mut answered = Vec::new();
    for _ in 0..all {
        let answer = hear(&mut heard).await;
        assert!(answer["result"]["tools"].is_array(), "{answer}");
        answered.push(usize::try_from(answer["id"].as_u64().unwrap()).unwrap());
    }
    // The order is that of whoever answers.
    answered.sort_unstable();
    assert_eq!(answered, (0..all).collect::<Vec<_>>());
    saying.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_makes_no_room() {
    let mut peer = peer().await;
    let (taken, _) = peer.flood(|_| list(1), 100_000).await;
    assert!(taken <= most_taken(&list(1)), "{taken} requests were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_back_leaves_its_room() {
    let mut peer = peer().await;
    for id in 0..ROOM * 4 {
        let call = request(id, "tools/call", &json!({ "name": "cde_runTask", "arguments": {} }));
        peer.said.write_all((call + &cancel(id)).as_bytes()).await.unwrap();
    }
    // The same id over and over, one after the other, as of a client that doesn't count.
    for _ in 0..ROOM * 4 {
        peer.said.write_all(list(7).as_bytes()).await.unwrap();
        assert_eq!(peer.hear().await["id"], 7);
    }
}
