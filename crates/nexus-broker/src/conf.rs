//! The server's configuration file, as text. Pure.

use std::fmt::Write as _;
use std::path::Path;

use crate::files::{Files, Identity};

/// When acknowledged writes reach the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Every second: a power failure can lose the last one; a crash of any program loses nothing.
    #[default]
    Interval,
    /// Before each is acknowledged: nothing acknowledged is lost, at a seventh of the speed or less.
    Always,
}

/// The part of the configuration that can be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choices {
    /// `None`: one the system picks.
    pub(crate) port: Option<u16>,
    pub(crate) sync: Sync,
    pub(crate) max_payload: u32,
}

/// Renders the configuration.
pub(crate) fn render(files: &Files, identity: &Identity, choices: Choices) -> String {
    let mut text = String::new();
    let port = choices.port.map_or(-1, i32::from);
    let sync = match choices.sync {
        Sync::Interval => "1s",
        Sync::Always => "always",
    };
    let mut line = |key: &str, value: &str| {
        // Writing into a string never fails.
        let _ = writeln!(text, "{key}: {value}");
    };
    line("# Written by nexus at each start; changes are lost.\nserver_name", &quote(identity.name.as_bytes()));
    line("listen", &quote(format!("127.0.0.1:{port}").as_bytes()));
    line("pid_file", &quote_path(&files.pid()));
    line("ports_file_dir", &quote_path(&files.ports()));
    line("log_file", &quote_path(&files.log()));
    line("logtime", "true");
    // The log is for looking up what went wrong lately: three files of 8 MiB at most.
    line("logfile_size_limit", "8388608");
    line("logfile_max_num", "3");
    line("max_payload", &choices.max_payload.to_string());
    // A company is a handful of processes with one connection each; more is a fault that should show.
    line("max_connections", "1024");
    // A client that takes nothing for so long is cut off rather than buffered for.
    line("write_deadline", "\"10s\"");
    line(
        "authorization",
        &format!("{{ user: {}, password: {} }}", quote(identity.user.as_bytes()), quote(identity.password.as_bytes())),
    );
    // Without `max_file_store` the server allows itself three quarters of what is *free now*, so a full store may not
    // be loaded again. The streams have bounds of their own.
    line(
        "jetstream",
        &format!(
            "{{ store_dir: {}, max_file_store: 1125899906842624, sync_interval: \"{sync}\" }}",
            quote_path(&files.store())
        ),
    );
    text
}

/// A double-quoted string: every byte but plain printable ASCII is written as `\xHH`, which the server turns back into
/// that byte, so any path comes through.
fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => quoted.push(char::from(*byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02X}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(unix)]
fn quote_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    quote(path.as_os_str().as_bytes())
}

#[cfg(not(unix))]
fn quote_path(path: &Path) -> String {
    quote(path.to_string_lossy().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_can_be_quoted() {
        for (plain, quoted) in [
            ("/plain/path", r#""/plain/path""#),
            (r#"/a b/"q"/c\d"#, r#""/a b/\"q\"/c\\d""#),
            ("/é\n$x#{}", r#""/\xC3\xA9\x0A$x#{}""#),
        ] {
            assert_eq!(quote(plain.as_bytes()), quoted);
        }
    }

    #[test]
    fn only_loopback_is_listened_on() {
        let files = Files::of(Path::new("/data"));
        let identity = files.load_identity();
        for (port, listen) in [(None, "listen: \"127.0.0.1:-1\""), (Some(4242), "listen: \"127.0.0.1:4242\"")] {
            let text = render(&files, &identity, Choices { port, sync: Sync::Always, max_payload: 1024 });
            assert!(text.contains(listen) && text.contains("sync_interval: \"always\""), "{text}");
        }
    }
}
