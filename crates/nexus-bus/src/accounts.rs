//! The records of agents' accounts: one each, the newest of which holds, read and followed by every node.

use std::collections::BTreeMap;

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use futures_util::{Stream, StreamExt};
use nexus_core::account::AccountRecord;
use nexus_core::id::AgentName;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::ledger::outgoing;
use crate::read::decode;
use crate::subject;

/// Records that are read at once. There is one an account, and one more where a purge was missed.
const BATCH: usize = 256;

/// A record and its sequence: what the next one of its account has to expect.
type Account = (u64, AccountRecord);

impl Bus {
    /// The records of all accounts. One that can't be read is left out: its account is taken for open.
    pub async fn accounts(&self) -> Result<Vec<Account>, BusError> {
        let (mut records, mut from) = (BTreeMap::new(), 1);
        loop {
            let (found, more) = self.read(subject::TASKS, subject::ALL_ACCOUNTS, from, BATCH).await?;
            for stored in &found {
                from = stored.seq + 1;
                if let Some(record) = readable(stored.decode::<AccountRecord>()) {
                    records.insert(record.account.clone(), (stored.seq, record));
                }
            }
            if !more || found.is_empty() {
                return Ok(records.into_values().collect());
            }
        }
    }

    /// The record of one account.
    pub async fn account(&self, account: &AgentName) -> Result<Option<Account>, BusError> {
        let stored = self.last(subject::TASKS, &subject::account(account)).await?;
        stored.map(|stored| Ok((stored.seq, stored.decode()?))).transpose()
    }

    /// Writes a record in the place of the one before, whose sequence is expected to be `expect` (0: there was none), and
    /// returns its own. [`BusError::Conflict`]: somebody else has written one since.
    pub async fn write_account(&self, record: &AccountRecord, expect: u64) -> Result<u64, BusError> {
        let subject = subject::account(&record.account);
        let message = outgoing(subject.clone(), "nexus.account", record.account.as_str(), record.at, None, record)?;
        let seq = self.publish(&message.expecting(&subject, expect)).await?;
        let stream = self.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        // Missed, it is made up for by the next one: until then the newest holds.
        if let Err(error) = stream.purge().filter(subject).keep(1).await {
            tracing::debug!("an old record of an account is still there: {error}");
        }
        Ok(seq)
    }

    /// The newest record of each account, and then each that is written; ends when the stream can't be read any more.
    pub async fn follow_accounts(&self) -> Result<impl Stream<Item = Account> + use<>, BusError> {
        let stream = self.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        let consumer = stream
            .create_consumer(push::OrderedConfig {
                deliver_subject: self.nats.new_inbox(),
                description: Some("follows the accounts of agents".to_owned()),
                filter_subject: subject::ALL_ACCOUNTS.to_owned(),
                deliver_policy: DeliverPolicy::LastPerSubject,
                ..push::OrderedConfig::default()
            })
            .await
            .map_err(unreachable)?;
        let messages = consumer.messages().await.map_err(unreachable)?;
        let messages = messages.take_while(|message| std::future::ready(message.is_ok()));
        Ok(messages.filter_map(|message| std::future::ready(message.ok().and_then(|message| read(&message)))))
    }
}

fn read(message: &async_nats::jetstream::Message) -> Option<Account> {
    let seq = message.info().ok()?.stream_sequence;
    Some((seq, readable(decode(message.subject.as_str(), seq, &message.payload))?))
}

fn readable(record: Result<AccountRecord, BusError>) -> Option<AccountRecord> {
    record.inspect_err(|error| tracing::warn!("left out: {error}")).ok()
}
