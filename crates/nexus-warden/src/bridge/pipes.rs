//! The way by pipes: several pairs that lie in the file system, each for one connection at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, OFlags, fcntl_getfl, fcntl_setfl, flock};

/// The longest time that all pairs may be taken, or be made ready again after somebody has left.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// The end from which the company is read.
pub(super) struct Down {
    /// Who holds this has the pair.
    _lock: File,
    pipe: File,
    heard: bool,
}

/// A pair that nobody has, in the current directory.
pub(super) fn take() -> io::Result<(File, Down)> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut pairs = (0..).take_while(|pair| Path::new(&format!("{pair}.lock")).exists());
        if let Some(taken) = pairs.find_map(|pair| try_take(pair).ok()) {
            return Ok(taken);
        }
        if Instant::now() > until {
            return Err(io::Error::other("all connections of this task are taken, or its attempt is over"));
        }
        std::thread::sleep(PAUSE);
    }
}

fn try_take(pair: usize) -> io::Result<(File, Down)> {
    let lock = File::open(format!("{pair}.lock"))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    let open = |options: &mut OpenOptions, path: String| {
        // Without waiting: refused where nobody reads at the other end.
        let pipe = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? - OFlags::NONBLOCK)?;
        io::Result::Ok(pipe)
    };
    // Before the other one, by which the company hears of us: it opens its end of this one then.
    let pipe = open(OpenOptions::new().read(true), format!("{pair}.down"))?;
    let up = open(OpenOptions::new().write(true), format!("{pair}.up"))?;
    Ok((up, Down { _lock: lock, pipe, heard: false }))
}

impl Read for Down {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.heard {
            // As long as nobody has opened its other end, reading would find the end at once.
            poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], None)?;
            self.heard = true;
        }
        self.pipe.read(buffer)
    }
}
