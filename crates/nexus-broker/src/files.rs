//! The broker's files, all below `<data>/broker` (0700), and what is remembered there: the port and the password.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The broker's directory in one data directory.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

/// Kept for the data directory's life, so that clients that run on reconnect after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The server's name; distinguishes it from any other server that may answer on the port.
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// The port of the last start.
    pub(crate) port: Option<u16>,
}

impl Files {
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("broker") }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("nats.conf")
    }
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("nats.log")
    }
    /// The file for what the server prints before it has opened its log: errors in its configuration.
    pub(crate) fn output(&self) -> PathBuf {
        self.dir.join("nats.out")
    }
    pub(crate) fn pid(&self) -> PathBuf {
        self.dir.join("nats.pid")
    }
    pub(crate) fn ports(&self) -> PathBuf {
        self.dir.join("ports")
    }
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }
    fn identity(&self) -> PathBuf {
        self.dir.join("identity.json")
    }

    /// Makes the directories, and empties the one for ports files: after a SIGKILL a stale one is left there.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        make_private_dir(&self.dir)?;
        match fs::remove_dir_all(self.ports()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(self.ports())?;
        fs::create_dir_all(self.store())
    }

    /// The identity; made up where none is stored, or none that can be read.
    pub(crate) fn load_identity(&self) -> Identity {
        let stored = fs::read(self.identity()).ok().and_then(|json| serde_json::from_slice(&json).ok());
        stored.unwrap_or_else(|| Identity {
            name: format!("nexus-{}", Uuid::new_v4().simple()),
            user: "nexus".to_owned(),
            password: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            port: None,
        })
    }

    pub(crate) fn save_identity(&self, identity: &Identity) -> io::Result<()> {
        write_private(&self.identity(), &serde_json::to_vec_pretty(identity)?)
    }

    /// The process that wrote the pid file, which may be gone.
    pub(crate) fn recorded_pid(&self) -> Option<u32> {
        fs::read_to_string(self.pid()).ok()?.trim().parse().ok()
    }

    /// The port a server with this pid announced, once it is ready for clients.
    pub(crate) fn announced_port(&self, pid: u32) -> Option<u16> {
        #[derive(Deserialize)]
        struct Ports {
            nats: Vec<String>,
        }
        let entries = fs::read_dir(self.ports()).ok()?.flatten();
        let ours = format!("_{pid}.ports");
        let path = entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(&ours))?;
        // Half a file doesn't parse; it is looked at again when the rest is written.
        let ports: Ports = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        ports.nats.first()?.rsplit(':').next()?.parse().ok()
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = create_private(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    // A file that was there already keeps its own mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(unix)]
fn make_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// On Windows a file is as private as the user's own data directory, where it lies.
#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(true).open(path)
}

#[cfg(not(unix))]
fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}
