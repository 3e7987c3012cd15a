//! Typed ids and names: parsed once at the boundary, and safe as a token of a NATS subject ever after.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A task, for its whole life: a UUID, version 4 (random; 7 in ledgers of older companies) or version 5 (derived from an idempotency key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TaskId(Uuid);

/// Namespace of ids that are derived from idempotency keys; arbitrary, fixed for ever.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6e78_7573_0000_4000_8000_6964_656d_706f);

impl TaskId {
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The same key gives the same id, so that the ledger itself refuses the second submission, for ever.
    #[must_use]
    pub fn from_idempotency_key(key: &str) -> Self {
        Self(Uuid::new_v5(&KEY_NAMESPACE, key.as_bytes()))
    }

    /// Made of an idempotency key: somebody else may have made the same. The others are random.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.0.get_version_num() == 5
    }

    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: 1 to 64 of a-z, 0-9, `-` and `_`, beginning with a letter or digit")]
pub struct InvalidName(pub String);

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 64
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,63}$"))]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                if is_name(&text) { Ok(Self(text)) } else { Err(InvalidName(text)) }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A department's name: its file's name without `.toml`.
    DepartmentName
);
name!(
    /// An agent's name, such as `shell` or `claude`.
    AgentName
);
name!(
    /// A worker's name within its department: `worker-0`, `worker-1` ...
    WorkerName
);
name!(
    /// One machine's data directory; stable over restarts.
    NodeId
);

/// The urgency of a task: 0 to 9, 9 first, 5 unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(extend("maximum" = 9))]
pub struct Priority(u8);

/// Why a priority was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("priority {0} is out of range: it goes from 0 to 9, and 9 comes first")]
pub struct InvalidPriority(pub u64);

impl Priority {
    pub const COUNT: usize = 10;
    pub const DEFAULT: Self = Self(5);

    pub fn new(value: u64) -> Result<Self, InvalidPriority> {
        match u8::try_from(value) {
            Ok(small) if small <= 9 => Ok(Self(small)),
            _ => Err(InvalidPriority(value)),
        }
    }

    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All ten, the most urgent first.
    pub fn descending() -> impl Iterator<Item = Self> {
        (0..=9).rev().map(Self)
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;
    fn try_from(value: u8) -> Result<Self, Self::Error> {
        Self::new(u64::from(value))
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_subject_tokens() {
        for good in ["a", "engineering", "qa-2", "7up", "a_b"] {
            assert!(DepartmentName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "QA", "a.b", "a b", "*", ">", "-a", "é", &"a".repeat(65)] {
            assert!(DepartmentName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_names_one_task_for_ever() {
        let id = TaskId::from_idempotency_key("build-42");
        assert_eq!(id, TaskId::from_idempotency_key("build-42"));
        assert_ne!(id, TaskId::from_idempotency_key("build-43"));
        // Ids live in ledgers: this value must not change between versions.
        assert_eq!(id.to_string(), "2e3f77ad-b588-5db3-a274-7f9438b75c71");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn priorities_run_from_0_to_9() {
        assert_eq!(Priority::new(9).map(Priority::get), Ok(9));
        assert_eq!(Priority::new(10), Err(InvalidPriority(10)));
        assert_eq!(Priority::descending().next().map(Priority::get), Some(9));
        assert_eq!(Priority::descending().count(), Priority::COUNT);
    }
}
