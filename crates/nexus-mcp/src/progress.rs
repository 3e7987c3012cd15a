//! Progress notifications: a task's latest line of output, at a pace that a client can follow.

use std::convert::Infallible;
use std::time::Duration;

use nexus_bus::Client;
use nexus_core::id::TaskId;
use nexus_core::log::LogLine;
use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::time::{MissedTickBehavior, interval};

/// Often enough to see that it lives, and seldom enough for a model's host to show.
const PACE: Duration = Duration::from_millis(500);
/// Characters of a line that are shown.
const SHOWN: usize = 200;

/// Reports a task's progress to the client that asked for it, for as long as it is polled. Without a progress token
/// nothing is reported; where the log can't be followed, the waiting goes on without it.
pub(crate) async fn report(client: &Client, task: TaskId, context: &RequestContext<RoleServer>) -> Infallible {
    if let Some(token) = context.meta.get_progress_token()
        && let Ok(mut lines) = client.follow_log(&task.to_string(), 1).await
    {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut latest: Option<LogLine> = None;
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(Ok(line)) => latest = Some(line),
                    Some(Err(_)) | None => break,
                },
                _ = pace.tick(), if latest.is_some() => {
                    if let Some(line) = latest.take() {
                        let message: String = line.text.chars().take(SHOWN).collect();
                        let count = u32::try_from(line.seq).map_or(f64::MAX, f64::from);
                        let note = ProgressNotificationParam::new(token.clone(), count).with_message(message);
                        if context.peer.notify_progress(note).await.is_err() {
                            break;
                        }
                    }
                }
            }
        }
    }
    std::future::pending().await
}
