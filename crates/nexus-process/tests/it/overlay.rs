//! Overlays: what an agent and a tool see in one, what stays as it was below, and that no mount is left behind.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::overlay::{make_removable, probe, renames_directories};
use nexus_process::{Captured, Command, Groups, Launch, Overlay, Stdin, Wardens, capture};

use crate::confined::{Scene, place, tiers};
use crate::support::{Story, launch, line, read, sh, soon, until};

/// The layers of one overlay, in a directory whose name has every character that mount options give a meaning.
pub(crate) struct Layers {
    root: tempfile::TempDir,
    pub(crate) overlay: Overlay,
}

const ODD: &[u8] = b"a:b,c\\d \xff=";

pub(crate) fn layers() -> Option<Layers> {
    let root = tempfile::Builder::new().prefix("overlay").tempdir_in(place()).unwrap();
    if let Err(why) = probe(root.path()) {
        eprintln!("skipped: {why}");
        return None;
    }
    let odd = root.path().canonicalize().unwrap().join(OsString::from_vec(ODD.to_vec()));
    let path = |name: &str| std::fs::create_dir_all(odd.join(name)).unwrap();
    ["above", "below", "upper", "work", "target"].into_iter().for_each(path);
    for (file, text) in [
        ("below/covered", "below\n"),
        ("above/covered", "above\n"),
        ("below/dir/deep/file", "deep\n"),
        ("below/gone", "gone\n"),
        ("below/kept", "kept\n"),
    ] {
        std::fs::create_dir_all(odd.join(file).parent().unwrap()).unwrap();
        std::fs::write(odd.join(file), text).unwrap();
    }
    std::fs::write(odd.join("below/program"), "#!/bin/sh\necho it runs\n").unwrap();
    std::fs::set_permissions(odd.join("below/program"), std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(Layers { root, overlay: overlay(&odd) })
}

/// The overlay whose layers lie in a directory.
pub(crate) fn overlay(of: &Path) -> Overlay {
    Overlay {
        lower: vec![of.join("above"), of.join("below")],
        upper: of.join("upper"),
        work: of.join("work"),
        target: of.join("target"),
    }
}

impl Layers {
    fn lower_is_unchanged(&self) -> bool {
        let read = |path: &str| std::fs::read_to_string(self.overlay.lower[1].join(path)).unwrap_or_default();
        read("covered") == "below\n"
            && read("gone") == "gone\n"
            && read("kept") == "kept\n"
            && read("dir/deep/file") == "deep\n"
            && std::fs::read_dir(&self.overlay.lower[1]).unwrap().count() == 5
            && std::fs::read_dir(&self.overlay.lower[0]).unwrap().count() == 1
    }

    /// Nobody has anything mounted there: not this process, and none that can be looked at.
    pub(crate) fn is_unmounted(&self) -> bool {
        let name = self.root.path().file_name().unwrap().to_str().unwrap().to_owned();
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let tables = pids.filter_map(|entry| std::fs::read(entry.path().join("mountinfo")).ok());
        tables.into_iter().all(|table| !String::from_utf8_lossy(&table).contains(&name))
            && std::fs::read_dir(&self.overlay.target).unwrap().count() == 0
    }

    fn launch(&self, script: &str) -> Launch {
        let command = Command { cwd: self.overlay.target.clone(), ..sh(script) };
        Launch { overlays: vec![self.overlay.clone()], ..launch(command) }
    }

    async fn run(&self, script: &str) -> Story {
        start(&self.launch(script)).await
    }

    async fn within(&self, script: &str, read_only: bool) -> Captured {
        let command = Command { cwd: self.overlay.target.clone(), ..sh(script) };
        let command = self.overlay.within(&command, read_only).unwrap();
        capture(&command, Duration::from_secs(20), 1 << 20).await.unwrap()
    }
}

async fn start(launch: &Launch) -> Story {
    let wardens = Wardens::new(Groups::default());
    let mut started = soon(wardens.start(launch)).await.unwrap();
    read(&mut started.events).await
}

const CHANGES: &str = "cat covered dir/deep/file; ./program; echo new > new; echo more >> covered; rm gone; \
                       mkdir made; rm -r dir; mkdir dir; echo again > dir/file; ln -s kept link; ls";

const SEEN: [&str; 10] = ["above", "deep", "it runs", "covered", "dir", "kept", "link", "made", "new", "program"];

#[tokio::test]
async fn a_tree_sees_its_layers_as_one_and_changes_the_upper_one() {
    let Some(layers) = layers() else { return };
    let story = layers.run(CHANGES).await;
    assert_eq!(story.stdout, SEEN, "{:?}", story.stderr);
    assert!(layers.lower_is_unchanged() && layers.is_unmounted());
    assert_eq!(std::fs::read_to_string(layers.overlay.upper.join("covered")).unwrap(), "above\nmore\n");
    // The next attempts go on with it.
    for _ in 0..2 {
        let story = layers.run("cat new covered; ls dir; cat gone").await;
        assert_eq!(story.stdout, ["new", "above", "more", "file"], "{:?}", story.stderr);
    }
    // Also who is not root can remove what the kernel has left.
    make_removable(&layers.overlay.work);
    std::fs::remove_dir_all(&layers.overlay.work).unwrap();
}

#[tokio::test]
async fn in_every_confinement_too() {
    for tier in tiers() {
        let Some(layers) = layers() else { return };
        let mut scene = Scene::new(tier.clone());
        scene.workspace = layers.overlay.target.clone();
        let launch = Launch { overlays: vec![layers.overlay.clone()], ..scene.launch("sh", &["-c", CHANGES]) };
        let story = start(&launch).await;
        assert_eq!(story.stdout, SEEN, "{tier:?}: {:?}", story.stderr);
        assert!(layers.lower_is_unchanged() && layers.is_unmounted(), "{tier:?}");
        assert!(scene.is_untouched(), "{tier:?}");
    }
}

#[tokio::test]
async fn a_directory_of_a_lower_layer_is_renamed_where_that_can_be() {
    let Some(layers) = layers() else { return };
    let rename = "import os; os.rename('dir', 'moved')";
    let story = layers.run(&format!("python3 -c \"{rename}\" && cat moved/deep/file && ls -d dir || echo not")).await;
    if renames_directories() {
        assert_eq!(story.stdout, ["deep", "not"], "{:?}", story.stderr);
        let read = layers.within("cat moved/deep/file; ls", true).await;
        assert_eq!(String::from_utf8_lossy(&read.stdout), "deep\ncovered\ngone\nkept\nmoved\nprogram\n");
    } else {
        assert_eq!(story.stdout, ["not"], "{:?}", story.stderr);
        // A move copies it then.
        let story = layers.run("mv dir moved && cat moved/deep/file && ls -d dir || echo not").await;
        assert_eq!(story.stdout, ["deep", "not"], "{:?}", story.stderr);
    }
    assert!(layers.lower_is_unchanged() && layers.is_unmounted());
}

#[tokio::test]
async fn two_at_once_share_the_lower_layers_and_nothing_else() {
    let (Some(one), Some(other)) = (layers(), layers()) else { return };
    let mut two = one.overlay.clone();
    (two.upper, two.work, two.target) =
        (other.overlay.upper.clone(), other.overlay.work.clone(), other.overlay.target.clone());
    let wardens = Wardens::new(Groups::default());
    let script = "read go; echo mine >> covered; cat covered; ls | wc -l";
    let mut first = one.launch(&format!("echo one > one; echo ready; {script}"));
    let mut second = first.clone();
    for launch in [&mut first, &mut second] {
        launch.command.stdin = Stdin::Piped;
    }
    second.command.cwd = two.target.clone();
    second.overlays = vec![two];
    let mut runs = Vec::new();
    for launch in [&first, &second] {
        let mut started = soon(wardens.start(launch)).await.unwrap();
        assert_eq!(line(&mut started.events).await, "ready");
        runs.push(started);
    }
    for mut started in runs {
        use tokio::io::AsyncWriteExt;
        started.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
        assert_eq!(read(&mut started.events).await.stdout, ["above", "mine", "6"]);
    }
    assert!(one.lower_is_unchanged());
}

#[tokio::test]
async fn killed_at_any_moment_it_leaves_no_mount() {
    for victim in ["agent", "warden"] {
        let Some(layers) = layers() else { return };
        let wardens = Wardens::new(Groups::default());
        let launch = layers.launch("echo work > work; (sleep 600 &) ; echo ready; sleep 600");
        let mut started = soon(wardens.start(&launch)).await.unwrap();
        assert_eq!(line(&mut started.events).await, "ready");
        assert!(!layers.is_unmounted_for(started.tree.pid()));
        let pid = if victim == "agent" { started.tree.pid() } else { started.tree.warden().unwrap() };
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        started.tree.signal(Signal::Kill);
        soon(started.tree.gone().wait()).await;
        until(|| layers.is_unmounted()).await;
        assert!(layers.lower_is_unchanged());
        let story = layers.run("cat work").await;
        assert_eq!(story.stdout, ["work"], "{victim}: {:?}", story.stderr);
    }
}

impl Layers {
    fn is_unmounted_for(&self, pid: u32) -> bool {
        let name = self.root.path().file_name().unwrap().to_str().unwrap();
        let table = std::fs::read(format!("/proc/{pid}/mountinfo")).unwrap();
        !String::from_utf8_lossy(&table).contains(name)
    }
}

#[tokio::test]
async fn a_tool_works_within_and_its_words_and_exit_code_come_back() {
    let Some(layers) = layers() else { return };
    let said = layers.within("cat covered; echo written > tool; echo complaint >&2; exit 7", false).await;
    assert_eq!(said.status, ExitStatus::Code(7));
    assert_eq!((said.stdout.as_slice(), said.stderr.as_slice()), (&b"above\n"[..], &b"complaint\n"[..]));
    assert_eq!(std::fs::read_to_string(layers.overlay.upper.join("tool")).unwrap(), "written\n");
    let said = layers.within("cat tool; echo no > tool || echo refused; kill -TERM $$", true).await;
    assert_eq!((said.status, said.stdout.as_slice()), (ExitStatus::Signal(15), &b"written\nrefused\n"[..]));
    let said = layers.within("grep NoNewPrivs /proc/self/status; echo $SECRET", true).await;
    assert_eq!(String::from_utf8_lossy(&said.stdout), "NoNewPrivs:\t1\n\n");
    assert!(layers.is_unmounted() && layers.lower_is_unchanged());
}

#[tokio::test]
async fn what_a_tool_reads_and_its_variables_reach_it() {
    let Some(layers) = layers() else { return };
    let command =
        Command { cwd: layers.overlay.target.clone(), ..sh("cat; echo $VARIABLE; tr '\\0' ' ' < /proc/$PPID/cmdline") };
    let command = command.env([("VARIABLE", "secret")]).stdin(Stdin::Bytes("read\n".into()));
    let command = layers.overlay.within(&command, true).unwrap();
    let said = capture(&command, Duration::from_secs(20), 1 << 20).await.unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.starts_with("read\nsecret\n") && said.matches("secret").count() == 1, "{said}");
}

#[tokio::test]
async fn a_tool_that_takes_too_long_ends_with_all_that_it_started() {
    let Some(layers) = layers() else { return };
    let length = format!("83.{}", std::process::id());
    let command = Command { cwd: layers.overlay.target.clone(), ..sh(&format!("sleep {length} & sleep {length}")) };
    let command = layers.overlay.within(&command, false).unwrap();
    capture(&command, Duration::from_millis(300), 1 << 20).await.unwrap_err();
    until(|| layers.is_unmounted() && crate::confined_walls::sleeping(&length) == 0).await;
}

#[tokio::test]
async fn a_layer_that_is_missing_is_named() {
    let Some(mut layers) = layers() else { return };
    layers.overlay.lower.push(PathBuf::from("/no/such/layer"));
    let error = Wardens::new(Groups::default()).start(&layers.launch("true")).await.unwrap_err().to_string();
    assert!(error.contains("/no/such/layer"), "{error}");
    let said = layers.within("true", true).await;
    assert_eq!(said.status, ExitStatus::Code(125));
    assert!(String::from_utf8_lossy(&said.stderr).contains("/no/such/layer"), "{said:?}");
}

#[tokio::test]
async fn a_tool_that_is_missing_is_named_with_its_directory() {
    let Some(layers) = layers() else { return };
    for (program, cwd) in [("./no-program", "."), ("./program", "nowhere")] {
        let command = Command::new(program, layers.overlay.target.join(cwd));
        let command = layers.overlay.within(&command, true).unwrap();
        let said = capture(&command, Duration::from_secs(20), 1 << 20).await.unwrap();
        assert_eq!(said.status, ExitStatus::Code(125));
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!([program, cwd].iter().all(|name| said.contains(name)) && said.contains("No such file"), "{said}");
    }
}

#[tokio::test]
async fn a_program_of_the_workspace_is_started_from_there() {
    let Some(layers) = layers() else { return };
    let mut launch = layers.launch("");
    launch.command.program = "./program".into();
    launch.command.args.clear();
    assert_eq!(start(&launch).await.stdout, ["it runs"]);
    // By the PATH too, of which a part lies there.
    launch.command.program = "program".into();
    launch.command.env.push(("PATH".into(), "bin:/usr/bin:/bin".into()));
    std::fs::create_dir(layers.overlay.upper.join("bin")).unwrap();
    std::os::unix::fs::symlink("../program", layers.overlay.upper.join("bin/program")).unwrap();
    assert_eq!(start(&launch).await.stdout, ["it runs"]);
    // Gone from the layer that is seen first.
    layers.run("rm program").await;
    let error = Wardens::new(Groups::default()).start(&launch).await.unwrap_err().to_string();
    assert!(error.contains("PATH"), "{error}");
    launch.command.program = "./no-program".into();
    let error = Wardens::new(Groups::default()).start(&launch).await.unwrap_err().to_string();
    assert!(error.contains("no program at"), "{error}");
    launch.command.cwd = layers.overlay.target.join("nowhere");
    let error = Wardens::new(Groups::default()).start(&launch).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[tokio::test]
async fn where_there_can_be_no_overlay_a_sentence_says_why() {
    let why = probe(Path::new("/proc")).unwrap_err();
    assert!(why.contains("/proc"), "{why}");
}

#[tokio::test]
async fn a_trial_leaves_nothing_and_removes_what_a_killed_one_has_left() {
    let Some(layers) = layers() else { return };
    // What a killed trial has left, long ago or just now.
    let left = |name: &str| {
        let place = layers.root.path().join(name);
        std::fs::create_dir_all(place.join("work/work")).unwrap();
        place
    };
    let (old, new) = (left("overlay-trial-1-1"), left("overlay-trial-2-1"));
    let day_ago = std::time::SystemTime::now() - Duration::from_secs(24 * 3600);
    let opened = std::fs::File::open(&old).unwrap();
    opened.set_times(std::fs::FileTimes::new().set_modified(day_ago)).unwrap();
    assert_eq!(probe(layers.root.path()), Ok(()));
    assert!(!old.exists() && new.exists());
    std::fs::remove_dir_all(new).unwrap();
    assert_eq!(std::fs::read_dir(layers.root.path()).unwrap().count(), 1, "the trial leaves nothing");
}
