use std::ffi::CString;
use std::fs::{self, FileTimes};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use nexus_process::confinement::home::PARTS;
use nexus_process::{Bind, Network, Tier};
use rustix::io::Errno;
use tempfile::TempDir;

use super::*;

/// Tasks with homes on a company's disk.
struct Site {
    dir: TempDir,
    spares: Spares,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("private")).unwrap();
        Self { spares: Spares::new(dir.path()), dir }
    }

    fn private(&self, task: TaskId) -> PathBuf {
        self.dir.path().join("private").join(task.to_string())
    }

    /// A confinement whose home has these of the user's mounted over it, and the task's workspace.
    fn confinement(&self, task: TaskId, below_home: &[&str]) -> Confinement {
        let bind = |source: PathBuf, target: PathBuf| {
            let [source, target] = [source, target].map(|path| CString::new(path.into_os_string().into_vec()).unwrap());
            Bind { source, target, exact: false }
        };
        let same = |path: String| bind(PathBuf::from(&path), PathBuf::from(&path));
        let (home, tmp) = (self.private(task).join("home"), self.private(task).join("tmp"));
        Confinement {
            tier: Tier::Landlock { clone_flags: 0 },
            read: below_home.iter().map(|name| same(format!("/home/a/{name}"))).collect(),
            write: vec![
                bind(home, PathBuf::from("/home/a")),
                bind(tmp, PathBuf::from("/tmp")),
                same(format!("/home/a/work/{task}")),
            ],
            protected: Vec::new(),
            hidden: Vec::new(),
            network: Network::Full,
        }
    }

    /// Starts a task: true if it got a home that another had before.
    fn start(&self, task: TaskId, below_home: &[&str]) -> bool {
        let private = self.private(task);
        let had = self.spares.put(task, &private, &self.confinement(task, below_home));
        self.make(task, below_home);
        had
    }

    /// Makes a task's home as a warden does.
    fn make(&self, task: TaskId, below_home: &[&str]) {
        let private = self.private(task);
        for made in
            below_home.iter().map(|name| format!("home/{name}")).chain([format!("home/work/{task}"), "tmp".into()])
        {
            fs::create_dir_all(private.join(made)).unwrap();
        }
        for part in PARTS {
            fs::set_permissions(private.join(part), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}

#[test]
fn a_home_is_kept_for_the_next_task_whose_home_is_alike() {
    let site = Site::new();
    let [first, other, next] = ["first", "other", "next"].map(TaskId::from_idempotency_key);
    assert!(!site.start(first, &[".cargo/bin"]));
    let inode = fs::metadata(site.private(first).join("home/.cargo/bin")).unwrap().ino();
    assert!(site.spares.take(first, &site.private(first)));
    assert!(!site.private(first).exists());

    assert!(!site.start(other, &[".rustup"]), "other places are mounted over");
    assert!(site.start(next, &[".cargo/bin"]));
    assert_eq!(fs::metadata(site.private(next).join("home/.cargo/bin")).unwrap().ino(), inode);
    let names: Vec<_> = fs::read_dir(site.private(next).join("home/work")).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "the first task's name is gone: {names:?}");
}

#[test]
fn a_file_that_was_mounted_over_is_kept_too() {
    let (site, task, next) =
        (Site::new(), TaskId::from_idempotency_key("one"), TaskId::from_idempotency_key("another"));
    let settings = site.dir.path().join("settings");
    fs::write(&settings, "mine").unwrap();
    let start = |task: TaskId| {
        let mut confinement = site.confinement(task, &[]);
        let source = CString::new(settings.as_os_str().as_encoded_bytes()).unwrap();
        confinement.read.push(Bind { source, target: c"/home/a/.settings".to_owned(), exact: false });
        site.spares.put(task, &site.private(task), &confinement)
    };
    assert!(!start(task));
    site.make(task, &[]);
    fs::write(site.private(task).join("home/.settings"), "").unwrap();
    assert!(site.spares.take(task, &site.private(task)));
    assert!(start(next));

    fs::write(site.private(next).join("home/.settings"), "left").unwrap();
    assert!(!site.spares.take(next, &site.private(next)));
}

#[test]
fn nothing_is_kept_that_an_agent_can_have_left() {
    type Leave = fn(&Path);
    let ways: [(&str, Leave); 8] = [
        ("a file", |home| fs::write(home.join(".cargo/x"), "").unwrap()),
        ("a directory", |home| fs::create_dir(home.join(".cargo/x")).unwrap()),
        ("a directory of a name known elsewhere", |home| fs::create_dir(home.join("bin")).unwrap()),
        ("a link", |home| symlink("/", home.join("link")).unwrap()),
        ("a file in a place's stead", |home| {
            fs::remove_dir(home.join(".cargo/bin")).unwrap();
            fs::write(home.join(".cargo/bin"), "").unwrap();
        }),
        ("a link in a place's stead", |home| {
            fs::remove_dir(home.join(".cargo/bin")).unwrap();
            symlink("/", home.join(".cargo/bin")).unwrap();
        }),
        ("a temporary file", |home| fs::write(home.with_file_name("tmp").join("x"), "").unwrap()),
        ("something in its workspace's place", |home| {
            let work = fs::read_dir(home.join("work")).unwrap().flatten().next().unwrap().path();
            fs::write(work.join("x"), "").unwrap();
        }),
    ];
    for (what, leave) in ways {
        let (site, task) = (Site::new(), TaskId::from_idempotency_key("one"));
        site.start(task, &[".cargo/bin"]);
        leave(&site.private(task).join("home"));
        assert!(!site.spares.take(task, &site.private(task)), "{what}");
        assert!(site.private(task).exists(), "{what}: it is left to be removed");
        assert!(!site.start(TaskId::from_idempotency_key("another"), &[".cargo/bin"]), "{what}");
    }
}

#[test]
fn times_and_modes_are_set_back() {
    let (site, task, next) =
        (Site::new(), TaskId::from_idempotency_key("one"), TaskId::from_idempotency_key("another"));
    site.start(task, &[".cargo/bin"]);
    let within = site.private(task).join("home/.cargo");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_007);
    let times = FileTimes::new().set_accessed(long_ago).set_modified(long_ago);
    fs::File::open(&within).unwrap().set_times(times).unwrap();
    fs::set_permissions(&within, fs::Permissions::from_mode(0o1711)).unwrap();
    assert!(site.spares.take(task, &site.private(task)));

    assert!(site.start(next, &[".cargo/bin"]));
    let found = fs::metadata(site.private(next).join("home/.cargo")).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o755);
    assert!(found.modified().unwrap() > long_ago && found.accessed().unwrap() > long_ago);
}

#[test]
fn what_has_attributes_is_not_kept() {
    let (site, task) = (Site::new(), TaskId::from_idempotency_key("one"));
    site.start(task, &[".cargo/bin"]);
    let marked = fs::File::open(site.private(task).join("home/.cargo")).unwrap();
    match rustix::fs::fsetxattr(&marked, "user.left", b"behind", rustix::fs::XattrFlags::empty()) {
        Err(Errno::NOTSUP) => eprintln!("skipped: this file system has no attributes"),
        set => {
            set.unwrap();
            assert!(!site.spares.take(task, &site.private(task)));
        }
    }
}

#[test]
fn a_home_of_a_former_run_is_removed() {
    let (site, task) = (Site::new(), TaskId::from_idempotency_key("one"));
    site.start(task, &[]);
    assert!(site.spares.take(task, &site.private(task)));
    let again = Spares::new(site.dir.path());
    again.clear();
    assert!(!site.dir.path().join("spare").exists());
}

#[test]
fn a_task_that_has_a_home_keeps_its_own() {
    let (site, task, other) =
        (Site::new(), TaskId::from_idempotency_key("one"), TaskId::from_idempotency_key("another"));
    site.start(other, &[]);
    assert!(site.spares.take(other, &site.private(other)));
    fs::create_dir_all(site.private(task).join("agent")).unwrap();
    assert!(!site.start(task, &[]));
    assert!(site.private(task).join("agent").exists());
}
