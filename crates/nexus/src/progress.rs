//! The progress of getting a broker: a bar on a terminal, lines in a log elsewhere.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nexus_broker::Progress;

/// Shows what happens while a broker is found, fetched and started.
pub(crate) struct BrokerProgress {
    bar: Mutex<Option<ProgressBar>>,
}

impl BrokerProgress {
    pub(crate) const fn new() -> Self {
        Self { bar: Mutex::new(None) }
    }

    pub(crate) fn show(&self, progress: &Progress) {
        match progress {
            Progress::Rejected(rejected) => tracing::info!(target: "nexus_broker", "not used: {rejected}"),
            Progress::WaitingForOther => {
                tracing::info!(target: "nexus_broker", "another nexus is installing nats-server");
            }
            Progress::Fetching { way, version, received, total } => {
                self.fetching(&format!("nats-server {version} from {way}"), *received, *total);
            }
            Progress::WayFailed { way, cause } => {
                self.finish();
                tracing::info!(target: "nexus_broker", "not by {way}: {cause}");
            }
            Progress::Installed { version, path, .. } => {
                self.finish();
                tracing::info!(target: "nexus_broker", "nats-server {version} installed in {} (sha256 ok)", path.display());
            }
            Progress::Starting { version, .. } => {
                tracing::debug!(target: "nexus_broker", "starting nats-server {version}");
            }
            Progress::PortTaken { port } => {
                tracing::info!(target: "nexus_broker", "port {port} of the last start is taken; using another");
            }
            Progress::Ready { port } => tracing::debug!(target: "nexus_broker", "nats-server ready on port {port}"),
        }
    }

    fn fetching(&self, what: &str, received: u64, total: Option<u64>) {
        let Ok(mut bar) = self.bar.lock() else { return };
        let bar = bar.get_or_insert_with(|| {
            // Draws on a terminal only.
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("broker   fetching {msg} {bar:24} {bytes}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            tracing::info!(target: "nexus_broker", "fetching {what}");
            bar.set_message(what.to_owned());
            bar
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(received);
    }

    fn finish(&self) {
        if let Some(bar) = self.bar.lock().ok().and_then(|mut bar| bar.take()) {
            bar.finish_and_clear();
        }
    }
}
