//! The only way to the network for an attempt whose department lists hosts: an HTTP proxy of ours, outside of the sandbox.
//!
//! Its connections come in on a socket within the agent's own network, which has no other way out, and go out from the
//! company's. Tunnels (CONNECT) are let through untouched, by host and port; plain requests are read and written anew, and may
//! get a header that the agent doesn't know: a secret of its own, for one server.

use nexus_core::network::{Allowed, Target};
use tokio_util::sync::{CancellationToken, DropGuard};

mod answer;
mod headers;
mod inject;
mod listener;
mod parent;
mod serve;
mod upstream;

pub use inject::{Injection, InjectionError};
pub use listener::Listener;
pub use parent::Parents;
pub use upstream::{Resolve, Resolved, System, Upstream};

/// The rules of one attempt.
#[derive(Clone, Debug)]
pub struct Rules {
    pub allowed: Allowed,
    pub injections: Vec<Injection>,
    pub upstream: Upstream,
}

/// A request that was refused; to be shown as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network: refused {target}: {why}")]
pub struct Refusal {
    pub target: Target,
    pub why: String,
}

/// A running proxy. Dropped, it ends, and every connection through it.
#[derive(Debug)]
pub struct Proxy {
    _closing: DropGuard,
}

impl Proxy {
    /// Serves what comes in by `listener`; `told` hears of refusals, of each target once in ten seconds at most, and must not
    /// wait.
    ///
    /// # Errors
    /// When the listener can't be used.
    pub fn serve(
        listener: impl Into<Listener>,
        rules: Rules,
        told: impl Fn(Refusal) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = listener.into().begin()?;
        let closing = CancellationToken::new();
        let served = serve::serve(listener, rules, Box::new(told), closing.clone());
        tokio::spawn(closing.clone().run_until_cancelled_owned(served));
        Ok(Self { _closing: closing.drop_guard() })
    }
}
