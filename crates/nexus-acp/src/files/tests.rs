use super::*;

fn workspace() -> (tempfile::TempDir, WorkspaceFiles) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("workspace");
    std::fs::create_dir_all(root.join("src")).unwrap();
    std::fs::create_dir_all(root.join(".git/hooks")).unwrap();
    std::fs::create_dir_all(root.join("theirs")).unwrap();
    std::fs::write(dir.path().join("secret"), "untouched").unwrap();
    std::fs::write(root.join("src/lib.rs"), "one\ntwo\nthree").unwrap();
    std::fs::write(root.join(".git/config"), "untouched").unwrap();
    let protected = vec![root.join("theirs")];
    let files = WorkspaceFiles::open((&root, Path::new("")), "/workspace".into(), true, protected).unwrap();
    (dir, files)
}

#[test]
fn lines_of_a_file_are_read() {
    let (_dir, files) = workspace();
    let path = files.root.path.join("src/lib.rs");
    for (line, limit, expected) in [
        (None, None, "one\ntwo\nthree"),
        (Some(1), Some(1), "one\n"),
        (Some(2), None, "two\nthree"),
        (Some(2), Some(1), "two\n"),
        (Some(0), Some(0), ""),
        (Some(9), None, ""),
    ] {
        assert_eq!(files.read(&path, line, limit).as_deref(), Ok(expected), "{line:?} {limit:?}");
        // By its own name, by ours, and by none.
        for path in ["/workspace/src/lib.rs", "src/lib.rs", "/workspace/./src/lib.rs"] {
            assert_eq!(files.read(Path::new(path), line, limit).as_deref(), Ok(expected), "{path}");
        }
    }
}

#[test]
fn files_are_written_and_made() {
    let (_dir, files) = workspace();
    for (path, text) in [("src/lib.rs", "x"), ("new/deep/file", "made"), ("/workspace/a", "")] {
        files.write(Path::new(path), text).unwrap();
        let place = files.root.path.join(Path::new(path).strip_prefix("/workspace").unwrap_or(Path::new(path)));
        assert_eq!(std::fs::read_to_string(place).unwrap(), text);
    }
}

#[test]
fn what_is_not_there_is_said_so() {
    let (_dir, files) = workspace();
    let path = Path::new("/workspace/none");
    assert_eq!(files.read(path, None, None), Err(FileError::NotFound(path.to_owned())));
    assert!(matches!(files.read(Path::new("src"), None, None), Err(FileError::Failed(_))));
    assert!(matches!(files.write(Path::new("src"), "x"), Err(FileError::Failed(_))));
}

#[cfg(unix)]
#[test]
fn nothing_outside_is_reached() {
    use std::os::unix::fs::symlink;
    let (dir, files) = workspace();
    let (root, secret) = (&files.root.path, dir.path().canonicalize().unwrap().join("secret"));
    symlink(&secret, root.join("link")).unwrap();
    symlink("../secret", root.join("relative")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink(dir.path(), root.join("out")).unwrap();
    symlink("nowhere", root.join("src/dangling")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    let absolute = secret.to_str().unwrap();
    for path in [
        absolute,
        "/etc/passwd",
        "../secret",
        "/workspace/../secret",
        "/workspace/src/../../secret",
        "link",
        "relative",
        "up/secret",
        "out/secret",
        &format!("magic{absolute}"),
        "",
        "/workspace",
        "/workspaces/x",
    ] {
        assert!(files.read(Path::new(path), None, None).is_err(), "{path} was read");
        assert!(files.write(Path::new(path), "evil").is_err(), "{path} was written");
    }
    assert!(files.write(Path::new("src/dangling"), "evil").is_err());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "untouched");
    assert!(!root.join("nowhere").exists() && !root.join("src/nowhere").exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// Where the kernel doesn't follow paths for us, the same is kept out by looking.
#[cfg(target_os = "linux")]
#[test]
fn looking_keeps_the_same_out() {
    use std::os::unix::fs::symlink;
    let (dir, files) = workspace();
    symlink(dir.path(), files.root.path.join("out")).unwrap();
    symlink("../secret", files.root.path.join("relative")).unwrap();
    symlink(".git", files.root.path.join("alias")).unwrap();
    let may = |place: &Path| files.may_be_written(place);
    for path in ["out/secret", "relative"] {
        assert!(walk::open(&files.root, Path::new(path)).is_err(), "{path}");
        assert!(walk::create(&files.root, Path::new(path), &may).is_err(), "{path}");
    }
    assert!(walk::create(&files.root, Path::new("alias/config"), &may).is_err());
    assert!(walk::open(&files.root, Path::new("src/lib.rs")).is_ok());
    assert!(walk::create(&files.root, Path::new("new/file"), &may).is_ok());
}

#[cfg(unix)]
#[test]
fn the_repository_and_what_is_protected_are_not_written() {
    use std::os::unix::fs::symlink;
    let (_dir, files) = workspace();
    symlink(".git", files.root.path.join("alias")).unwrap();
    symlink("theirs", files.root.path.join("ours")).unwrap();
    for path in [".git/config", ".GIT/config", ".git/hooks/post-commit", "alias/config", "alias/hooks/x", "src/.git/x"]
    {
        assert!(matches!(files.write(Path::new(path), "evil"), Err(FileError::Refused(_))), "{path}");
    }
    for path in ["theirs/file", "theirs", "ours/file", "ours/deep/file"] {
        assert!(files.write(Path::new(path), "evil").is_err(), "{path}");
    }
    assert_eq!(files.read(Path::new(".git/config"), None, None).as_deref(), Ok("untouched"));
    assert_eq!(std::fs::read_dir(files.root.path.join("theirs")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(files.root.path.join(".git/hooks")).unwrap().count(), 0);
    let reads = WorkspaceFiles { writes: false, ..files };
    assert!(matches!(reads.write(Path::new("src/x"), "evil"), Err(FileError::Refused(_))));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let (_dir, files) = workspace();
    let pipe = files.root.path.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    assert!(files.read(&pipe, None, None).is_err());
    assert!(files.write(&pipe, "x").is_err());
}

#[test]
fn what_is_too_big_is_read_in_parts() {
    let (_dir, files) = workspace();
    let path = files.root.path.join("big");
    std::fs::write(&path, "0123456789\n".repeat(1_000_000)).unwrap();
    assert!(matches!(files.read(&path, None, None), Err(FileError::Refused(_))));
    assert_eq!(files.read(&path, Some(999_999), Some(1)).as_deref(), Ok("0123456789\n"));
    assert!(matches!(files.write(&path, &"x".repeat(9 << 20)), Err(FileError::Refused(_))));
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(files.read(&path, None, None), Err(FileError::Refused(_))));
}

#[cfg(unix)]
#[test]
fn what_the_agent_puts_in_the_workspaces_place_is_not_looked_at() {
    use std::os::unix::fs::symlink;
    let (dir, files) = workspace();
    let root = files.root.path.clone();
    std::fs::rename(&root, dir.path().join("moved")).unwrap();
    symlink(dir.path(), &root).unwrap();
    for path in [root.join("secret"), "secret".into(), "/workspace/secret".into()] {
        assert_ne!(files.read(&path, None, None).as_deref(), Ok("untouched"), "{}", path.display());
        // It is a file of the directory that was opened, if it is one at all.
        let _ = files.write(&path, "evil");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("secret")).unwrap(), "untouched");
    assert_eq!(files.read(Path::new("src/lib.rs"), Some(1), Some(1)).as_deref(), Ok("one\n"));
}

#[cfg(unix)]
#[test]
fn a_link_that_an_earlier_attempt_left_in_the_projects_place_is_not_entered() {
    let (dir, files) = workspace();
    let root = &files.root.path;
    std::os::unix::fs::symlink(dir.path(), root.join("sub")).unwrap();
    for below in ["sub", "src/../sub", "../workspace", "none", "src/lib.rs"] {
        let opened = WorkspaceFiles::open((root, Path::new(below)), "/workspace".into(), true, Vec::new());
        assert!(opened.is_err(), "{below}");
    }
    assert!(WorkspaceFiles::open((root, Path::new("./src")), "/workspace".into(), true, Vec::new()).is_ok());
}
