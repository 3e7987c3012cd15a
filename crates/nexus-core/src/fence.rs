//! The fence: what it means for a holder that the task's last event isn't the one that it wrote.

use crate::event::{Event, What};

/// The record that was written in a holder's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// A cancel of its own attempt was asked for: it still holds the task, and goes on behind that event.
    CancelRequested(String),
    /// It has written so itself, and did not hear of it: it goes on behind that event.
    Own,
    /// Somebody else owns the task, or it has ended.
    Lost,
}

/// Decides for the holder whose last event has the sequence `own`, and whose attempt came from `delivery`. `None`:
/// nothing was written in its place.
///
/// The attempt's number says too little: an attempt that was interrupted and started again elsewhere bears the same.
#[must_use]
pub fn fence(own: u64, delivery: &str, last: Option<(&Event, u64)>) -> Option<Fence> {
    let Some((event, seq)) = last else { return Some(Fence::Lost) };
    if seq == own {
        return None;
    }
    match &event.what {
        What::CancelRequested { reason, of: Some(of) } if of.delivery == delivery => {
            Some(Fence::CancelRequested(reason.clone()))
        }
        What::Progressed { of, .. } if of.delivery == delivery => Some(Fence::Own),
        _ => Some(Fence::Lost),
    }
}

#[cfg(test)]
mod tests;
