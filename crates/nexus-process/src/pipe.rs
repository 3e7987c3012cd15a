//! Pipes that have a name.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Makes one that only its owner can open.
///
/// # Errors
/// When it can't be made, or something is there already.
pub fn make(path: &Path) -> io::Result<()> {
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}
