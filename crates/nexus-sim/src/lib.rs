//! Holds no code: its tests run companies in virtual time, with every fault that `docs/architecture.md` speaks of, and
//! let `nexus-core` decide whatever is to be decided.
