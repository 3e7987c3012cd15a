//! The states of agents' accounts: as known now, on the ledger as soon as the broker takes it, and followed
//! there, since other nodes' agents work on them too.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use nexus_agents::Closed;
use nexus_bus::{Bus, BusError};
use nexus_core::account::AccountRecord;
use nexus_core::agent::AgentSpec;
use nexus_core::id::AgentName;
use nexus_core::run::Trouble;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// All accounts that ever had trouble; there are no more than agents in the configuration.
#[derive(Debug)]
pub(crate) struct Accounts {
    book: watch::Sender<Book>,
    _owned: [AbortOnDropHandle<()>; 2],
}

type Book = BTreeMap<AgentName, Page>;

#[derive(Clone, Debug, PartialEq)]
struct Page {
    record: AccountRecord,
    /// Of the newest record on the ledger that is known here.
    seq: u64,
    /// It isn't on the ledger yet.
    unwritten: bool,
}

/// Wait after a write that failed, and before the ledger is followed anew.
const AGAIN: Duration = Duration::from_secs(1);

impl Accounts {
    /// Reads what the ledger holds.
    pub(crate) async fn open(bus: Bus) -> Result<Self, BusError> {
        let page =
            |(seq, record): (u64, AccountRecord)| (record.account.clone(), Page { record, seq, unwritten: false });
        let book = watch::Sender::new(bus.accounts().await?.into_iter().map(page).collect::<Book>());
        let writer = AbortOnDropHandle::new(tokio::spawn(write(bus.clone(), book.clone())));
        let reader = AbortOnDropHandle::new(tokio::spawn(follow(bus, book.clone())));
        Ok(Self { book, _owned: [writer, reader] })
    }

    /// The record of an account.
    pub(crate) fn get(&self, account: &AgentName) -> Option<AccountRecord> {
        self.book.borrow().get(account).map(|page| page.record.clone())
    }

    /// True if any account is closed: most of the time none is, and nothing has to be looked at more closely.
    pub(crate) fn any_closed(&self, now: Timestamp) -> bool {
        self.book.borrow().values().any(|page| page.record.closed_until(now).is_some())
    }

    /// Why an agent can't work at the moment, if its account is closed.
    pub(crate) fn closed(&self, name: &AgentName, spec: &AgentSpec, now: Timestamp) -> Option<Closed> {
        let book = self.book.borrow();
        let record = &book.get(&spec.account_of(name))?.record;
        Some(Closed { until: record.closed_until(now)?, why: record.why(now)? })
    }

    /// An agent of this account had trouble. It holds from now on, and goes to the ledger beside whoever says it.
    pub(crate) fn trouble(&self, account: &AgentName, trouble: &Trouble, now: Timestamp) {
        self.change(account, |before| AccountRecord::struck(before, account, trouble, now));
    }

    /// Opens an account by hand.
    pub(crate) fn clear(&self, account: &AgentName, now: Timestamp) {
        self.change(account, |before| {
            before.and_then(|before| before.closed_until(now)).map(|_| AccountRecord::open(account.clone(), now))
        });
    }

    fn change(&self, account: &AgentName, change: impl FnOnce(Option<&AccountRecord>) -> Option<AccountRecord>) {
        self.book.send_if_modified(|book| {
            let before = book.get(account);
            let Some(record) = change(before.map(|page| &page.record)) else { return false };
            let now = record.at;
            match record.why(now) {
                Some(why) => tracing::warn!(%account, "is closed to its agents: {why}"),
                None => tracing::info!(%account, "is open again, as asked for"),
            }
            let seq = before.map_or(0, |page| page.seq);
            book.insert(account.clone(), Page { record, seq, unwritten: true });
            true
        });
    }

    /// Told of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.book.subscribe()
    }

    /// Returns when all that is known is on the ledger.
    pub(crate) async fn written(&self) {
        // The sender is ours, so there is no end of it to be told of.
        let _ = self.book.subscribe().wait_for(|book| book.values().all(|page| !page.unwritten)).await;
    }
}

/// Takes note of what the ledger says of an account; what isn't there yet may be stronger.
fn learn(book: &watch::Sender<Book>, seq: u64, record: AccountRecord) {
    book.send_if_modified(|book| {
        let account = record.account.clone();
        let page = match book.remove(&account) {
            Some(page) if page.seq >= seq => {
                book.insert(account, page);
                return false;
            }
            Some(page) if page.unwritten => {
                let holds = page.record.stronger(record.clone());
                Page { unwritten: holds != record, record: holds, seq }
            }
            _ => Page { record, seq, unwritten: false },
        };
        book.insert(account, page);
        true
    });
}

/// Follows what any node writes, for ever.
async fn follow(bus: Bus, book: watch::Sender<Book>) {
    loop {
        match bus.follow_accounts().await {
            Ok(accounts) => {
                let mut accounts = Box::pin(accounts);
                while let Some((seq, record)) = accounts.next().await {
                    learn(&book, seq, record);
                }
            }
            Err(error) => tracing::debug!("the accounts of agents can't be followed yet: {error}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Writes what isn't written, account by account: always its last state, and until the broker takes it.
async fn write(bus: Bus, book: watch::Sender<Book>) {
    let mut changes = book.subscribe();
    loop {
        let next = |book: &Book| book.values().find(|page| page.unwritten).cloned();
        let page = match changes.wait_for(|book| next(book).is_some()).await {
            Ok(book) => next(&book),
            Err(_) => return,
        };
        let Some(Page { record, seq, .. }) = page else { continue };
        let account = record.account.clone();
        let settled = |seq: u64, unwritten: bool| {
            book.send_modify(|book| {
                if let Some(page) = book.get_mut(&account) {
                    page.seq = seq;
                    // Otherwise it has changed while it was written.
                    page.unwritten = unwritten || page.record != record;
                }
            });
        };
        let error = match bus.write_account(&record, seq).await {
            Ok(seq) => {
                settled(seq, false);
                continue;
            }
            // Another node has written since: what it says counts too.
            Err(BusError::Conflict) => match bus.account(&account).await {
                Ok(Some((seq, theirs))) => {
                    learn(&book, seq, theirs);
                    continue;
                }
                Ok(None) => {
                    settled(0, true);
                    continue;
                }
                Err(BusError::Unreadable { seq, .. }) => {
                    settled(seq, true);
                    continue;
                }
                // Not ours to write over; here it holds.
                Err(error @ BusError::Newer { seq, .. }) => {
                    tracing::warn!(%account, "what is known of it stays with this node: {error}");
                    settled(seq, false);
                    continue;
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::warn!(%account, "what is known of it is not on the ledger yet: {error}");
        tokio::time::sleep(AGAIN).await;
    }
}
