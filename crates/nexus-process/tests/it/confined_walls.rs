//! The walls between a confined agent and the machine, one by one; and what becomes of it when the warden is killed.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

use nexus_core::attempt::ExitStatus;
use nexus_process::{Groups, Maker, Network, SpawnError, Tier, Wardens};

use crate::confined::{Scene, run, tiers};
use crate::support::{line, read, soon, until};

/// There is an init, with which all ends.
fn has_init(tier: &Tier) -> bool {
    !matches!(tier, Tier::Landlock { clone_flags: 0 })
}

/// Each line that begins with "did" is a hole.
const EVIL: &str = r#"
import ctypes, os, pty, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, what, *args):
    try:
        what(*args)
        print("did", name)
    except (OSError, PermissionError, ProcessLookupError):
        pass
S, KIND, RUNTIME = os.environ["SCENE"], os.environ["KIND"], int(os.environ["RUNTIME"])
victim = S + "/home/.ssh/id"
if KIND != "alone":
    # Landlock by itself doesn't look at these: docs/sandbox.md says so.
    attempt("chmod", os.chmod, victim, 0o777)
    attempt("utime", os.utime, victim, (1, 1))
    attempt("setxattr", os.setxattr, victim, "user.x", b"1")
    attempt("chown", os.chown, victim, os.getuid(), os.getgid())
attempt("truncate", os.truncate, victim, 0)
attempt("unlink", os.unlink, victim)
attempt("rename over", os.rename, "own", S + "/home/own")
attempt("mknod", os.mknod, "device", 0o600 | 0o060000, os.makedev(8, 0))
attempt("setuid", os.setuid, 12345)
attempt("prlimit the runtime", resource.prlimit, RUNTIME, resource.RLIMIT_NOFILE, (1, 1))
attempt("look into its init", open, "/proc/1/mem", "r+b")
attempt("environment of its init", lambda: open("/proc/1/environ", "rb").read(1))
attempt("descriptors of its init", os.readlink, "/proc/1/fd/0")
attempt("audit netlink", socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 9)
def datagram(kind):
    one, two = socket.socketpair(socket.AF_UNIX, kind)
    one.sendto(b"evil", S + "/datagrams")
attempt("a datagram from a pair", datagram, socket.SOCK_DGRAM)
attempt("a datagram from a raw pair", datagram, socket.SOCK_RAW)
attempt("personality", lambda: libc.syscall(135, 0x0040000) == -1 and (_ for _ in ()).throw(OSError()))
attempt("its terminal", open, "/dev/tty", "r+b", 0)
os.getsid(0) == os.getpid() or print("did share a session")
def abstract():
    socket.socket(socket.AF_UNIX).connect("\0" + os.environ["ABSTRACT"])
attempt("an abstract socket", abstract)
# What is not to be broken.
pair = socket.socketpair()
pair[0].send(b"x")
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if "-own" in KIND:
    os.write(pty.openpty()[1], b"x")
    open("/dev/shm/x", "w").write("x")
open("/dev/stderr", "w").write("through a link\n")
open("/dev/fd/2", "w").write("")
print(len(os.listdir("/proc/self/task")), os.access("/dev/null", os.W_OK))
sys.stdout.flush()
"#;

#[tokio::test]
async fn one_wall_after_the_other_holds() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let datagrams = UnixDatagram::bind(scene.path("datagrams")).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        let name = format!("nexus-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name);
        let _abstract = UnixListener::bind_addr(&address.unwrap()).unwrap();
        let mut launch = scene.launch("python3", &["-c", EVIL]);
        let kind = if has_init(&tier) { "init-own" } else { "alone" };
        launch.command = launch.command.env([
            ("RUNTIME", std::process::id().to_string()),
            ("KIND", kind.to_owned()),
            ("ABSTRACT", name),
        ]);
        let story = run(&launch).await;
        assert_eq!(story.stdout, ["1 True"], "{tier:?}: {:?}", story.stderr);
        assert_eq!(story.stderr, ["through a link"], "{tier:?}");
        assert!(datagrams.recv(&mut [0; 8]).is_err(), "{tier:?}");
        assert!(scene.is_untouched(), "{tier:?}");
    }
}

/// The call of another architecture, which no rule of ours would know.
#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn calls_of_another_architecture_end_the_program() {
    let script = "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, \
                  0xc3]))\nctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()\nprint('did')";
    for tier in tiers() {
        let story = Scene::new(tier.clone()).python(script).await;
        assert_eq!((story.stdout, story.status), (vec![], Some(ExitStatus::Signal(31))), "{tier:?}");
    }
}

#[tokio::test]
async fn with_its_init_all_of_a_tree_ends_when_the_warden_is_killed() {
    for (index, tier) in tiers().into_iter().filter(has_init).enumerate() {
        let scene = Scene::new(tier.clone());
        let length = format!("71{index}.{}", std::process::id());
        let escape = format!(
            "for i in 1 2 3; do env -i setsid sh -c 'trap \"\" INT TERM HUP; (sleep {length}) & exit' >/dev/null 2>&1 & \
             done; wait; echo ready; sleep {length}"
        );
        let wardens = Wardens::new(Groups::default());
        let mut started = soon(wardens.start(&scene.launch("sh", &["-c", &escape]))).await.unwrap();
        assert_eq!(line(&mut started.events).await, "ready");
        until(|| sleeping(&length) == 4).await;
        let warden = rustix::process::Pid::from_raw(started.tree.warden().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(warden, rustix::process::Signal::KILL).unwrap();
        let begin = Instant::now();
        until(|| sleeping(&length) == 0).await;
        assert!(begin.elapsed() < Duration::from_secs(1), "{tier:?}: {:?}", begin.elapsed());
    }
}

/// Processes that run `sleep length`.
pub(crate) fn sleeping(length: &str) -> usize {
    let wanted = format!("sleep\0{length}\0");
    let lines = std::fs::read_dir("/proc").unwrap().flatten();
    lines
        .filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
        .count()
}

#[tokio::test]
async fn a_proxy_is_all_that_there_is_of_a_network() {
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        "import socket\ns = socket.create_connection(('127.0.0.1', 3128), 5)\nprint(s.recv(5).decode())\nfor address in \
         (('127.0.0.1', {}), ('169.254.169.254', 80), ('1.1.1.1', 443)):\n  try:\n    socket.create_connection(address, \
         2)\n    print('did reach', address)\n  except OSError: pass",
        outside.local_addr().unwrap().port()
    );
    for tier in tiers() {
        let mut scene = Scene::new(tier.clone());
        scene.network = Network::Proxy { port: 3128 };
        let wardens = Wardens::new(Groups::default());
        let started = soon(wardens.start(&scene.launch("python3", &["-c", &script]))).await;
        if !has_init(&tier) {
            let error = started.unwrap_err();
            assert!(matches!(&error, SpawnError::Warden { .. }) && error.to_string().contains("network namespace"));
            continue;
        }
        let mut started = started.unwrap();
        let listener = started.listener.take().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (mut connection, _) = soon(listener.accept()).await.unwrap();
        soon(tokio::io::AsyncWriteExt::write_all(&mut connection, b"hello")).await.unwrap();
        let story = read(&mut started.events).await;
        assert_eq!(story.stdout, ["hello"], "{tier:?}: {:?}", story.stderr);
    }
}

#[tokio::test]
async fn what_bwrap_complains_of_is_told_and_is_not_the_agents() {
    for tier in tiers().into_iter().filter(|tier| matches!(tier, Tier::Namespaces { .. })) {
        let by_bwrap = matches!(tier, Tier::Namespaces { maker: Maker::Bwrap { .. } });
        let mut scene = Scene::new(tier);
        scene.protected = vec![scene.path("data/workspaces/mine/no-such-thing")];
        let error = Wardens::new(Groups::default()).start(&scene.launch("true", &[])).await.unwrap_err().to_string();
        assert!(error.contains("bwrap: ") == by_bwrap && error.contains("no-such-thing"), "{error}");
    }
}

#[tokio::test]
async fn a_link_that_it_left_does_not_lead_the_next_one_astray() {
    for tier in tiers() {
        let mut scene = Scene::new(tier.clone());
        let own = scene.path("data/private/home");
        scene.of_home = vec![(".agent/login".to_owned(), false)];
        let evil = "mkdir -p $HOME; rm -rf $HOME/.agent 2>/dev/null; mv $HOME/.agent $HOME/was; \
                    ln -sfn ../../../home/.ssh $HOME/.agent; readlink $HOME/.agent";
        let story = scene.sh(evil).await;
        assert_eq!(story.stdout, ["../../../home/.ssh"], "{tier:?}: {:?}", story.stderr);
        assert!(own.join(".agent").is_symlink(), "{tier:?}");
        let next = scene.try_launch("true", &[]);
        let refused = match next {
            Err(why) => why,
            Ok(launch) => Wardens::new(Groups::default()).start(&launch).await.unwrap_err().to_string(),
        };
        assert!(refused.contains("is a link"), "{tier:?}: {refused}");
        assert_eq!(std::fs::read_dir(scene.path("home/.ssh")).unwrap().count(), 1, "{tier:?}");
    }
}

#[tokio::test]
async fn a_link_that_it_left_in_the_home_opens_nothing() {
    for tier in tiers() {
        let mut scene = Scene::new(tier.clone());
        scene.of_home = vec![(".agent".to_owned(), true), (".agent/login".to_owned(), false)];
        let launch = scene.launch("true", &[]);
        // Another agent of the kind does so while this one starts.
        let login = scene.path("home/.agent/login");
        std::fs::remove_file(&login).unwrap();
        std::os::unix::fs::symlink("../.ssh", &login).unwrap();
        let started = soon(Wardens::new(Groups::default()).start(&launch)).await;
        let error = started.map(|started| started.tree.pid()).unwrap_err().to_string();
        assert!(error.contains(&format!("{} is a link", login.display())), "{tier:?}: {error}");
    }
}

#[tokio::test]
async fn what_it_needs_of_the_home_lies_in_a_home_of_its_own() {
    for tier in tiers() {
        let mut scene = Scene::new(tier.clone());
        std::fs::create_dir_all(scene.path("home/.config/writer")).unwrap();
        std::fs::write(scene.path("home/.config/writer/login"), "token\n").unwrap();
        scene.of_home = vec![(".config/writer".to_owned(), false)];
        let story = scene.sh("cat $HOME/.config/writer/login; echo own > $HOME/.config/other; ls $HOME/.config").await;
        assert_eq!(story.stdout, ["token", "other", "writer"], "{tier:?}: {:?}", story.stderr);
    }
}

/// An agent in the directory above may do so while the next one starts there.
#[tokio::test]
async fn a_workspace_that_was_swapped_with_a_link_is_refused() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let script = format!("cat id; echo evil > evil; echo evil > {}/evil", scene.path("home/.ssh").display());
        let launch = scene.launch("sh", &["-c", &script]);
        std::fs::rename(&scene.workspace, scene.path("data/workspaces/was")).unwrap();
        std::os::unix::fs::symlink(scene.path("home/.ssh"), &scene.workspace).unwrap();
        let error = soon(Wardens::new(Groups::default()).start(&launch)).await.unwrap_err().to_string();
        let said = format!("{} is a link, or lies behind one", scene.workspace.display());
        let checked = format!("{} is a link where", scene.workspace.display());
        assert!(error.contains(&said) || error.contains(&checked), "{tier:?}: {error}");
        assert!(error.contains("remove it"), "{tier:?}: {error}");
        assert_eq!(std::fs::read_dir(scene.path("home/.ssh")).unwrap().count(), 1, "{tier:?}");
    }
}

#[tokio::test]
async fn what_is_protected_of_its_workspace_can_be_read_and_no_more() {
    for tier in tiers().into_iter().filter(|tier| matches!(tier, Tier::Namespaces { .. })) {
        let mut scene = Scene::new(tier);
        let git = scene.path("data/workspaces/mine/.git");
        std::fs::create_dir_all(git.join("hooks")).unwrap();
        std::fs::write(git.join("config"), "untouched\n").unwrap();
        scene.protected = vec![git.clone()];
        let evil = "cat .git/config; echo evil > .git/config; echo evil > .git/hooks/post-commit; rm -rf .git; \
                    mv .git was; mkdir -p new/hooks && mv -T new .git; chmod 777 .git; echo own > file; cat file";
        let story = scene.sh(evil).await;
        assert_eq!(story.stdout, ["untouched", "own"], "{:?}", story.stderr);
        assert_eq!(std::fs::read_dir(git.join("hooks")).unwrap().count(), 0);
        assert_eq!(std::fs::read_to_string(git.join("config")).unwrap(), "untouched\n");
    }
}

#[tokio::test]
async fn another_directory_of_work_is_no_way_out() {
    // Not UTF-8, with a space: a path is bytes.
    use std::os::unix::ffi::OsStrExt;
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let odd = scene.path("data/workspaces/mine").join(std::ffi::OsStr::from_bytes(b"a \xff b"));
        std::fs::create_dir(&odd).unwrap();
        let mut launch = scene.launch("sh", &["-c", "echo here > file; ls"]);
        launch.command.cwd = odd;
        let wardens = Wardens::new(Groups::default());
        let mut started = soon(wardens.start(&launch)).await.unwrap();
        let story = read(&mut started.events).await;
        assert_eq!(story.stdout, ["file"], "{tier:?}: {:?}", story.stderr);
        let mut launch = scene.launch("true", &[]);
        launch.command.cwd = scene.path("home/.ssh");
        let started = soon(wardens.start(&launch)).await;
        if matches!(tier, Tier::Namespaces { .. }) {
            assert!(started.is_err(), "{tier:?}: it is not there");
        }
    }
}

#[tokio::test]
async fn a_tool_of_the_home_comes_without_its_credentials() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        for (file, text) in [("lib/part", "part"), ("credentials", "secret"), ("bin/tool", SHOW)] {
            let path = scene.path("home/.tool").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let story = run(&scene.launch(scene.path("home/.tool/bin/tool").to_str().unwrap(), &[])).await;
        assert_eq!(story.stdout, ["part"], "{tier:?}: {:?}", story.stderr);
    }
}

/// As npm puts it into `~/.local`: the link lies on the `PATH`, and what it leads to elsewhere, in a package that needs others.
#[tokio::test]
async fn a_program_that_is_a_link_starts_with_its_package() {
    for tier in tiers() {
        let scene = Scene::new(tier.clone());
        let home = scene.path("home");
        let files = [
            (".tool/bin/other", ""),
            (".local/lib/node_modules/agent/dist/main", SHOW_PACKAGE),
            (".local/lib/node_modules/helper/part", "part"),
            (".local/secret", "secret"),
        ];
        for (file, text) in files {
            let path = home.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink("lib/node_modules/agent/dist/main", home.join(".local/between")).unwrap();
        std::os::unix::fs::symlink("../../.local/between", home.join(".tool/bin/agent")).unwrap();
        let story = run(&scene.launch(home.join(".tool/bin/agent").to_str().unwrap(), &[])).await;
        assert_eq!(story.stdout, ["part"], "{tier:?}: {:?}", story.stderr);
    }
}

const SHOW_PACKAGE: &str = "#!/bin/sh\ncat $SCENE/home/.local/lib/node_modules/helper/part $SCENE/home/.local/secret\n";

const SHOW: &str = "#!/bin/sh\ncat $SCENE/home/.tool/lib/part $SCENE/home/.tool/credentials\n";
