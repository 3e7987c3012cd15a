//! Trying an overlay: mounted, and used as a workspace would be.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::confine::spaces::{Spaces, with_mounts};
use crate::protocol::{Fault, Overlay, Stage};
use crate::tree::{confess, fault, fork};

/// Mounts the overlay in a child, changes `file` there, makes a directory, and removes `file`.
pub(super) fn attempt(overlay: &Overlay, file: &CString) -> Result<(), Fault> {
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| fault(Stage::Fork, &error.into()))?;
    let spaces = Spaces::of_this_user(with_mounts(0));
    let child = fork::clone(spaces.flags, None).map_err(|error| Fault {
        detail: "make a namespace for an overlay".to_owned(),
        ..fault(Stage::Overlay, &error)
    })?;
    let Some(child) = child else {
        if let Err(failed) = in_child(spaces, overlay, file) {
            confess(&mut write.into(), &failed);
        }
        fork::exit(0)
    };
    drop(write);
    let mut said = Vec::new();
    io::Read::read_to_end(&mut std::fs::File::from(read), &mut said).map_err(|error| fault(Stage::Fork, &error))?;
    let ended = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    if !said.is_empty() {
        return Err(crate::protocol::read(&said).unwrap_or_else(|_| fault(Stage::Overlay, &io::Error::other("?"))));
    }
    match ended {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
        _ => Err(fault(Stage::Overlay, &io::Error::other("the trial of an overlay was killed"))),
    }
}

fn in_child(spaces: Spaces, overlay: &Overlay, file: &CStr) -> Result<(), Fault> {
    let doing = |what: &str, error: io::Error| Fault { detail: what.to_owned(), ..fault(Stage::Overlay, &error) };
    spaces.begin().map_err(|error| doing("make a namespace for an overlay", error))?;
    crate::overlay::mount(overlay)?;
    use_it(&overlay.target, file).map_err(|error| doing("change files in an overlay", error.into()))
}

fn use_it(target: &CStr, file: &CStr) -> rustix::io::Result<()> {
    let directory: OwnedFd =
        rustix::fs::open(target, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let opened =
        rustix::fs::openat(&directory, file, OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&opened, b"changed\n")?;
    rustix::fs::mkdirat(&directory, c"directory", Mode::from(0o755))?;
    rustix::fs::unlinkat(&directory, file, AtFlags::empty())?;
    rustix::fs::mkdirat(&directory, file, Mode::from(0o755))
}
