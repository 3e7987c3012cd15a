//! The one place where all tests find their nats-server. It is filled once; then no test downloads anything.
#![expect(clippy::disallowed_types, reason = "the program under test is started as its user starts it")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The `XDG_DATA_HOME` of every test.
pub(crate) fn home() -> &'static PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("xdg-data");
        fs::create_dir_all(&home).unwrap();
        // Each test is a process of its own: the first one installs, the others wait for it.
        let lock = File::create(home.join("lock")).unwrap();
        lock.lock().unwrap();
        if server(&home).is_none() {
            let mut install = Command::new(env!("CARGO_BIN_EXE_nexus"));
            let done = install.args(["broker", "install"]).env("XDG_DATA_HOME", &home).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        home
    })
}

/// The server that was installed there.
pub(crate) fn server(home: &std::path::Path) -> Option<PathBuf> {
    let listing = fs::read_dir(home.join("nexus/tools")).ok()?;
    let mut paths = listing.map(|entry| entry.unwrap().path());
    paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("nats-server-"))
}
