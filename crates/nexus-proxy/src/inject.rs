//! A header that holds a secret, and the one server that it is for.

use hyper::header::{HeaderName, HeaderValue};
use nexus_core::network::{Origin, Target};

/// Set on what goes to one server, in place of whatever the agent has set there. Never shown.
#[derive(Clone)]
pub struct Injection {
    pub(crate) to: Origin,
    pub(crate) header: HeaderName,
    pub(crate) value: HeaderValue,
}

impl std::fmt::Debug for Injection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injection").field("to", &self.to).field("header", &self.header).finish_non_exhaustive()
    }
}

/// Why there can't be such a header. Holds nothing of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectionError {
    #[error("the header has a name that no header can have")]
    Name,
    #[error("the secret holds what no header can hold, such as a line end")]
    Value,
}

impl Injection {
    /// # Errors
    /// When a header can't have this name or hold this value.
    pub fn new(to: Origin, header: &str, value: &str) -> Result<Self, InjectionError> {
        let header = HeaderName::from_bytes(header.as_bytes()).map_err(|_| InjectionError::Name)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| InjectionError::Value)?;
        value.set_sensitive(true);
        Ok(Self { to, header, value })
    }

    /// True if a plain request to `target` is one for its server. An agent that is to have its secret set asks without TLS,
    /// at port 80 or at the server's own.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        self.to.target.host == target.host && (target.port == 80 || target.port == self.to.target.port)
    }
}
