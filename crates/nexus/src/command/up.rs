//! `nexus up`: a company, until it is told to stop.

use tokio_util::task::AbortOnDropHandle;

use crate::cli::{LogForm, Output, PlaceArgs, UpArgs};
use crate::company::{Company, Extras};
use crate::detached::{self, Options};
use crate::exit::{Code, Exit};
use crate::show;

pub(super) async fn up(place: &PlaceArgs, output: Output, log: LogForm, args: UpArgs) -> Result<Code, Exit> {
    let UpArgs { listen, detach, new_ledger, quiet, for_client, log_file } = args;
    let mut signals = Signals::new()?;
    if detach {
        let options = Options { listen, for_client, new_ledger, quiet, log: Some(log) };
        return tokio::select! {
            started = in_background(place, output, options) => started,
            () = signals.next() => {
                show::note("note", "it goes on starting in the background; `nexus down` ends it");
                Ok(Code::Interrupted)
            }
        };
    }
    let starting = Company::start(place, Extras { web: true, listen, new_ledger, for_client, log: log_file });
    let company = tokio::select! {
        company = starting => company?,
        // Nothing was running yet, so there is nothing to wait for: it was told to stop, and has.
        () = signals.next() => return Ok(Code::Done),
    };
    show::line(&detached::ready_line(&company.process));
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

/// Starts it, or finds it there, and says where it is.
async fn in_background(place: &PlaceArgs, output: Output, options: Options) -> Result<Code, Exit> {
    let started = detached::start(place, options).await?;
    let process = started.process;
    if output.is_json() {
        let mut answer = serde_json::to_value(&process).unwrap_or_default();
        answer["was_up"] = started.was_up.into();
        show::json(&answer, output);
        return Ok(Code::Done);
    }
    if started.was_up {
        show::note(
            "note",
            &format!("the company was up already (pid {}), with the options it was given then", process.pid),
        );
    }
    show::line(&detached::ready_line(&process));
    let log = process.log.unwrap_or_else(|| "where it was started".to_owned());
    show::note("log", &format!("{log} (nexus logs --company)"));
    show::note("stop", "nexus down");
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
