//! Other users and other machines than the one the tests run as and on, as far as root can pretend.
#![expect(clippy::disallowed_types, reason = "the program under test is started as its user starts it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Place, tools};

/// The way in which the program is started, and the place from where.
pub(crate) struct Guise {
    prefix: Vec<&'static str>,
    /// Copies, where the originals can't be reached.
    program: Option<PathBuf>,
    tools: Option<PathBuf>,
}

/// A user who owns nothing: `nobody` of Debian.
const NOBODY: u32 = 65534;

impl Guise {
    pub(super) fn command(guise: Option<&Self>) -> Command {
        let original = Path::new(env!("CARGO_BIN_EXE_nexus"));
        let program = guise.and_then(|guise| guise.program.as_deref()).unwrap_or(original);
        match guise.map(|guise| guise.prefix.as_slice()) {
            Some([first, rest @ ..]) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            _ => Command::new(program),
        }
    }

    pub(super) fn tools(&self) -> Option<&PathBuf> {
        self.tools.as_ref()
    }
}

impl Place {
    /// From now on it is a user's who owns nothing else. Only root can do that.
    pub(crate) fn belongs_to_nobody(&self) {
        let (program, tools) = (self.path("nexus"), self.path("xdg-data"));
        fs::copy(env!("CARGO_BIN_EXE_nexus"), &program).unwrap();
        let server = tools::server(tools::home()).unwrap();
        fs::create_dir_all(tools.join("nexus/tools")).unwrap();
        fs::copy(&server, tools.join("nexus/tools").join(server.file_name().unwrap())).unwrap();
        give(&self.path(""));
        let prefix = vec!["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        assert!(self.guise.set(Guise { prefix, program: Some(program), tools: Some(tools) }).is_ok());
    }

    /// From now on its machine has no control groups. Only root can do that.
    pub(crate) fn has_no_control_groups(&self) {
        let hide = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
        let prefix = vec!["unshare", "--mount", "sh", "-c", hide, "sh"];
        assert!(self.guise.set(Guise { prefix, program: None, tools: None }).is_ok());
    }
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}
