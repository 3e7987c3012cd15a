//! The line at the foot of a terminal that says what goes on: it gives way to other lines, and is gone in the end.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Screen, one_line};

/// The line that is shown at the moment: a terminal has one foot.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Shows a line, until it is dropped. Elsewhere than on a terminal it shows nothing.
#[derive(Debug)]
pub(crate) struct Live {
    bar: Option<ProgressBar>,
}

impl Live {
    pub(crate) fn begin() -> Self {
        let bar = Screen::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&bar);
        Self { bar }
    }

    /// True if somebody may be looking.
    pub(crate) const fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    pub(crate) fn say(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(one_line(text).into_owned());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
            bar.finish_and_clear();
        }
    }
}

/// Writes something above the line that is shown, if one is.
pub(super) fn above<T>(write: impl FnOnce() -> T) -> T {
    let bar = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Standard error, above the line that is shown.
#[derive(Debug)]
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
