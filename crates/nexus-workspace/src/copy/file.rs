//! Copies one file from an opened directory to another: sharing its blocks where the file system can, with its holes.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Mode, OFlags, Timespec, Timestamps, fchmod, fstat, futimens, openat};
use rustix::io::Errno;

use super::{Cut, Size};

/// A pipe that has been put in its place doesn't keep anybody waiting, and a link isn't followed.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const WRITE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The opened file decides: it may be another one than was listed.
pub(super) fn copy(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    size: &mut Size,
) -> Result<Result<(), Errno>, Cut> {
    let opened = openat(from, name, READ, Mode::empty()).and_then(|fd| fstat(&fd).map(|stat| (fd, stat)));
    let (source, stat) = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(Ok(()));
    }
    let length = u64::try_from(stat.st_size).unwrap_or_default();
    size.add(length)?;
    let copied = || -> io::Result<()> {
        let target = File::from(openat(to, name, WRITE, Mode::RUSR | Mode::WUSR)?);
        let source = File::from(source);
        contents(&source, &target, length)?;
        fchmod(&target, Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o777))?;
        // Old times let build tools see what is up to date.
        let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: nanos(stat.st_mtime_nsec) };
        futimens(&target, &Timestamps { last_access: modified, last_modification: modified })?;
        Ok(())
    };
    Ok(copied().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}

fn nanos(nanos: impl TryInto<rustix::fs::Nsecs>) -> rustix::fs::Nsecs {
    nanos.try_into().unwrap_or_default()
}

/// The first `length` bytes, so that one that grows meanwhile doesn't fill the disk.
fn contents(source: &File, target: &File, length: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        // It may have grown since it was looked at.
        return if target.metadata()?.len() > length { target.set_len(length) } else { Ok(()) };
    }
    target.set_len(length)?;
    let mut at = 0;
    while let Some((begin, end)) = data(source, at, length)? {
        let (mut reader, mut writer) = (source, target);
        reader.seek(io::SeekFrom::Start(begin))?;
        writer.seek(io::SeekFrom::Start(begin))?;
        // Within the kernel, where it can.
        io::copy(&mut reader.take(end - begin), &mut writer)?;
        at = end;
    }
    Ok(())
}

/// The next part with data from `at` on; what is between is holes.
#[cfg(target_os = "linux")]
fn data(source: &File, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    use rustix::fs::{SeekFrom, seek};
    if at >= length {
        return Ok(None);
    }
    let begin = match seek(source, SeekFrom::Data(at)) {
        Ok(begin) => begin,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes.
        Err(_) => return Ok(Some((at, length))),
    };
    let end = seek(source, SeekFrom::Hole(begin)).unwrap_or(length).min(length);
    Ok((begin < end).then_some((begin, end)))
}

#[cfg(not(target_os = "linux"))]
fn data(_: &File, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    Ok((at < length).then_some((at, length)))
}
