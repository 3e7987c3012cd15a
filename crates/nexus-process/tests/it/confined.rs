//! Confined agents: each tries what it must not be able to do, in every tier that the machine has, and is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::confinement::{Policy, System, Ways, probe_ways};
use nexus_process::{
    Command, Event, Groups, Launch, Limits, Maker, Network, SpawnError, Tier, Wardens, user_environment,
};

use crate::support::{Story, launch, line, marked, read, said_and_left, soon};

/// A user's machine in small: a home with secrets and settings, a company's data directory, and a workspace.
pub(crate) struct Scene {
    root: tempfile::TempDir,
    system: System,
    tier: Tier,
    pub(crate) workspace: PathBuf,
    pub(crate) network: Network,
    pub(crate) of_home: Vec<(String, bool)>,
    pub(crate) protected: Vec<PathBuf>,
    pub(crate) readable: Vec<PathBuf>,
}

impl Scene {
    pub(crate) fn new(tier: Tier) -> Self {
        let root = tempfile::Builder::new().prefix("scene").tempdir_in(place()).unwrap();
        for dir in [
            "home/.ssh",
            "home/.agent",
            "data/workspaces/mine",
            "data/workspaces/other",
            "data/private/home",
            "data/private/tmp",
        ] {
            std::fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for file in [
            "home/.ssh/id",
            "home/.agent/login",
            "data/token",
            "data/workspaces/other/work",
            "data/workspaces/mine/own",
        ] {
            std::fs::write(root.path().join(file), "untouched\n").unwrap();
        }
        Self {
            workspace: root.path().canonicalize().unwrap().join("data/workspaces/mine"),
            root,
            system: System::look(),
            tier,
            network: Network::Full,
            of_home: Vec::new(),
            protected: Vec::new(),
            readable: Vec::new(),
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(below)
    }

    pub(crate) fn launch(&self, program: &str, args: &[&str]) -> Launch {
        self.try_launch(program, args).unwrap()
    }

    pub(crate) fn try_launch(&self, program: &str, args: &[&str]) -> Result<Launch, String> {
        let workspace = &self.workspace;
        // One that a careless user has: with the home itself, and all of the company's.
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        for careless in ["home", "data", ""] {
            path.push(":");
            path.push(self.path(careless));
        }
        let policy = Policy {
            tier: self.tier.clone(),
            network: self.network,
            workspace,
            protected: &self.protected,
            readable: &self.readable,
            pipes: &[],
            private: &self.path("data/private"),
            home: Some(&self.path("home")),
            of_home: &self.of_home,
            read: &[],
            write: &[],
            data_dir: &self.path("data"),
            program: program.as_ref(),
            path: &path,
        };
        let (confinement, env) = policy.confine(&self.system)?;
        let command = Command::new(program, workspace).args(args).env(user_environment(&[])).env(env);
        let scene = [("SCENE", self.root.path().canonicalize().unwrap())];
        Ok(Launch { confinement: Some(confinement), ..launch(command.env(scene)) })
    }

    pub(crate) async fn sh(&self, script: &str) -> Story {
        run(&self.launch("sh", &["-c", script])).await
    }

    pub(crate) async fn python(&self, script: &str) -> Story {
        run(&self.launch("python3", &["-c", script])).await
    }

    /// Nothing outside of the workspace has changed.
    pub(crate) fn is_untouched(&self) -> bool {
        let files = ["home/.ssh/id", "home/.agent/login", "data/token", "data/workspaces/other/work"];
        files.iter().all(|file| std::fs::read_to_string(self.path(file)).unwrap() == "untouched\n")
            && std::fs::read_dir(self.path("home")).unwrap().count() == 2
            && std::fs::read_dir(self.path("data/workspaces")).unwrap().count() == 2
    }
}

/// Where scenes are made: not in the temporary directory, which a confined agent has its own of.
pub(crate) fn place() -> PathBuf {
    std::env::var_os(PLACE).map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

const PLACE: &str = "NEXUS_TEST_SCENES";

#[tokio::test]
async fn in_users_of_its_own_it_can_fork_no_more_than_a_few_times_what_it_may() {
    const NEWUSER: u64 = 0x1000_0000;
    for tier in tiers() {
        let flags = match &tier {
            Tier::Namespaces { maker: Maker::Warden { clone_flags } } | Tier::Landlock { clone_flags } => *clone_flags,
            Tier::Namespaces { .. } => 0,
        };
        let asks = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[0])";
        let limits = Limits { processes: Some(50), ..Limits::default() };
        let story = run(&Launch { limits, ..Scene::new(tier).launch("python3", &["-c", asks]) }).await;
        assert_eq!(story.stdout == ["200"], flags & NEWUSER != 0, "{story:?}");
    }
}

/// All the others of this file, by a user who owns nothing. Where this one is not root, that is how they run anyway.
#[test]
fn as_an_ordinary_user_too() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: this is an ordinary user");
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let scenes = dir.path().join("scenes");
    std::fs::create_dir(&scenes).unwrap();
    for path in [dir.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(&scenes, std::fs::Permissions::from_mode(0o1777)).unwrap();
    let ran = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["confined", "limits::", "overlay::", "--skip", "as_an_ordinary_user_too"])
        .env(PLACE, &scenes)
        .env("HOME", "/nonexistent")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("test result: ok"),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

pub(crate) async fn run(launch: &Launch) -> Story {
    let wardens = Wardens::new(Groups::default());
    let mut started = soon(wardens.start(launch)).await.unwrap();
    let story = read(&mut started.events).await;
    assert_eq!(marked(&launch.mark), Vec::<u32>::new());
    story
}

/// Every tier that this machine has. One has none only where the test is of no use, which it says.
pub(crate) fn tiers() -> Vec<Tier> {
    let available = probe_ways(&std::env::var_os("PATH").unwrap_or_default(), Ways::All);
    let mut tiers = Vec::new();
    match available.own {
        Ok(maker) => {
            tiers.push(Tier::Namespaces { maker: maker.clone() });
            if let Maker::Warden { clone_flags } = maker {
                // With a namespace of users too, as an ordinary user has it.
                tiers.push(Tier::Namespaces { maker: Maker::Warden { clone_flags: clone_flags | 0x1000_0000 } });
                tiers.dedup();
            }
        }
        Err(why) => eprintln!("without the warden's own namespaces: {why}"),
    }
    match available.bwrap {
        Ok(maker) => tiers.push(Tier::Namespaces { maker }),
        Err(why) => eprintln!("without namespaces by bwrap: {why}"),
    }
    match available.landlock {
        Ok(_) => {
            tiers.push(Tier::Landlock { clone_flags: 0 });
            if available.clone_flags != 0 {
                tiers.push(Tier::Landlock { clone_flags: available.clone_flags });
                // With a namespace of users too, as an ordinary user has it.
                tiers.push(Tier::Landlock { clone_flags: available.clone_flags | 0x1000_0000 });
                tiers.dedup();
            }
        }
        Err(why) => eprintln!("without Landlock: {why}"),
    }
    assert!(!tiers.is_empty(), "this machine can't confine anything");
    tiers
}

#[tokio::test]
async fn it_works_in_its_workspace_and_in_nothing_else() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let story = scene
            .sh("set -e
                echo mine > file; mkdir dir; mv file dir/; ln -s dir/file link; cat link own
                echo temporary > $TMPDIR/x; echo home > $HOME/x; cat $TMPDIR/x $HOME/x
                git --version >/dev/null; python3 -c 'print(6 * 7)'; ls /usr/bin >/dev/null; id -u >/dev/null
                (exit 3)")
            .await;
        let said = ["mine", "untouched", "temporary", "home", "42"];
        assert_eq!(
            (story.stdout.as_slice(), story.status),
            (said.map(str::to_owned).as_slice(), Some(ExitStatus::Code(3))),
            "{tier:?}: {:?}",
            story.stderr
        );
        assert_eq!(std::fs::read_to_string(scene.path("data/workspaces/mine/dir/file")).unwrap(), "mine\n");
        assert!(scene.is_untouched());
    }
}

/// The misdeeds that are tried; each line that the script prints beginning with "did" is a hole. What is only done, not tried,
/// may be done to something of its own that has the same name: whether it was, the files say afterwards.
const EVIL_FILES: &str = r#"
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "did $name"; fi; }
S=$SCENE
try "read ~/.ssh" grep untouched $S/home/.ssh/id
try "read the token" grep untouched $S/data/token
try "read another workspace" grep untouched $S/data/workspaces/other/work
try "read by /proc/self/root" grep untouched /proc/self/root$S/data/token
try "read by /proc/1/root" grep untouched /proc/1/root$S/data/token
try "read by a link" sh -c "ln -sf $S/home/.ssh/id k && grep untouched k"
try "hard link out" sh -c "ln $S/home/.ssh/id hard && grep untouched hard"
try "hard link to /etc" sh -c "ln /etc/passwd pw && echo evil >> pw"
try "climb out by a renamed directory" \
    sh -c "mkdir -p a/b; cd a/b; mv ../../a $S/data/workspaces/other/a; grep untouched ../../other/work"
{
    echo evil > $S/data/workspaces/other/work
    echo evil > ../evil
    echo evil > $S/home/.ssh/id
    echo evil > /proc/self/root$S/data/token
    ln -sf $S/data/token l && echo evil > l
    mv own $S/data/workspaces/other/own
} 2>/dev/null
try "read shadow" cat /etc/shadow
try "write /etc" sh -c "echo evil >> /etc/hosts"
try "write /usr" touch /usr/evil
try "write /usr/local" touch /usr/local/bin/evil
try "read /run" ls /run/.
try "read /root" sh -c "ls -A /root/. | grep -q ."
try "write a device" sh -c "echo x > /dev/sda"
try "write the kernel's settings" sh -c "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern"
try "sysrq" sh -c "echo h > /proc/sysrq-trigger"
try "mount" mount -t tmpfs none /mnt
try "unshare" unshare -m true
try "unshare users" unshare -Ur true
try "chroot" chroot / true
try "nsenter" nsenter -t 1 -m true
try "become another" sh -c "command -v sudo && sudo -n true"
try "write cgroups" sh -c "mkdir /sys/fs/cgroup/evil || mkdir /sys/fs/cgroup/unified/evil"
echo done
"#;

#[tokio::test]
async fn files_out_of_reach_stay_out_of_reach() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let story = scene.sh(EVIL_FILES).await;
        assert_eq!(story.stdout, ["done"], "{tier:?}: {:?}", story.stderr);
        assert!(scene.is_untouched(), "{tier:?}");
    }
}

const EVIL_CALLS: &str = r#"
import ctypes, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    if libc.syscall(number, *args) != -1:
        print("did", name)
call("ptrace its parent", 101, 16, os.getppid(), 0, 0)
call("io_uring", 425, 8, ctypes.create_string_buffer(256))
call("keyctl", 250, 0, -3, 1)
call("add_key", 248, b"user", b"n", b"v", 1, -3)
call("bpf", 321, 0, ctypes.create_string_buffer(256), 128)
call("unshare", 272, 0x10000000)
call("clone into a user namespace", 56, 0x10000000 | 17, 0, 0, 0, 0)
call("clone3", 435, ctypes.create_string_buffer(b"\0" * 32 + b"\x11" + b"\0" * 55), 88)
call("x32 getpid", 0x40000000 + 39)
call("userfaultfd", 323, 0)
call("process_vm_readv", 310, os.getppid(), 0, 0, 0, 0, 0)
for pid, name in ((int(os.environ["RUNTIME"]), "the runtime"), (int(os.environ["SIBLING"]), "a sibling")):
    try:
        os.kill(pid, 0)
        print("did signal", name)
    except OSError:
        pass
    for file in ("environ", "mem", "root/etc/passwd", "fd/0"):
        try:
            open(f"/proc/{pid}/{file}", "rb").read(1)
            print("did read", file, "of", name)
        except OSError:
            pass
for family in (socket.AF_PACKET, socket.AF_VSOCK, socket.AF_ALG):
    try:
        socket.socket(family, socket.SOCK_RAW if family == socket.AF_PACKET else socket.SOCK_SEQPACKET if family == socket.AF_ALG else socket.SOCK_STREAM)
        print("did make a socket of family", family)
    except OSError:
        pass
for path in (os.environ["DOCKER"], "/var/run/docker.sock", "/run/docker.sock"):
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("did talk to", path)
    except OSError:
        pass
with open("/proc/self/status") as status:
    for line in status:
        if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb")) and int(line.split()[1], 16) and os.getuid() == 0:
            print("did keep", line.strip())
        if line.startswith("NoNewPrivs") and line.split()[1] != "1":
            print("did keep its privileges")
print("done")
"#;

#[tokio::test]
async fn other_processes_and_the_kernel_stay_out_of_reach() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let socket = scene.path("docker.sock");
        let _docker = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let wardens = Wardens::new(Groups::default());
        let mut sibling = soon(wardens.start(&scene.launch("sh", &["-c", "echo ready; exec sleep 60"]))).await.unwrap();
        assert_eq!(line(&mut sibling.events).await, "ready");
        let mut launch = scene.launch("python3", &["-c", EVIL_CALLS]);
        launch.command = launch.command.env([
            ("RUNTIME", std::process::id().to_string()),
            ("SIBLING", sibling.tree.pid().to_string()),
            ("DOCKER", socket.display().to_string()),
        ]);
        let story = run(&launch).await;
        assert_eq!(story.stdout, ["done"], "{tier:?}: {:?}", story.stderr);
        assert!(!sibling.tree.gone().is_gone());
    }
}

#[tokio::test]
async fn without_a_network_there_is_nobody_to_talk_to() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = format!(
        "import socket\nfor address in (('127.0.0.1', {}), ('169.254.169.254', 80), ('1.1.1.1', 443)):\n  try:\n    s = \
         socket.create_connection(address, 2)\n    print('did reach', address)\n  except OSError: pass\nprint('done')",
        address.port()
    );
    for tier in tiers() {
        let mut scene = Scene::new(tier.clone());
        let open = scene.python(&script).await;
        assert!(open.stdout[0].starts_with("did reach ('127.0.0.1'"), "{tier:?}: {open:?}");
        scene.network = Network::None;
        let story = scene.python(&script).await;
        assert_eq!(story.stdout, ["done"], "{tier:?}: {:?}", story.stderr);
    }
}

#[tokio::test]
async fn its_settings_are_there_and_nothing_else_of_the_home() {
    for tier in tiers() {
        let mut scene = Scene::new(tier.clone());
        scene.of_home = vec![(".agent".to_owned(), false)];
        let story = scene.sh("cat $HOME/.agent/login; echo evil > $HOME/.agent/login; ls -A $HOME").await;
        assert_eq!(story.stdout, ["untouched", ".agent"], "{tier:?}: {:?}", story.stderr);
        assert!(scene.is_untouched());
        scene.of_home = vec![(".agent".to_owned(), true)];
        scene.sh("echo changed > $HOME/.agent/login").await;
        assert_eq!(std::fs::read_to_string(scene.path("home/.agent/login")).unwrap(), "changed\n", "{tier:?}");
    }
}

#[tokio::test]
async fn signals_reach_a_confined_tree_and_its_end_is_told() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let wardens = Wardens::new(Groups::default());
        let polite =
            scene.launch("sh", &["-c", "trap 'echo stopped; exit 7' INT; echo ready; while :; do sleep 0.05; done"]);
        let mut started = soon(wardens.start(&polite)).await.unwrap();
        assert_eq!(line(&mut started.events).await, "ready");
        let agent = std::fs::read(format!("/proc/{}/cmdline", started.tree.pid())).unwrap();
        assert!(agent.starts_with(b"sh\0-c\0trap"), "{tier:?}: the pid is that of {agent:?}");
        started.tree.signal(Signal::Interrupt);
        let story = read(&mut started.events).await;
        assert_eq!((story.stdout, story.status), (vec!["stopped".to_owned()], Some(ExitStatus::Code(7))), "{tier:?}");

        let escape = "trap '' INT TERM; for i in 1 2 3; do env -i setsid sh -c 'trap \"\" INT TERM; \
                      (trap \"\" INT TERM; while :; do sleep 60; done) & exit' >/dev/null 2>&1 & done; wait; echo ready";
        let mut started = soon(wardens.start(&scene.launch("sh", &["-c", escape]))).await.unwrap();
        said_and_left(&mut started.events, "ready").await;
        started.tree.signal(Signal::Terminate);
        started.tree.signal(Signal::Kill);
        assert_eq!(soon(started.events.next()).await, Some(Event::TreeGone), "{tier:?}");
        let warden = started.tree.warden().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{warden}/task/{warden}/children")).unwrap();
        assert_eq!(children, "", "{tier:?}");
    }
}

#[tokio::test]
async fn a_killed_warden_takes_its_namespace_along() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let wardens = Wardens::new(Groups::default());
        let launch = scene.launch("sh", &["-c", "trap '' TERM; sleep 60 & echo ready; wait"]);
        let mut started = soon(wardens.start(&launch)).await.unwrap();
        assert_eq!(line(&mut started.events).await, "ready");
        let warden = rustix::process::Pid::from_raw(started.tree.warden().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(warden, rustix::process::Signal::KILL).unwrap();
        soon(started.tree.gone().wait()).await;
        assert_eq!(marked(&launch.mark), Vec::<u32>::new(), "{tier:?}");
    }
}

#[tokio::test]
async fn a_program_in_the_home_comes_alone() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let program = scene.path("home/agent");
        std::fs::write(&program, "#!/bin/sh\necho works; cat $SCENE/home/.ssh/id $SCENE/data/token\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let story = run(&scene.launch(program.to_str().unwrap(), &[])).await;
        assert_eq!(story.stdout, ["works"], "{tier:?}: {:?}", story.stderr);
    }
}

#[tokio::test]
async fn a_program_that_is_out_of_reach_is_named() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let program = scene.path("home/.ssh/program");
        std::fs::copy("/bin/true", &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut launch = scene.launch("sh", &[]);
        launch.command.program = program.into();
        let error = Wardens::new(Groups::default()).start(&launch).await.unwrap_err();
        assert!(matches!(error, SpawnError::OutOfReach(_)), "{tier:?}: {error:?}");
    }
}
