//! Where an agent's connections come in: a socket in its own network, or one in the file system where it has none.

use std::io;

use crate::upstream::Stream;

/// Listens already.
#[derive(Debug)]
pub enum Listener {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl From<std::net::TcpListener> for Listener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for Listener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Listener {
    /// Within a tokio runtime.
    pub(crate) fn begin(self) -> io::Result<Accepting> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Accepting::Unix(tokio::net::UnixListener::from_std(listener)?))
            }
        }
    }
}

pub(crate) enum Accepting {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl Accepting {
    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}
