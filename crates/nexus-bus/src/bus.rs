//! The connection: how it is made, kept and shared.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client as Nats, ConnectErrorKind, ConnectOptions, Event, ServerError};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::address::{credentials, redacted, servers};
use crate::error::BusError;
use crate::room::Room;
use crate::wake::Wakes;

/// Where the broker is and who we are.
#[derive(Clone, Default)]
pub struct Access {
    pub url: String,
    pub credentials: Credentials,
    pub tls: Tls,
}

/// The means to show who we are.
#[derive(Clone, Default)]
pub enum Credentials {
    #[default]
    None,
    UserPassword {
        user: String,
        password: String,
    },
    Token(String),
    /// A `.creds` file: JWT and key.
    File(PathBuf),
}

/// Certificates, as paths of PEM files.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub required: bool,
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

impl Access {
    /// The address without secrets, to be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        redacted(&self.url)
    }
}

impl std::fmt::Debug for Access {
    /// Without secrets: this ends up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("url", &self.shown()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::UserPassword { .. } => "UserPassword(..)",
            Self::Token(_) => "Token(..)",
            Self::File(_) => "File(..)",
        })
    }
}

/// A connection to the broker, shared by all of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    pub(crate) nats: Nats,
    pub(crate) js: jetstream::Context,
    pub(crate) room: Room,
    pub(crate) wakes: Wakes,
    story: Story,
    /// Events are written without compare-and-set.
    pub(crate) unfenced: bool,
}

/// The state of the connection, and what the log says of it.
#[derive(Clone, Debug, Default)]
struct Story {
    /// Its end is expected.
    closing: Arc<AtomicBool>,
    /// The number of times that it was lost.
    lost: Arc<watch::Sender<u64>>,
    /// The time at which it was lost, while there is none.
    away_since: Arc<watch::Sender<Option<Instant>>>,
    /// Refusals by the server of what this user did, in its words, each once.
    refused: Arc<Mutex<Vec<String>>>,
}

/// Refusals that are kept to be told: one for each kind of subject.
const REFUSALS: usize = 32;

impl Story {
    fn tell(&self, event: &Event) {
        match event {
            Event::Disconnected => {
                self.lost.send_modify(|times| *times += 1);
                self.away_since.send_modify(|since| {
                    since.get_or_insert_with(Instant::now);
                });
            }
            Event::Connected => {
                self.away_since.send_replace(None);
            }
            _ => {}
        }
        match event {
            Event::Connected => tracing::debug!("connected to the broker"),
            Event::Disconnected if self.closing.load(Ordering::Relaxed) => {
                tracing::debug!("disconnected from the broker");
            }
            Event::Disconnected => tracing::warn!("lost the connection to the broker; reconnecting"),
            Event::SlowConsumer(sid) => {
                tracing::debug!(sid, "a subscription was full; its reader catches up by reading");
            }
            Event::ServerError(ServerError::Other(text))
                if text.to_ascii_lowercase().contains("permissions violation") =>
            {
                self.refuse(text);
            }
            other => tracing::debug!("broker: {other}"),
        }
    }
}

/// The longest time that the broker may take to answer before it counts as away.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// Messages a subscription may hold before NATS drops them (a wake-up or a log line then comes by reading instead).
const SUBSCRIPTION_CAPACITY: usize = 8 * 1024;

/// The wait before an attempt to connect: none before the first (which is number 1, and is asked for too), then a short one for ten
/// seconds, in which a broker that is being restarted comes back, and a long one after that.
const fn before_attempt(attempt: usize) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        2 => Duration::from_millis(100),
        3..=40 => Duration::from_millis(250),
        _ => Duration::from_secs(2),
    }
}

impl Story {
    fn refuse(&self, text: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSALS && !refused.iter().any(|known| known == text) {
            tracing::warn!("the broker does not allow this user what a company does: {text}");
            refused.push(text.to_owned());
        }
    }
}

impl Bus {
    /// The server's refusals so far of what this user did.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.story.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects, and reconnects for ever after; the first connection must succeed.
    pub async fn connect(access: &Access, name: &str) -> Result<Self, BusError> {
        let story = Story::default();
        let told = story.clone();
        let failed = |cause: String| BusError::Connect { url: access.shown(), cause };
        let servers = servers(&access.url).map_err(|error| failed(error.to_string()))?;
        let in_url = credentials(&servers);
        let options = ConnectOptions::new()
            .name(name)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .request_timeout(Some(ANSWER))
            .connection_timeout(ANSWER)
            .require_tls(access.tls.required)
            .reconnect_delay_callback(before_attempt)
            .event_callback(move |event| {
                told.tell(&event);
                std::future::ready(())
            });
        let given = match &access.credentials {
            Credentials::None => &in_url,
            given => given,
        };
        let options = match given {
            Credentials::None => options,
            Credentials::UserPassword { user, password } => options.user_and_password(user.clone(), password.clone()),
            Credentials::Token(token) => options.token(token.clone()),
            Credentials::File(path) => options
                .credentials_file(path)
                .await
                .map_err(|error| failed(format!("the credentials file {}: {error}", path.display())))?,
        };
        let options = match &access.tls.ca {
            Some(ca) => options.add_root_certificates(ca.clone()),
            None => options,
        };
        let options = match (&access.tls.cert, &access.tls.key) {
            (Some(cert), Some(key)) => options.add_client_certificate(cert.clone(), key.clone()),
            _ => options,
        };
        let nats = options.connect(servers).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                BusError::Denied { url: access.shown() }
            }
            _ => failed(error.to_string()),
        })?;
        let js = ContextBuilder::new().timeout(ANSWER).build(nats.clone());
        Ok(Self { nats, js, room: Room::default(), wakes: Wakes::default(), story, unfenced: false })
    }

    /// A bus that breaks its promise on purpose: any writer of an event wins. For showing that the fault harness notices.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn without_fences(self) -> Self {
        Self { unfenced: true, ..self }
    }

    /// From now on a lost connection is as it should be.
    pub fn closing(&self) {
        self.story.closing.store(true, Ordering::Relaxed);
    }

    /// Changes when the connection is lost: what the broker kept for it, or sent on it, may be gone.
    pub(crate) fn lost(&self) -> watch::Receiver<u64> {
        self.story.lost.subscribe()
    }

    /// Waits until there is a connection.
    pub(crate) async fn connected(&self) {
        let mut since = self.story.away_since.subscribe();
        while !self.is_connected() {
            // Its other end is as old as this bus.
            let _ = since.changed().await;
        }
    }

    /// Waits until there has been no connection for this long.
    pub(crate) async fn away_for(&self, limit: Duration) {
        let mut away_since = self.story.away_since.subscribe();
        loop {
            let since = *away_since.borrow_and_update();
            let over = async {
                match since {
                    Some(since) => tokio::time::sleep_until(since + limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => if !self.is_connected() { return },
                _ = away_since.changed() => {}
            }
        }
    }

    /// Everything written so far has reached the broker; subscriptions too. (The client's own flush only empties its
    /// buffer.) False: the broker doesn't answer.
    pub async fn flush(&self) -> bool {
        let there_and_back = async {
            let inbox = self.nats.new_inbox();
            let mut echo = self.nats.subscribe(inbox.clone()).await.ok()?;
            self.nats.publish(inbox, bytes::Bytes::new()).await.ok()?;
            // The broker takes what a connection sends in order: when this is back, all before it is there.
            echo.next().await
        };
        matches!(tokio::time::timeout(ANSWER, there_and_back).await, Ok(Some(_)))
    }

    /// Version of the broker.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.nats.server_info().version
    }

    /// True while there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.nats.connection_state() == async_nats::connection::State::Connected
    }
}
