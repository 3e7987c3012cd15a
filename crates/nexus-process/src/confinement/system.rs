//! The part of a machine that every program may read: its programs and their settings, but for the secrets among these.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::known::Known;

/// Where systems keep programs, libraries and what belongs to them.
const ROOTS: [&str; 12] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
    "/sys",
];

/// The depth to which `/etc` is looked into for secrets: keys lie as deep as `docker/certs.d/host/client.key`.
const DEEPEST: u32 = 8;

/// The part of this machine that every program may read, as it was when it was looked at.
#[derive(Clone, Debug, Default)]
pub struct System {
    pub(super) readable: Vec<PathBuf>,
    /// Of `/etc`: not to be read.
    pub(super) secret: Vec<PathBuf>,
    /// All the rest of it, entry by entry.
    pub(super) open: Vec<PathBuf>,
    /// The needs that programs beside it were found to have.
    pub(super) known: Known,
}

impl System {
    /// Looks. What is secret of `/etc` is what the system itself shows to root alone.
    #[must_use]
    pub fn look() -> Self {
        let mut system = Self { readable: ROOTS.iter().map(PathBuf::from).collect(), ..Self::default() };
        for path in entries(Path::new("/etc")) {
            system.sort(path, DEEPEST);
        }
        // Often a link to where a service keeps it.
        if let Ok(real) = Path::new("/etc/resolv.conf").canonicalize()
            && !real.starts_with("/etc")
        {
            system.readable.push(real);
        }
        system
    }

    /// Directories down to `depth` are looked into: one that holds a secret is open in its other parts only.
    fn sort(&mut self, path: PathBuf, depth: u32) {
        let Ok(metadata) = path.symlink_metadata() else { return };
        if metadata.is_symlink() {
            // Landlock opens what a link leads to, which may lie anywhere.
            let leads_to = path.canonicalize().unwrap_or_default();
            if self.readable.iter().any(|root| leads_to.starts_with(root)) {
                self.open.push(path);
            }
        } else if !is_public(&metadata) {
            self.secret.push(path);
        } else if metadata.is_dir() && depth > 0 {
            let secrets = self.secret.len();
            let opened = self.open.len();
            for entry in entries(&path) {
                self.sort(entry, depth - 1);
            }
            if self.secret.len() == secrets {
                self.open.truncate(opened);
                self.open.push(path);
            }
        } else {
            self.open.push(path);
        }
    }
}

fn is_public(metadata: &Metadata) -> bool {
    let needed = if metadata.is_dir() { 0o005 } else { 0o004 };
    metadata.mode() & needed == needed
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_root_may_read_is_secret() {
        let system = System::look();
        assert!(system.secret.iter().any(|path| path.ends_with("shadow")), "{:?}", system.secret);
        assert!(system.open.iter().any(|path| path.ends_with("passwd")));
        assert!(!system.open.iter().any(|open| system.secret.iter().any(|secret| secret.starts_with(open))));
    }
}
