//! The check of a NATS server that somebody else runs: the size of its messages, its JetStream, and the permissions of the user.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::account::Account;
use async_nats::jetstream::context::AccountErrorKind;
use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::streams::StreamOptions;
use crate::subject;

/// The least size of messages with which a company can work: half of it is for what a task asks for.
const LEAST_PAYLOAD: usize = 64 * 1024;

/// A company's streams.
const STREAMS: [&str; 6] =
    [subject::TASKS, subject::LOGS, subject::DEAD, subject::INBOX, subject::LEASES, subject::MESSAGES];

/// One of each kind of subject that a company publishes to. Those that streams store carry a header by which these refuse them.
const PUBLISHED: [&str; 24] = [
    "nexus.queue.probe.0.probe",
    "nexus.event.probe.probe",
    "nexus.schedule.probe",
    "nexus.account.probe",
    "nexus.staff.probe.probe",
    "nexus.message.probe",
    "nexus.log.probe.probe",
    "nexus.prompt.probe.probe",
    "nexus.inbox.probe",
    "nexus.dead.probe.probe",
    "nexus.wake.probe",
    "nexus.control.probe.probe",
    "nexus.ceo.probe",
    "$KV.nexus_lease.probe",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.INFO.NEXUS_PROBE",
    "$JS.API.STREAM.CREATE.NEXUS_PROBE",
    "$JS.API.STREAM.UPDATE.NEXUS_PROBE",
    "$JS.API.STREAM.PURGE.NEXUS_PROBE",
    "$JS.API.DIRECT.GET.NEXUS_PROBE",
    "$JS.API.CONSUMER.CREATE.NEXUS_PROBE.probe",
    "$JS.API.CONSUMER.MSG.NEXT.NEXUS_PROBE.probe",
    "$JS.ACK.NEXUS_PROBE.probe.1.1.1.1.1",
];
/// One of each kind that it subscribes to, beside its inbox.
const SUBSCRIBED: [&str; 5] =
    ["nexus.ceo.probe", "nexus.wake.probe", "nexus.control.probe.probe", "$SRV.PING.probe", "$KV.nexus_lease.probe"];

/// Refusals come by another way than answers do, and a moment later.
const SETTLE: Duration = Duration::from_millis(100);

impl Bus {
    /// Checks what a company needs of this server, and names what is missing and the way out.
    ///
    /// # Errors
    /// When a company can't work here.
    pub async fn suits(&self, options: &StreamOptions) -> Result<(), BusError> {
        let payload = self.nats.max_payload();
        if payload < LEAST_PAYLOAD {
            return Err(unfit(
                format!(
                    "this NATS server takes messages of {payload} bytes at most (max_payload), and Nexus needs {LEAST_PAYLOAD}"
                ),
                "set `max_payload: 1MB` in its configuration",
            ));
        }
        self.may().await?;
        let account = self.account_info().await?;
        let there: Vec<String> = self.js.stream_names().try_collect().await.map_err(unreachable)?;
        enough(&account, &there, options)
    }

    /// Tries everything that the user has to be allowed to do. Nothing is stored or changed by it.
    async fn may(&self) -> Result<(), BusError> {
        let mut subscriptions = Vec::new();
        for name in SUBSCRIBED {
            subscriptions.push(self.nats.subscribe(name).await.map_err(unreachable)?);
        }
        for name in PUBLISHED {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Stream", "NEXUS_PROBE");
            self.nats.publish_with_headers(name, headers, Bytes::new()).await.map_err(unreachable)?;
        }
        // What follows is answered after all of it; where not even that is allowed, its refusal is the answer.
        self.flush().await;
        tokio::time::sleep(SETTLE).await;
        match self.refusals() {
            refusals if refusals.is_empty() => Ok(()),
            refusals => Err(BusError::Forbidden(refusals.join("; "))),
        }
    }

    async fn account_info(&self) -> Result<Account, BusError> {
        self.js.query_account().await.map_err(|error| match error.kind() {
            AccountErrorKind::TimedOut => unreachable(error),
            AccountErrorKind::JetStream(_) | AccountErrorKind::JetStreamUnavailable | AccountErrorKind::Other => unfit(
                format!("this NATS server has no JetStream for this user: {error}"),
                "start it with `-js`, or with `jetstream {}` in its configuration; an account needs `jetstream: enabled` too",
            ),
        })
    }
}

/// Compares the limits of the account with the streams that a company creates.
fn enough(account: &Account, there: &[String], options: &StreamOptions) -> Result<(), BusError> {
    let limits = &account.limits;
    let missing: Vec<&str> = STREAMS.into_iter().filter(|name| !there.iter().any(|known| known == name)).collect();
    if limits.max_bytes_required && missing.contains(&subject::TASKS) {
        return Err(unfit(
            "the NATS account demands a bound of every stream (max_bytes_required), and the ledger can have none: at its bound it \
             would drop tasks that wait"
                .to_owned(),
            "use an account without max_bytes_required",
        ));
    }
    let most = limits.max_streams.filter(|most| *most > 0).and_then(|most| usize::try_from(most).ok());
    if let Some(most) = most.filter(|most| account.streams + missing.len() > *most) {
        let (has, more) = (account.streams, missing.len());
        return Err(unfit(
            format!(
                "the NATS account may have {most} streams and has {has}, and Nexus needs {more} more ({})",
                missing.join(", ")
            ),
            "raise max_streams of the account, or remove streams that nobody needs",
        ));
    }
    let bounded: u64 =
        options.bounds().iter().filter(|(name, _)| missing.contains(name)).map(|(_, bytes)| *bytes).sum();
    let storage = limits.max_storage.filter(|most| *most > 0).and_then(|most| u64::try_from(most).ok());
    let taken = account.reserved_storage.max(account.storage);
    if let Some(most) = storage.filter(|most| taken.saturating_add(bounded) > *most) {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(unfit(
            format!(
                "the NATS account may store {} MiB, of which {} MiB are taken or reserved, and Nexus reserves {} MiB more",
                mib(most),
                mib(taken),
                mib(bounded)
            ),
            "raise max_file (max_storage) of the account",
        ));
    }
    Ok(())
}

fn unfit(what: String, help: &str) -> BusError {
    BusError::Unfit { what, help: help.to_owned() }
}
