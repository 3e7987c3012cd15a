//! Copies are whole, bounded, and removed only when nothing has changed in them.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use nexus_core::department::WorkspaceMode::Copy;
use nexus_workspace::{Finish, WorkspaceError, Workspaces};

use crate::support::{Place, task, wanted};

#[tokio::test]
async fn links_permissions_and_times_are_kept() {
    let place = Place::new();
    fs::create_dir(place.project.join("locked")).unwrap();
    place.write("locked/run", "#!/bin/sh\n");
    fs::set_permissions(place.project.join("locked/run"), Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(place.project.join("locked"), Permissions::from_mode(0o555)).unwrap();
    symlink("locked/run", place.project.join("link")).unwrap();
    symlink("/nowhere", place.project.join("broken")).unwrap();

    let prepared = place.prepare(Copy, task()).await;
    let mode = |name: &str| fs::metadata(prepared.path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("locked/run"), mode("locked")), (0o750, 0o555));
    assert_eq!(fs::read_link(prepared.path.join("link")).unwrap().to_str(), Some("locked/run"));
    assert_eq!(fs::read_link(prepared.path.join("broken")).unwrap().to_str(), Some("/nowhere"));
    let time = |path: std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(time(prepared.path.join("locked/run")), time(place.project.join("locked/run")));
    for root in [&prepared.path, &place.project] {
        fs::set_permissions(root.join("locked"), Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn an_unchanged_copy_is_removed_and_links_in_it_are_not_followed() {
    let place = Place::new();
    place.write("file", "text");
    fs::create_dir(place.directory.path().join("precious")).unwrap();
    fs::write(place.directory.path().join("precious/file"), "precious").unwrap();
    symlink(place.directory.path().join("precious"), place.project.join("link")).unwrap();
    let prepared = place.prepare(Copy, task()).await;
    let report = place.workspaces.finish(prepared, Finish::Unfinished).await;
    assert!(!report.kept);
    assert_eq!(place.left(), 0);
    assert!(place.directory.path().join("precious/file").is_file());
    assert!(place.project.join("file").is_file());
}

#[tokio::test]
async fn any_change_keeps_it() {
    let changes: [fn(&std::path::Path); 4] = [
        |path| fs::write(path.join("file"), "tex2").unwrap(),
        |path| fs::write(path.join("new"), "").unwrap(),
        |path| fs::remove_file(path.join("file")).unwrap(),
        |path| fs::set_permissions(path.join("file"), Permissions::from_mode(0o600)).unwrap(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let place = Place::new();
        place.write("file", "text");
        let prepared = place.prepare(Copy, task()).await;
        let path = prepared.path.clone();
        change(&path);
        assert!(place.workspaces.finish(prepared, Finish::Unfinished).await.kept && path.is_dir(), "change {n}");
    }
}

#[tokio::test]
async fn a_second_attempt_finds_what_the_first_has_left() {
    let place = Place::new();
    place.write("file", "text");
    let task = task();
    let first = place.prepare(Copy, task).await;
    fs::write(first.path.join("file"), "half done").unwrap();
    assert!(place.workspaces.finish(first, Finish::Unfinished).await.kept);
    let second = place.prepare(Copy, task).await;
    assert_eq!(fs::read_to_string(second.path.join("file")).unwrap(), "half done");
    assert!(place.workspaces.finish(second, Finish::Unfinished).await.kept, "it may hold the work of the first");
}

#[tokio::test]
async fn the_data_directory_is_not_copied_into_itself() {
    let place = Place::new();
    place.write("file", "text");
    let inside = Workspaces::new(place.project.join(".nexus/workspaces"));
    for _ in 0..2 {
        let prepared = inside.prepare(wanted(Copy), task(), &place.project, false).await.unwrap();
        let names: Vec<_> = fs::read_dir(&prepared.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["file"]);
    }
}

#[tokio::test]
async fn a_project_that_is_too_big_is_refused_before_anything_is_copied() {
    let place = Place::new();
    File::create(place.project.join("huge")).unwrap().set_len((1 << 30) + 1).unwrap();
    let error = place.workspaces.prepare(wanted(Copy), task(), &place.project, false).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::TooBig { .. }), "{error:?}");
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn only_its_owner_can_enter_it_and_holes_stay() {
    let place = Place::new();
    fs::set_permissions(&place.project, Permissions::from_mode(0o755)).unwrap();
    let holes = File::create(place.project.join("holes")).unwrap();
    holes.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"data", 32 << 20).unwrap();
    let prepared = place.prepare(Copy, task()).await;
    assert_eq!(fs::metadata(&prepared.path).unwrap().permissions().mode() & 0o777, 0o700);
    let copied = prepared.path.join("holes");
    let blocks = |path: &std::path::Path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap());
    assert_eq!(fs::read(&copied).unwrap(), fs::read(place.project.join("holes")).unwrap());
    assert!(blocks(&copied) <= blocks(&place.project.join("holes")) + 64, "{}", blocks(&copied));
}

#[tokio::test]
async fn pipes_and_what_can_t_be_read_are_left_out() {
    let place = Place::new();
    place.write("file", "text");
    fs::create_dir(place.project.join("closed")).unwrap();
    place.write("closed/file", "text");
    nexus_process::capture(
        &nexus_process::Command::new("mkfifo", &place.project).args(["pipe"]),
        std::time::Duration::from_secs(10),
        1000,
    )
    .await
    .unwrap();
    fs::set_permissions(place.project.join("closed"), Permissions::from_mode(0o000)).unwrap();
    let prepared = place.prepare(Copy, task()).await;
    fs::set_permissions(place.project.join("closed"), Permissions::from_mode(0o755)).unwrap();
    let mut names: Vec<_> = fs::read_dir(&prepared.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["closed", "file"]);
}

#[test]
fn a_very_deep_directory_is_removed() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    // Each within the one before, since no path is as long.
    let mut place = openat(CWD, &root, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for level in 0..5_000 {
        let mode = if level % 500 == 499 { Mode::RUSR | Mode::XUSR } else { Mode::RWXU };
        mkdirat(&place, "d", Mode::RWXU).unwrap();
        let inner = openat(&place, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        rustix::fs::fchmod(&place, mode).unwrap();
        place = inner;
    }
    // With a stack that recursion would overflow.
    let removed = std::thread::Builder::new().stack_size(256 << 10).spawn(move || nexus_workspace::remove_all(&root));
    removed.unwrap().join().unwrap().unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
