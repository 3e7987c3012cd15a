//! Stored forms have a version, so that an older program refuses what a newer one wrote, and never misreads it.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::account::AccountRecord;
use crate::api::DeadLetter;
use crate::dead::DeadTask;
use crate::event::Event;
use crate::lease::Holder;
use crate::log::LogChunk;
use crate::message::Message;
use crate::prompt::PromptRecord;
use crate::staff::StaffRecord;
use crate::task::{QueueEntry, STORED_VERSION};

/// A stored form. Each has fixtures of every version, in `fixtures/`.
pub trait Stored: DeserializeOwned {
    fn version(&self) -> u32;
}

macro_rules! stored {
    ($($form:ty),* $(,)?) => {
        $(impl Stored for $form {
            fn version(&self) -> u32 {
                self.v
            }
        })*
    };
}

stored!(QueueEntry, Event, LogChunk, PromptRecord, DeadLetter, DeadTask, StaffRecord, AccountRecord, Holder, Message,);

/// Why something stored can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("version {found} of its form is not known here, but only up to {STORED_VERSION}")]
    Newer { found: u32 },
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads a stored form, of any version up to this program's.
pub fn read<T: Stored>(json: &[u8]) -> Result<T, Unreadable> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let (found, read) = match serde_json::from_slice::<T>(json) {
        Ok(value) => (value.version(), Ok(value)),
        Err(error) => (serde_json::from_slice::<Version>(json).map_or(0, |version| version.v), Err(error)),
    };
    if found > STORED_VERSION { Err(Unreadable::Newer { found }) } else { Ok(read?) }
}

#[cfg(test)]
mod tests;
