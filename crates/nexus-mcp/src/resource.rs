//! A task's output as a resource: `nexus://tasks/{id}/log`, plain text.

use std::collections::VecDeque;

use nexus_core::log::{LogLine, Stream};
use nexus_core::refusal::{Refusal, RefusalKind};
use rmcp::ErrorData;
use rmcp::model::{CacheScope, ReadResourceResult, ResourceContents, ResourceTemplate};

use crate::fault::sentence;
use crate::server::Server;

/// The most text that one read returns: more than a model can take in; the last is what counts.
const MAX_TEXT: usize = 1 << 20;
/// Lines asked for at a time.
const PAGE: usize = 1000;
/// Pages read at most, so that a task that prints faster than it is read does not keep the read going for ever.
const MAX_PAGES: usize = 10_000;

pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new("nexus://tasks/{id}/log", "task-log")
        .with_title("Output of a task")
        .with_description("What a task has printed so far, as plain text; of a long log the last 1 MiB.")
        .with_mime_type("text/plain")
}

pub(crate) async fn read(server: &Server, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let task = task_of(uri).ok_or_else(|| {
        ErrorData::resource_not_found(format!("there is no resource {uri}; there is nexus://tasks/{{id}}/log"), None)
    })?;
    let refused = |refusal: Refusal| match refusal.kind {
        RefusalKind::NotFound | RefusalKind::Ambiguous => ErrorData::resource_not_found(sentence(&refusal), None),
        RefusalKind::InvalidInput => ErrorData::invalid_params(sentence(&refusal), None),
        _ => ErrorData::internal_error(sentence(&refusal), None),
    };
    let task = server.known(task).await.map_err(refused)?;
    let mut tail = Tail::default();
    let mut from = 1;
    for _ in 0..MAX_PAGES {
        let page = server.client.log(&task, from, PAGE).await.map_err(refused)?;
        from = page.next;
        let at_end = page.complete || page.lines.is_empty();
        page.lines.into_iter().for_each(|line| tail.push(line));
        if at_end {
            break;
        }
    }
    // It grows while the task runs, and says what the task's project says.
    let contents = vec![ResourceContents::text(tail.into_text(), uri)];
    Ok(ReadResourceResult::new(contents).with_ttl_ms(0).with_cache_scope(CacheScope::Private))
}

fn task_of(uri: &str) -> Option<&str> {
    let id = uri.strip_prefix("nexus://tasks/")?.strip_suffix("/log")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// The last lines that fit [`MAX_TEXT`].
#[derive(Default)]
struct Tail {
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped: u64,
}

impl Tail {
    fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len() + 1;
        self.lines.push_back(line);
        while self.bytes > MAX_TEXT
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.text.len() + 1;
            self.dropped += 1;
        }
    }

    fn into_text(self) -> String {
        let mut text = String::with_capacity(self.bytes + 128);
        if self.dropped > 0 {
            text = format!("[nexus: the first {} lines are left out; cde_getTaskLog has them]\n", self.dropped);
        }
        for line in self.lines {
            if line.stream == Stream::System {
                text.push_str("[nexus] ");
            }
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn line(seq: u64, stream: Stream, text: String) -> LogLine {
        LogLine { seq, time: Timestamp::UNIX_EPOCH, stream, attempt: 1, text }
    }

    #[test]
    fn only_logs_of_tasks_are_resources() {
        assert_eq!(task_of("nexus://tasks/0198/log"), Some("0198"));
        for bad in ["nexus://tasks//log", "nexus://tasks/a/b/log", "nexus://tasks/0198", "file:///etc/passwd", ""] {
            assert_eq!(task_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_short_log_is_whole() {
        let mut tail = Tail::default();
        tail.push(line(1, Stream::System, "attempt 1".into()));
        tail.push(line(2, Stream::Stdout, "hello".into()));
        assert_eq!(tail.into_text(), "[nexus] attempt 1\nhello\n");
    }

    #[test]
    fn of_a_long_log_the_end_is_kept_and_it_is_said() {
        let mut tail = Tail::default();
        for seq in 1..=40 {
            tail.push(line(seq, Stream::Stdout, format!("{seq:2}{}", "x".repeat(MAX_TEXT / 16))));
        }
        let text = tail.into_text();
        assert!(text.starts_with("[nexus: the first 25 lines are left out"), "{}", &text[..80]);
        assert!(text.len() < MAX_TEXT + 100 && text.contains("\n40x"));
    }
}
