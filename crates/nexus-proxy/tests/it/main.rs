//! A proxy between real sockets: what is let through, what is refused, and what is said of it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by failing")]

mod behind;
mod inject;
mod refuse;
mod support;
mod through;
