//! A company in the background: started by a command, it outlives that command and everything that the command belongs to.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_bus::Client;
use nexus_core::overview::ProcessInfo;
use nexus_process::daemon::detach;
use tokio::time::{Instant, sleep};

use crate::cli::{LogForm, PlaceArgs};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::place::{self, Address};
use crate::show;

/// The options of `nexus up` that a company in the background is started with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) listen: Option<SocketAddr>,
    /// For a client, wherever that stands: no configuration counts that only lies there, and a free port does where the
    /// address is taken.
    pub(crate) for_client: bool,
    pub(crate) new_ledger: bool,
    pub(crate) quiet: bool,
    pub(crate) log: Option<LogForm>,
}

/// A company in the background.
pub(crate) struct Detached {
    pub(crate) client: Client,
    pub(crate) process: ProcessInfo,
    /// It was there before it was asked for.
    pub(crate) was_up: bool,
}

/// The longest time that a company may take to start: it may have to fetch its broker first, or to load a large store.
const START_LIMIT: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The log of companies that were started in the background on this data directory.
pub(crate) fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("up.log")
}

/// The company that runs on the data directory, or one that is started now. Of several that are started at once, one wins,
/// and all get that one.
pub(crate) async fn start(place: &PlaceArgs, options: Options) -> Result<Detached, Exit> {
    let dir = place::data_dir(place)?;
    if let Some((client, process)) = running(place, &dir).await? {
        return Ok(Detached { client, process, was_up: true });
    }
    if !options.for_client
        && let Ok(loaded) = nexus_config::load(&source(place, options.listen))
    {
        show::untrusted(&loaded);
    }
    let failed = |what: String| Exit::failure(format!("no company could be started in the background: {what}"));
    place::make_dir(&dir).map_err(|error| failed(format!("{}: {error}", dir.display())))?;
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let log = log_file(&dir);
    let before = fs::metadata(&log).map_or(0, |known| known.len());
    let arguments = arguments(place, &dir, &log, options);
    let mut company = detach(&program, &arguments, &log).map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + START_LIMIT;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some((client, process)) = running(place, &dir).await? {
            let was_up = process.pid != company.pid();
            return Ok(Detached { client, process, was_up });
        }
        // One that has lost against another ends when that one has its address here.
        let ended = company.ended().map_err(|error| failed(error.to_string()))?;
        if let Some(ended) = ended.filter(|_| place::holder(&dir).is_none()) {
            let code = ended.code().and_then(Code::of_company).unwrap_or(Code::Failure);
            let said = said_since(&log, before);
            let said = if said.is_empty() { format!("it ended ({ended})") } else { format!("it said\n{said}") };
            return Err(Exit::new(code, format!("the company could not be started in the background: {said}"))
                .with_help(format!("its log is {}", log.display())));
        }
        if Instant::now() > deadline {
            return Err(failed(format!("it is not ready after {} s", START_LIMIT.as_secs()))
                .with_help(format!("it goes on; its log is {}; `nexus down` ends it", log.display())));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The company of this very data directory, once it answers: on a NATS of several nodes another one may be up.
async fn running(place: &PlaceArgs, dir: &Path) -> Result<Option<(Client, ProcessInfo)>, Exit> {
    let Some((_, Address { process: Some(process), .. })) = place::holder(dir) else { return Ok(None) };
    let here = PlaceArgs { nats: None, creds: None, ..place.clone() };
    Ok(place::find(&here).await?.map(|client| (client, process)))
}

/// The line that says that a company is ready, and where.
pub(crate) fn ready_line(process: &ProcessInfo) -> String {
    let ProcessInfo { mcp, web, nats, .. } = process;
    let (mcp, web) = (mcp.as_deref().unwrap_or_default(), web.as_deref().unwrap_or_default());
    format!("nexus ready mcp={mcp} web={web} nats={nats}")
}

fn arguments(place: &PlaceArgs, dir: &Path, log: &Path, options: Options) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["up", "--log-file"].map(OsString::from).into();
    arguments.push(log.into());
    let mut add = |flag: &str, value: OsString| arguments.extend([OsString::from(flag), value]);
    add("--data-dir", dir.into());
    if let Some(listen) = options.listen {
        add("--listen", listen.to_string().into());
    }
    if let Some(config) = &place.config {
        add("--config", config.into());
    }
    if let Some(nats) = &place.nats {
        add("--nats", nats.into());
    }
    if let Some(creds) = &place.creds {
        add("--creds", creds.into());
    }
    if options.log == Some(LogForm::Json) {
        add("--log", "json".into());
    }
    let flags =
        [("--for-client", options.for_client), ("--new-ledger", options.new_ledger), ("--quiet", options.quiet)];
    arguments.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| OsString::from(flag)));
    arguments
}

/// The last lines of a log that were written behind its first `before` bytes.
fn said_since(log: &Path, before: u64) -> String {
    const LINES: usize = 8;
    let mut text = Vec::new();
    let read = fs::File::open(log).and_then(|mut file| {
        // It was put aside meanwhile if it is shorter.
        let from = if file.metadata()?.len() < before { 0 } else { before };
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut text)
    });
    let text = if read.is_ok() { String::from_utf8_lossy(&text).into_owned() } else { String::new() };
    let lines: Vec<_> = text.lines().map(|line| format!("    {line}")).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
