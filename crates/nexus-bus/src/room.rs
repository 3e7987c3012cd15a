//! The broker's room to store anything: told by whoever watches its disk, or found out by asking.

use std::sync::{Arc, PoisonError, RwLock};

use crate::bus::Bus;
use crate::error::BusError;

/// Why nothing more should be stored, while that is so. Shared by all clones of a [`Bus`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<RwLock<Option<String>>>);

impl Bus {
    /// From now on new work is refused because of `trouble`, a sentence that names the place; `None`: there is room.
    /// Records of running work are still written, as long as the broker takes them.
    pub fn set_trouble(&self, trouble: Option<String>) {
        *self.room.0.write().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Refuses while there is no room for more work.
    pub fn room(&self) -> Result<(), BusError> {
        match &*self.room.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(trouble) => Err(BusError::Full(trouble.clone())),
            None => Ok(()),
        }
    }

    /// A write to `stream` was not answered: is that because nothing can be stored? A server whose disk is full goes on
    /// answering questions, keeps silent about writes, and does so until it is started again.
    pub(crate) async fn stores_nothing(&self, stream: &str) -> Option<BusError> {
        if let Err(full) = self.room() {
            return Some(full);
        }
        self.js.get_stream(stream).await.ok()?;
        let text = "it answers, but not when it is asked to store something; its disk is full, or can't be written";
        Some(BusError::Full(text.to_owned()))
    }
}
