//! A terminal of a given width, and a command that runs on it.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::processes::{signal, until};
use super::{Place, Ran};

/// A command on a terminal, which is its standard output and standard error.
pub(crate) struct OnTerminal {
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Place {
    pub(crate) fn on_terminal(&self, columns: u16, args: &[&str]) -> OnTerminal {
        self.on_terminal_with(columns, args, &[])
    }

    pub(crate) fn on_terminal_with(&self, columns: u16, args: &[&str], env: &[(&str, &str)]) -> OnTerminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut command = self.nexus(args);
        let child =
            command.env("TERM", "xterm").envs(env.iter().copied()).stdout(open()).stderr(open()).spawn().unwrap();
        // The command's own are the only ones left: its end ends the reading.
        drop(command);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut master, sink) = (File::from(master), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = master.read(&mut part) {
                sink.lock().unwrap().extend_from_slice(&part[..read]);
            }
        });
        OnTerminal { child, seen, reader }
    }

    /// What a command that ends by itself leaves on a terminal, as plain lines.
    pub(crate) fn shown_on(&self, columns: u16, args: &[&str]) -> String {
        self.on_terminal(columns, args).end().stdout
    }
}

impl OnTerminal {
    /// Waits until this was shown.
    #[track_caller]
    pub(crate) fn shows(&self, words: &str) {
        until(words, || String::from_utf8_lossy(&self.seen.lock().unwrap()).contains(words).then_some(()));
    }

    pub(crate) fn interrupt(&self) {
        signal(self.child.id(), Signal::INT);
    }

    /// Its end, and all that was shown, with the terminal's own line ends taken away.
    pub(crate) fn end(mut self) -> Ran {
        let code = self.child.wait().unwrap().code();
        self.reader.join().unwrap();
        let seen = String::from_utf8_lossy(&self.seen.lock().unwrap()).replace("\r\n", "\n");
        Ran { code, stdout: seen, stderr: String::new() }
    }
}

/// Text without its colours, and its width at the widest.
pub(crate) fn plain(text: &str) -> (String, usize) {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    let width = plain.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    (plain, width)
}
