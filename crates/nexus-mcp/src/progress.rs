//! Progress notifications: a task's latest line of output, at a pace that a client can follow.

use std::convert::Infallible;
use std::time::Duration;

use nexus_bus::Client;
use nexus_core::id::TaskId;
use nexus_core::log::LogLine;
use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Often enough to see that it lives, and seldom enough for a model's host to show.
const PACE: Duration = Duration::from_millis(500);
/// A task that prints nothing for so long is reported all the same: clients give up on what they hear nothing of.
const SILENCE: Duration = Duration::from_secs(10);
/// By which a report without a line is further than the one before; lines count from 1.
const STEP: f64 = 1.0 / 65_536.0;
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
        let (mut told, mut count) = (Instant::now(), 0.0);
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(Ok(line)) => latest = Some(line),
                    Some(Err(_)) | None => break,
                },
                _ = pace.tick(), if latest.is_some() || told.elapsed() >= SILENCE => {
                    let message = match latest.take() {
                        Some(line) => {
                            count = u32::try_from(line.seq).map_or(f64::MAX, f64::from);
                            line.text.chars().take(SHOWN).collect()
                        }
                        None => {
                            // It has to grow, or it is no progress.
                            count += STEP;
                            "it has not printed anything for a while".to_owned()
                        }
                    };
                    told = Instant::now();
                    let note = ProgressNotificationParam::new(token.clone(), count).with_message(message);
                    if context.peer.notify_progress(note).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
    std::future::pending().await
}
