//! Where a company keeps its state, and how another process finds it while it runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::{AppStrategy, AppStrategyArgs, choose_app_strategy};
use nexus_broker::{DataDir, DataDirLock, LockError};
use nexus_bus::{Access, Bus, BusError, Client, Credentials, Tls};
use nexus_config::Trust;
use nexus_core::id::NodeId;
use nexus_core::overview::ProcessInfo;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::cli::PlaceArgs;
use crate::exit::{Code, Exit};

mod home;

/// The data directory that is meant: named, or the platform's.
pub(crate) fn data_dir(args: &PlaceArgs) -> Result<PathBuf, Exit> {
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => platform_dir()?,
    };
    std::path::absolute(&dir).map_err(|error| Exit::usage(format!("the data directory {}: {error}", dir.display())))
}

/// The room that a company needs to begin: its streams, its history and their journals, all empty.
const TO_BEGIN: u64 = 1 << 20;

/// Refuses a place that has no room for a company, before anything is made there.
pub(crate) fn has_room(data_dir: &Path) -> Result<(), Exit> {
    let there = data_dir.ancestors().find(|dir| dir.exists()).unwrap_or(data_dir);
    let refused = |why: String| {
        Err(Exit::failure(format!("the data directory {} can't be used: {why}", data_dir.display()))
            .with_help("the next start goes on with all that is there; or name another one with --data-dir"))
    };
    match nexus_process::Space::of(there) {
        Some(space) if space.read_only => refused("its disk can only be read; mount it to be written".to_owned()),
        Some(space) if space.free < TO_BEGIN => {
            let free = space.free / 1024;
            match nexus_runtime::biggest(data_dir) {
                Some(big) => {
                    refused(format!("its disk is full ({free} KiB are free); make room; most of it is in {big}"))
                }
                None => refused(format!("its disk is full ({free} KiB are free); make room")),
            }
        }
        _ => Ok(()),
    }
}

/// Where tools are installed: one place for all companies of a user.
pub(crate) fn tools_dir() -> Result<PathBuf, Exit> {
    Ok(platform_dir()?.join("tools"))
}

/// What this user has trusted: one place for all companies. None: there is no home to keep it in.
pub(crate) fn trust() -> Option<Trust> {
    platform_dir().ok().map(|dir| Trust::in_dir(dir.join("trusted")))
}

/// The user's directory for configuration.
pub(crate) fn config_home() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|strategy| etcetera::BaseStrategy::config_dir(&strategy))
}

fn platform_dir() -> Result<PathBuf, Exit> {
    let strategy = choose_app_strategy(AppStrategyArgs {
        top_level_domain: String::new(),
        author: String::new(),
        app_name: "nexus".to_owned(),
    });
    strategy.map(|dirs| dirs.data_dir()).map_err(|_| {
        Exit::usage("there is no home directory to keep state in").with_help("name a directory with --data-dir")
    })
}

/// This data directory's name as a node; made on its first use, and by a copy of another one's.
pub(crate) fn node_id(data_dir: &Path) -> io::Result<NodeId> {
    let path = data_dir.join("node");
    let is_copy = home::is_copy(data_dir)?;
    match fs::read_to_string(&path) {
        Ok(text) if is_copy => {
            let id = new_node_id(&path)?;
            tracing::warn!(
                target: "nexus_runtime",
                "{} is a copy of another data directory: it is a node of its own from now on, {id} instead of {}",
                data_dir.display(),
                text.trim()
            );
            Ok(id)
        }
        Ok(text) => NodeId::new(text.trim()).map_err(|error| {
            io::Error::other(format!(
                "{}: {error}; delete that file, and the next start makes a new one (what ran goes on when the lease of \
                 the old one has lapsed)",
                path.display()
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_node_id(&path),
        Err(error) => Err(error),
    }
}

fn new_node_id(path: &Path) -> io::Result<NodeId> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    write_private(path, id.as_bytes())?;
    NodeId::new(id).map_err(io::Error::other)
}

/// The way to reach the company that runs on a data directory: its file `company.json`, for its owner only.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) pid: u32,
    pub(crate) nats: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creds: Option<PathBuf>,
    #[serde(default)]
    tls: Certificates,
    pub(crate) mcp: Option<String>,
    pub(crate) web: Option<String>,
    /// The process, which on a NATS of several nodes need not be the one whose CEO answers.
    #[serde(default)]
    pub(crate) process: Option<ProcessInfo>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Certificates {
    required: bool,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Address {
    pub(crate) fn new(access: &Access, process: &ProcessInfo) -> Self {
        let mut address = Self {
            pid: std::process::id(),
            nats: access.url.clone(),
            user: None,
            password: None,
            token: None,
            creds: None,
            tls: Certificates {
                required: access.tls.required,
                ca: access.tls.ca.clone(),
                cert: access.tls.cert.clone(),
                key: access.tls.key.clone(),
            },
            mcp: process.mcp.clone(),
            web: process.web.clone(),
            process: Some(process.clone()),
        };
        match &access.credentials {
            Credentials::None => {}
            Credentials::UserPassword { user, password } => {
                (address.user, address.password) = (Some(user.clone()), Some(password.clone()));
            }
            Credentials::Token(token) => address.token = Some(token.clone()),
            Credentials::File(path) => address.creds = Some(path.clone()),
        }
        address
    }

    pub(crate) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        write_private(&data_dir.join("company.json"), &text)
    }

    pub(crate) fn remove(data_dir: &Path) {
        let _ = fs::remove_file(data_dir.join("company.json"));
    }

    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data_dir.join("company.json")).ok()?).ok()
    }

    fn access(self) -> Access {
        let credentials = match (self.creds, self.user, self.token) {
            (Some(path), ..) => Credentials::File(path),
            (_, Some(user), _) => Credentials::UserPassword { user, password: self.password.unwrap_or_default() },
            (_, _, Some(token)) => Credentials::Token(token),
            _ => Credentials::None,
        };
        let Certificates { required, ca, cert, key } = self.tls;
        Access { url: self.nats, credentials, tls: Tls { required, ca, cert, key } }
    }
}

/// The longest wait for somebody who has the data directory for a moment: a company that starts or stops, or a command that
/// only looks.
pub(crate) const A_WHILE: Duration = Duration::from_secs(30);
/// The pause between two looks at it.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The wait that is not worth a word.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// Makes a data directory where there is none, for its owner only.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// Locks the data directory for a company. One that runs there is not waited for.
pub(crate) async fn lock(data_dir: &Path) -> Result<DataDirLock, Exit> {
    let (began, mut told) = (Instant::now(), false);
    loop {
        let error = match DataDir::lock(data_dir) {
            Ok(lock) => return Ok(lock),
            Err(error) => error,
        };
        let LockError::Held { holder, .. } = &error else {
            has_room(data_dir)?;
            return Err(Exit::failure(error.to_string()));
        };
        let runs = Address::read(data_dir).is_some_and(|address| holder.is_none_or(|holder| holder == address.pid));
        if runs || began.elapsed() > A_WHILE {
            return Err(Exit::locked(error.to_string()));
        }
        if began.elapsed() > FIRST_WORD && !std::mem::replace(&mut told, true) {
            tracing::info!(target: "nexus_runtime", "waits for whoever has {} at the moment", data_dir.display());
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// The process of the company that runs on the data directory: the one that has left its address there and holds the lock.
/// `None` where none runs, or one is only just starting.
pub(crate) fn holder(data_dir: &Path) -> Option<(u32, Address)> {
    let address = Address::read(data_dir)?;
    match DataDir::lock(data_dir) {
        Err(LockError::Held { holder, .. }) if holder.is_none_or(|holder| holder == address.pid) => {
            Some((address.pid, address))
        }
        _ => None,
    }
}

/// The process of the company that runs on the data directory that is meant, as it says itself.
pub(crate) fn process(args: &PlaceArgs) -> Option<ProcessInfo> {
    let dir = data_dir(args).ok().filter(|_| args.nats.is_none())?;
    holder(&dir)?.1.process
}

/// As [`holder`], once nobody has the data directory who is only starting, stopping or looking.
pub(crate) async fn settled_holder(data_dir: &Path) -> Result<Option<(u32, Address)>, Exit> {
    let deadline = Instant::now() + A_WHILE;
    // Where nobody has been, nothing is made.
    while data_dir.join("lock").exists() {
        if let Some(company) = holder(data_dir) {
            return Ok(Some(company));
        }
        match DataDir::lock(data_dir) {
            Err(error @ LockError::Held { .. }) if Instant::now() > deadline => {
                return Err(Exit::locked(error.to_string()));
            }
            Err(LockError::Held { .. }) => sleep(LOOK_AGAIN).await,
            _ => break,
        }
    }
    Ok(None)
}

/// Connects to the company that is meant.
pub(crate) async fn connect(args: &PlaceArgs) -> Result<Client, Exit> {
    open(args).await.map_err(missed)
}

/// Says why there is no connection.
pub(crate) fn missed(missed: Missed) -> Exit {
    match missed {
        Missed::NoCompany(dir) => not_running(&dir),
        Missed::NoAnswer { dir, pid } => runs(&dir, pid).map_or_else(|| not_running(&dir), no_answer),
        Missed::Else(exit) => exit,
    }
}

/// The company that is meant, if it is at work; `None` where none runs, and an error where one runs that gives no answer.
pub(crate) async fn look(args: &PlaceArgs) -> Result<Option<Client>, Exit> {
    match open(args).await {
        Ok(client) if client.is_ready().await => Ok(Some(client)),
        Ok(_) if args.nats.is_some() => Err(no_ceo("the NATS server is up")),
        Ok(_) => {
            let dir = data_dir(args)?;
            let company = Address::read(&dir).and_then(|address| runs(&dir, address.pid));
            Ok(company.map(|company| Err(no_ceo(&company))).transpose()?)
        }
        Err(Missed::NoCompany(_)) => Ok(None),
        Err(Missed::NoAnswer { dir, pid }) => Ok(runs(&dir, pid).map(|company| Err(no_answer(company))).transpose()?),
        Err(Missed::Else(exit)) => Err(exit),
    }
}

/// A company whose CEO gives no answer.
pub(crate) fn no_ceo(company: &str) -> Exit {
    Exit::new(Code::Unreachable, format!("{company}, but no CEO answers"))
        .with_help("it may be starting or stopping; if that lasts, its log (its standard error) says why")
}

/// The company that runs on the data directory, if one does.
pub(crate) async fn find(args: &PlaceArgs) -> Result<Option<Client>, Exit> {
    match open(args).await {
        Ok(client) if client.is_ready().await => Ok(Some(client)),
        Ok(_) | Err(Missed::NoCompany(_) | Missed::NoAnswer { .. }) => Ok(None),
        Err(Missed::Else(exit)) if exit.code == Code::Unreachable && args.nats.is_none() => Ok(None),
        Err(Missed::Else(exit)) => Err(exit),
    }
}

/// True if the company on the data directory is a `nexus up`: a run's own company serves no page.
pub(crate) fn is_lasting(args: &PlaceArgs) -> bool {
    let address = data_dir(args).ok().and_then(|dir| Address::read(&dir));
    args.nats.is_none() && address.is_some_and(|address| address.web.is_some())
}

/// True if a company has its address on the data directory, be it there or not at the moment.
pub(crate) fn has_company(args: &PlaceArgs) -> bool {
    data_dir(args).is_ok_and(|dir| Address::read(&dir).is_some())
}

/// Why there is no connection.
pub(crate) enum Missed {
    /// Nothing says that a company runs there.
    NoCompany(PathBuf),
    /// A company has left its address there, and nothing answers at it.
    NoAnswer {
        dir: PathBuf,
        pid: u32,
    },
    Else(Exit),
}

pub(crate) async fn open(args: &PlaceArgs) -> Result<Client, Missed> {
    let connect = async |access: &Access| Bus::connect(access, "nexus-cli").await.map(Client::new);
    if let Some(url) = &args.nats {
        let credentials = args.creds.clone().map_or(Credentials::None, Credentials::File);
        let access = Access { url: url.clone(), credentials, tls: Tls::default() };
        return connect(&access).await.map_err(|error| Missed::Else(error.into()));
    }
    let dir = data_dir(args).map_err(Missed::Else)?;
    let Some(address) = Address::read(&dir) else { return Err(Missed::NoCompany(dir)) };
    let pid = address.pid;
    connect(&address.access()).await.map_err(|error| match error {
        BusError::Connect { .. } => Missed::NoAnswer { dir, pid },
        error => Missed::Else(error.into()),
    })
}

pub(crate) fn not_running(dir: &Path) -> Exit {
    Exit::new(Code::Unreachable, format!("the company at {} is not running", dir.display()))
        .with_help("start it with `nexus up`, or name another one with --data-dir or --nats")
}

/// That the company which has left its address is still there: one that was killed holds the lock no more.
fn runs(dir: &Path, pid: u32) -> Option<String> {
    match DataDir::lock(dir) {
        // Where the lock's holder can't be read, it is taken at its word.
        Err(LockError::Held { holder, .. }) if holder.is_none_or(|holder| holder == pid) => {
            Some(format!("the company at {} runs (pid {pid})", dir.display()))
        }
        _ => None,
    }
}

fn no_answer(company: String) -> Exit {
    Exit::new(Code::Unreachable, company + ", but its broker does not answer").with_help("`nexus doctor` looks at it")
}

/// Writes a file that only its owner can read, as a whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;

    let part = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(part, path)
}
