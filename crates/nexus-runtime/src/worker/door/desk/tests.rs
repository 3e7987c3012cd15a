use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nexus_core::id::{DepartmentName, TaskId};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::*;

/// Says back what it hears, until it hears nothing more.
#[derive(Debug)]
struct Echo;

impl Receptionist for Echo {
    fn receive(&self, _: Caller, stream: Box<dyn Stream>) -> BoxFuture<'static, ()> {
        async move {
            let (mut said, mut heard) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut said, &mut heard).await;
        }
        .boxed()
    }
}

/// A door in a directory whose path is too long for a socket's.
struct Place {
    dir: tempfile::TempDir,
    desk: Desk,
    keeper: AbortOnDropHandle<()>,
}

impl Place {
    fn open() -> Self {
        let dir = tempfile::Builder::new().prefix(&"x".repeat(120)).tempdir().unwrap();
        let task = TaskId::from_idempotency_key("door");
        let department = DepartmentName::new("qa").unwrap();
        let caller = Caller { task_id: task, root: task, department, project: PathBuf::from("/"), attempt: 1 };
        let desk = Desk::new(caller, Arc::new(Echo));
        let keeper = desk.clone().attend(listen(dir.path()).unwrap());
        Self { dir, desk, keeper }
    }

    async fn come(&self) -> UnixStream {
        use std::os::fd::AsRawFd;
        let directory = std::fs::File::open(self.dir.path()).unwrap();
        UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd())).await.unwrap()
    }

    /// Somebody who comes, says this, and hears that.
    async fn says(&self, text: &str) -> (UnixStream, String) {
        let mut stream = self.come().await;
        // It may be closed before all is said.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut heard = vec![0; 6];
        let read = timeout(Duration::from_secs(30), stream.read(&mut heard)).await.expect("an answer or an end");
        heard.truncate(read.unwrap_or(0));
        (stream, String::from_utf8(heard).unwrap())
    }
}

#[tokio::test]
async fn only_the_token_opens() {
    let place = Place::open();
    let token = place.desk.token().to_owned();
    assert_eq!(token.len(), 64);
    let other = token.replace(|c: char| c == token.chars().next().unwrap(), "g");
    for (said, heard) in [
        (format!("{token}\nhello\n"), "hello\n"),
        (format!("{other}\nhello\n"), ""),
        (format!("{}\n{token}\nhello\n", &token[1..]), ""),
        (format!("{token}hello\n"), ""),
        (format!("\n{token}\nhello\n{}", "x".repeat(64)), ""),
        (format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}{}", " ".repeat(64)), ""),
    ] {
        assert_eq!(place.says(&said).await.1, heard, "{said}");
    }
    // A desk of another door has another one.
    assert_ne!(Place::open().desk.token(), token);
}

#[tokio::test]
async fn so_many_connections_and_no_more_until_one_has_left() {
    let place = Place::open();
    let hello = format!("{}\nhello\n", place.desk.token());
    let mut inside = Vec::new();
    for _ in 0..CONNECTIONS {
        let (stream, heard) = place.says(&hello).await;
        assert_eq!(heard, "hello\n");
        inside.push(stream);
    }
    assert_eq!(place.says(&hello).await.1, "");
    let mut first = inside.remove(0);
    first.shutdown().await.unwrap();
    first.read_to_end(&mut Vec::new()).await.unwrap();
    let again = async {
        // Its end is heard of in a moment.
        while place.says(&hello).await.1.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), again).await.expect("a place that is free again");
}

#[tokio::test]
async fn a_closed_door_closes_all_connections() {
    let place = Place::open();
    let (mut stream, heard) = place.says(&format!("{}\nhello\n", place.desk.token())).await;
    assert_eq!(heard, "hello\n");
    drop(place.keeper);
    let end = timeout(Duration::from_secs(30), stream.read(&mut [0; 8])).await.expect("an end");
    assert_eq!(end.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_message_without_an_end_ends_the_connection() {
    let line = |length: usize| [vec![b'x'; length], b"\n".to_vec()].concat();
    for (said, is_whole) in [
        ([line(MESSAGE - 1), line(MESSAGE - 1)].concat(), true),
        (line(MESSAGE), false),
        (vec![b'x'; MESSAGE + 1], false),
    ] {
        let (mut there, here) = tokio::io::duplex(64 * 1024);
        let length = said.len();
        let writing = tokio::spawn(async move { there.write_all(&said).await });
        let mut heard = Vec::new();
        let read = Bounded { stream: here, line: 0 }.read_to_end(&mut heard).await;
        assert_eq!((read.is_ok(), heard.len() == length), (is_whole, is_whole));
        let _ = writing.await;
    }
}
