//! This process as a company's: its port and socket, and what others are told of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nexus_bus::Access;
use nexus_config::Loaded;
use nexus_core::overview::ProcessInfo;
use nexus_web::{BindError, Bound, Token, Web};

use crate::exit::Exit;
use crate::token;

/// The port and the socket of a company, and the token for the port.
pub(super) async fn open(listen: SocketAddr, or_any_port: bool, data_dir: &Path) -> Result<(Bound, Token), Exit> {
    let mut bound = bind(listen, or_any_port).await?;
    let socket = socket(data_dir);
    if let Err(error) = bound.and_at(&socket) {
        tracing::warn!("there is no socket at {}: {error}; the port is there, with the token", socket.display());
    }
    Ok((bound, token::of(data_dir)?))
}

/// The socket in the data directory that asks for no token: only the company's user can open it.
pub(super) fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("nexus.sock")
}

async fn bind(listen: SocketAddr, or_any_port: bool) -> Result<Bound, Exit> {
    let cannot = |error: BindError| Exit::failure(format!("cannot {error}"));
    match Web::bind(listen).await {
        Err(BindError::Taken { .. }) if or_any_port => {
            let bound = Web::bind(SocketAddr::new(listen.ip(), 0)).await.map_err(cannot)?;
            tracing::warn!(target: "nexus_web", "{listen} is taken by another program; listening on {} instead", bound.addr());
            Ok(bound)
        }
        bound => bound.map_err(cannot),
    }
}

/// This process, as others are told of it.
pub(super) fn info(
    loaded: &Loaded,
    data_dir: &Path,
    log: Option<PathBuf>,
    access: &Access,
    web: Option<SocketAddr>,
) -> ProcessInfo {
    let text = |path: &Path| path.display().to_string();
    ProcessInfo {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: jiff::Timestamp::now(),
        data_dir: text(data_dir),
        config_dir: loaded.dir.as_deref().map(|dir| text(&std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()))),
        log: log.or_else(standard_error).as_deref().map(text),
        mcp: web.map(|addr| format!("http://{addr}/mcp")),
        web: web.map(|addr| format!("http://{addr}/")),
        nats: access.shown(),
        path: std::env::var("PATH").ok(),
    }
}

/// The file that this process's standard error goes to, if it is one.
fn standard_error() -> Option<PathBuf> {
    let file = std::fs::read_link("/proc/self/fd/2").ok()?;
    std::fs::metadata(&file).is_ok_and(|known| known.is_file()).then_some(file)
}
