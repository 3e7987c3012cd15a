//! Overlay mounts: layers of directories that a tree of processes sees as one directory.
//!
//! The mount is made in the mount namespace of the processes that use it, and ends with the last of them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};

use crate::protocol::{Fault, Overlay, Stage};

/// Mounts the overlay in this process's mount namespace, of which it must be the owner.
pub(crate) fn mount(overlay: &Overlay) -> Result<(), Fault> {
    let layers = Layers::open(overlay)?;
    let target = open(&overlay.target, "the mount point")?;
    let is_trusted = trusts_attributes();
    let mut refused = Refused::default();
    for form in FORMS {
        let made = layers.configure(form, is_trusted).and_then(|context| {
            let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
            Ok(fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
        });
        match made {
            Ok(mount) => {
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
                return move_mount(&mount, c"", &target, c"", flags).map_err(|error| failed(error, &overlay.target));
            }
            Err(error) => {
                let is_final = error.errno != Errno::INVAL;
                refused = error;
                if is_final {
                    break;
                }
            }
        }
    }
    let detail = match refused.words.as_str() {
        "" => "mount an overlay".to_owned(),
        words => format!("mount an overlay: {words}"),
    };
    Err(Fault { stage: Stage::Overlay, errno: refused.errno.raw_os_error(), detail })
}

/// Overlays keep their notes in the attributes `trusted.overlay.*`, which only real root can write. Other users have
/// `user.overlay.*`, with which a directory of a lower layer can't be renamed.
#[must_use]
pub fn trusts_attributes() -> bool {
    let may_mount = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_ADMIN));
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    may_mount && map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// The forms in which a kernel may take the options, the best one first.
const FORMS: [Form; 4] = [
    Form { one_by_one: true, is_volatile: true },
    Form { one_by_one: false, is_volatile: true },
    Form { one_by_one: true, is_volatile: false },
    Form { one_by_one: false, is_volatile: false },
];

#[derive(Clone, Copy)]
struct Form {
    /// Lower layers are named one by one (Linux 6.8), and not in a list.
    one_by_one: bool,
    /// The end of the mount doesn't sync the whole file system below the upper layer (Linux 5.10). A killed process loses
    /// nothing by that.
    is_volatile: bool,
}

struct Refused {
    errno: Errno,
    /// The kernel's own words, if it has any.
    words: String,
}

impl Default for Refused {
    fn default() -> Self {
        Self { errno: Errno::INVAL, words: String::new() }
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self { errno, words: String::new() }
    }
}

/// The directories of an overlay, opened: no character of their paths has a meaning then.
struct Layers {
    lower: Vec<OwnedFd>,
    /// The upper layer and the work directory. None: the overlay is read-only.
    writable: Option<(OwnedFd, OwnedFd)>,
}

impl Layers {
    fn open(overlay: &Overlay) -> Result<Self, Fault> {
        let upper = open(&overlay.upper, "the upper layer")?;
        let mut lower = Vec::with_capacity(overlay.lower.len() + 1);
        let writable = match &overlay.work {
            Some(work) => {
                let work = open(work, "the work directory")?;
                forget_the_last_mount(work.as_fd());
                Some((upper, work))
            }
            None => {
                lower.push(upper);
                None
            }
        };
        for path in &overlay.lower {
            lower.push(open(path, "a lower layer")?);
        }
        Ok(Self { lower, writable })
    }

    /// A file system that is ready to be mounted.
    fn configure(&self, form: Form, is_trusted: bool) -> Result<OwnedFd, Refused> {
        let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let set = || -> Result<(), Errno> {
            if form.one_by_one {
                for layer in &self.lower {
                    fsconfig_set_string(&context, c"lowerdir+", by_descriptor(layer))?;
                }
            } else {
                let list: Vec<String> = self.lower.iter().map(by_descriptor).collect();
                fsconfig_set_string(&context, c"lowerdir", list.join(":"))?;
            }
            if let Some((upper, work)) = &self.writable {
                fsconfig_set_string(&context, c"upperdir", by_descriptor(upper))?;
                fsconfig_set_string(&context, c"workdir", by_descriptor(work))?;
                if form.is_volatile {
                    fsconfig_set_flag(&context, c"volatile")?;
                }
            }
            if is_trusted {
                let redirects = if self.writable.is_some() { c"on" } else { c"follow" };
                fsconfig_set_string(&context, c"redirect_dir", redirects)?;
            } else {
                fsconfig_set_flag(&context, c"userxattr")?;
            }
            for option in [c"metacopy", c"index", c"nfs_export"] {
                fsconfig_set_string(&context, option, c"off")?;
            }
            fsconfig_create(&context)
        };
        set().map_err(|errno| Refused { errno, words: words_of(&context) })?;
        Ok(context)
    }
}

/// An overlay that was mounted before and didn't sync leaves a mark, by which the kernel would refuse to mount it again. The
/// mark is meant for a machine that has crashed. It is put aside: to remove it and what lies there takes ten milliseconds.
fn forget_the_last_mount(work: BorrowedFd<'_>) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    // Nothing is there at first.
    let _ = rustix::fs::renameat(work, c"work", work, format!("used-{}-{}", now.tv_sec, now.tv_nsec));
}

fn by_descriptor(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn open(path: &CString, what: &str) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path.as_c_str(), flags, Mode::empty()).map_err(|error| Fault {
        stage: Stage::Overlay,
        errno: error.raw_os_error(),
        detail: format!("open {what} of an overlay, {}", path.to_string_lossy()),
    })
}

fn failed(error: Errno, at: &CStr) -> Fault {
    let detail = format!("mount an overlay at {}", at.to_string_lossy());
    Fault { stage: Stage::Overlay, errno: error.raw_os_error(), detail }
}

/// The last line that the kernel has said about a context, without its kind.
fn words_of(context: &OwnedFd) -> String {
    let mut last = String::new();
    let mut line = [0u8; 512];
    while let Ok(read) = rustix::io::read(context, &mut line) {
        let text = String::from_utf8_lossy(&line[..read]);
        last = text.trim().split_once(' ').map_or_else(String::new, |(_, words)| words.to_owned());
    }
    last
}
