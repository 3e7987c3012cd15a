//! A proxy between real sockets: what is let through, what is refused, and what is said of it.

mod inject;
mod refuse;
mod support;
mod through;
