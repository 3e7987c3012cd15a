//! `nexus up`: a company, until it is told to stop.

use std::net::SocketAddr;

use tokio_util::task::AbortOnDropHandle;

use crate::cli::PlaceArgs;
use crate::company::{Company, Extras};
use crate::exit::{Code, Exit};
use crate::show;

pub(super) async fn up(place: &PlaceArgs, listen: Option<SocketAddr>, new_ledger: bool) -> Result<Code, Exit> {
    let mut signals = Signals::new()?;
    let starting = Company::start(place, Extras { web: true, listen, new_ledger });
    let company = tokio::select! {
        company = starting => company?,
        // Nothing was running yet, so there is nothing to wait for: it was told to stop, and has.
        () = signals.next() => return Ok(Code::Done),
    };
    let web = company.web.map(|addr| addr.to_string()).unwrap_or_default();
    show::line(&format!("nexus ready mcp=http://{web}/mcp web=http://{web}/ nats={}", company.nats));
    // Programs are asked for their versions, which nobody has to wait for.
    let charter = company.charter.clone();
    let announcing = AbortOnDropHandle::new(tokio::spawn(async move { nexus_runtime::announce(&charter).await }));
    let signals = tokio::sync::Mutex::new(signals);
    let next = async || signals.lock().await.next().await;
    let ran = company.run(next(), next()).await;
    drop(announcing);
    ran?;
    Ok(Code::Done)
}

/// SIGINT and SIGTERM, or Ctrl-C where there are none.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes the signals over from now on: none is lost between two calls of `next`.
    pub(super) fn new() -> Result<Self, Exit> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |error: std::io::Error| Exit::failure(format!("signals can't be handled: {error}"));
            Ok(Self {
                interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
                terminate: signal(SignalKind::terminate()).map_err(failed)?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
