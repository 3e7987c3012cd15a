//! A server's complaints since its last start, in its own words.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Of the log, what is looked at: a start on a large store is a few KiB.
const LOOK: u64 = 256 * 1024;
/// Enough to tell what is wrong; the log has the rest.
const LINES: usize = 5;

/// The first warnings and errors of the last start.
pub(crate) fn of_last_start(log: &Path) -> Vec<String> {
    let text = end_of(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let start = text.rfind("Starting nats-server").unwrap_or(0);
    let complaint = |line: &str| {
        let said = ["[WRN] ", "[ERR] ", "[FTL] "].iter().find_map(|level| line.split_once(level))?.1;
        Some(said.trim().to_owned())
    };
    text[start..].lines().filter_map(complaint).take(LINES).collect()
}

fn end_of(log: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOK)))?;
    let mut text = Vec::new();
    file.take(LOOK).read_to_end(&mut text)?;
    Ok(text)
}
