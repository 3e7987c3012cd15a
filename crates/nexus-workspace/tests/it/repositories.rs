//! Any repository works, or is refused with a way out.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::department::WorkspaceMode::{Clone, Copy, Worktree};
use nexus_workspace::WorkspaceError;

use crate::support::{Place, completed, git, task, wanted};

/// A task that commits something comes back, in both modes, and its changes can be shown.
async fn works(place: &Place, project: &Path) {
    for mode in [Clone, Worktree] {
        let task = task();
        let prepared = place.workspaces.prepare(wanted(mode), task, project, false).await.unwrap();
        assert_eq!(prepared.mode, mode, "{}", project.display());
        fs::write(prepared.path.join("new"), "new\n").unwrap();
        git(&prepared.path, &["add", "new"]).await;
        git(&prepared.path, &["commit", "-q", "-m", "new"]).await;
        fs::write(prepared.path.join("left"), "left\n").unwrap();
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!((report.kept, report.commit_count), (false, Some(2)), "{mode:?} {report:?}");
        let patch = place.workspaces.diff(task, project, None, None, false).await.unwrap().unwrap();
        assert_eq!(patch.diff.files, 2);
    }
}

async fn refused(place: &Place, project: &Path) -> WorkspaceError {
    for mode in [Worktree, Clone] {
        let error = place.workspaces.prepare(wanted(mode), task(), project, false).await.unwrap_err();
        if mode == Clone {
            return error;
        }
    }
    unreachable!()
}

#[tokio::test]
async fn of_other_formats() {
    for args in [["--object-format=sha256", "-q"], ["--ref-format=reftable", "-q"]] {
        let place = Place::new();
        let command = nexus_process::Command::new("git", &place.project)
            .args(["init"].into_iter().chain(args))
            .env(nexus_process::user_environment(&[]));
        let made = nexus_process::capture(&command, std::time::Duration::from_secs(30), 10_000).await.unwrap();
        if !made.success() {
            println!("skipped: this git knows no {}", args[0]);
            continue;
        }
        place.write("file", "text\n");
        git(&place.project, &["add", "."]).await;
        git(&place.project, &["commit", "-q", "-m", "first"]).await;
        works(&place, &place.project).await;
    }
}

#[tokio::test]
async fn broken_refs_beside_healthy_ones() {
    let place = Place::repository().await;
    let refs = place.project.join(".git/refs");
    let missing = "1234567890123456789012345678901234567890\n";
    fs::copy(place.project.join(".git/HEAD"), place.project.join(".git/HEAD 2")).unwrap();
    fs::copy(refs.join("heads/main"), refs.join("heads/main 2")).unwrap();
    fs::create_dir_all(refs.join("remotes/origin")).unwrap();
    for (name, text) in [
        ("heads/empty", ""),
        ("heads/pruned", missing),
        ("heads/garbage", "garbage\n"),
        ("tags/pruned", missing),
        ("remotes/origin/pruned", missing),
        ("remotes/origin/HEAD", "ref: refs/remotes/origin/nowhere\n"),
    ] {
        fs::write(refs.join(name), text).unwrap();
    }
    works(&place, &place.project).await;
    // A clone of it borrows from it, too.
    let other = place.directory.path().join("other");
    git(place.directory.path(), &["init", "-q", "other"]).await;
    let objects = place.project.join(".git/objects");
    fs::write(other.join(".git/objects/info/alternates"), format!("{}\n", objects.display())).unwrap();
    let head = git(&place.project, &["rev-parse", "HEAD"]).await;
    git(&other, &["reset", "-q", "--hard", &head]).await;
    works(&place, &other).await;
}

#[tokio::test]
async fn partial_ones_and_sparse_checkouts() {
    let place = Place::repository().await;
    git(&place.project, &["config", "uploadpack.allowFilter", "true"]).await;
    fs::create_dir(place.project.join("big")).unwrap();
    for text in ["one", "two"] {
        place.write("big/file", text);
        place.write("README", text);
        git(&place.project, &["add", "."]).await;
        git(&place.project, &["commit", "-q", "-m", text]).await;
    }
    let (root, source) = (place.directory.path(), format!("file://{}", place.project.display()));
    let partial = ["clone", "-q", "--filter=blob:none", &source, "partial"];
    git(root, &partial).await;
    git(root, &["clone", "-q", "--filter=blob:none", "--sparse", &source, "sparse"]).await;
    for (name, is_sparse) in [("partial", false), ("sparse", true)] {
        let project = root.join(name);
        works(&place, &project).await;
        let prepared = place.workspaces.prepare(wanted(Clone), task(), &project, false).await.unwrap();
        assert_eq!(prepared.path.join("big/file").exists(), !is_sparse);
        // All of the history can be read where nothing can be fetched.
        git(&prepared.path, &["config", "remote.origin.url", "/nowhere"]).await;
        let log = git(&prepared.path, &["log", "-p", "--format=%s"]).await;
        assert!(log.contains("-one"), "{log}");
    }
}

#[tokio::test]
async fn what_an_agent_s_sparse_checkout_leaves_out_is_not_deleted() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    for args in [["sparse-checkout", "set", "--no-cone", "/README"], ["commit", "--allow-empty", "-q", "-mx"]] {
        git(&prepared.path, &args[..]).await;
    }
    assert!(!prepared.path.join("sub/file").exists());
    fs::write(prepared.path.join("new"), "new\n").unwrap();
    fs::remove_file(prepared.path.join("README")).unwrap();
    place.workspaces.finish(prepared, completed()).await;
    let changed = git(&place.project, &["diff", "--name-status", "HEAD", &format!("nexus/{task}")]).await;
    assert_eq!(changed, "D\tREADME\nA\tnew");
}

#[tokio::test]
async fn names_with_line_ends_and_other_bytes() {
    let place = Place::repository().await;
    for name in ["line\nend", "co:lon", "quo\"te", "#hash", " space ", "-dash"] {
        let odd = place.directory.path().join(name);
        fs::create_dir(&odd).unwrap();
        let project = odd.join(name);
        fs::rename(&place.project, &project).unwrap();
        works(&place, &project).await;
        let below = place.workspaces.prepare(wanted(Clone), task(), &project.join("sub"), false).await.unwrap();
        assert!(below.path.join("file").is_file());
        fs::rename(&project, &place.project).unwrap();
    }
}

#[tokio::test]
async fn a_git_directory_elsewhere() {
    let place = Place::repository().await;
    let root = place.directory.path();
    let elsewhere = root.join("elsewhere.git");
    git(&place.project, &["init", "-q", "--separate-git-dir", elsewhere.to_str().unwrap()]).await;
    works(&place, &place.project).await;
    fs::remove_file(place.project.join(".git")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.project.join(".git")).unwrap();
    works(&place, &place.project).await;
    git(&place.project, &["worktree", "add", "-q", "-b", "linked", "../linked"]).await;
    works(&place, &root.join("linked")).await;
    let outer = root.join("outer");
    git(root, &["init", "-q", "outer"]).await;
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../project", "inner"];
    git(&outer, &add).await;
    works(&place, &outer.join("inner")).await;
}

/// Ways to lead to another repository of the user's. Each plants in a project, which it is given with the other's path.
#[tokio::test]
async fn another_repository_is_never_reached() {
    let plants: [fn(&Path, &Path); 7] = [
        // Objects that are anything but that would be let read.
        |project, other| {
            copied(&other.join(".git"), &project.join(".git"));
            fs::remove_dir_all(project.join(".git/objects")).unwrap();
            std::os::unix::fs::symlink(other, project.join(".git/objects")).unwrap();
        },
        |project, other| fs::write(project.join(".git"), format!("gitdir: {}/.git\n", other.display())).unwrap(),
        |project, other| std::os::unix::fs::symlink(other.join(".git"), project.join(".git")).unwrap(),
        // One of its own, that says its files are the other's.
        |project, other| {
            copied(&other.join(".git"), &project.join(".git"));
            let config = project.join(".git/config");
            let text = fs::read_to_string(&config).unwrap();
            fs::write(config, format!("{text}\n[core]\n\tworktree = {}\n", other.display())).unwrap();
        },
        |project, other| {
            fs::create_dir(project.join(".git")).unwrap();
            fs::write(project.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
            fs::write(project.join(".git/commondir"), format!("{}/.git\n", other.display())).unwrap();
        },
        // A worktree that the other one doesn't know.
        |project, other| {
            fs::create_dir(project.join("own")).unwrap();
            fs::write(project.join("own/HEAD"), "ref: refs/heads/main\n").unwrap();
            fs::write(project.join("own/commondir"), format!("{}/.git\n", other.display())).unwrap();
            fs::write(project.join("own/gitdir"), format!("{}/.git\n", project.display())).unwrap();
            fs::copy(other.join(".git/index"), project.join("own/index")).unwrap();
            fs::write(project.join(".git"), format!("gitdir: {}/own\n", project.display())).unwrap();
        },
        // The same contents don't make it the other's checkout.
        |project, other| {
            fs::copy(other.join("README"), project.join("README")).unwrap();
            fs::write(project.join(".git"), format!("gitdir: {}/.git\n", other.display())).unwrap();
        },
    ];
    for (at, plant) in plants.into_iter().enumerate() {
        let place = Place::repository().await;
        let project = place.directory.path().canonicalize().unwrap().join("planted");
        fs::create_dir(&project).unwrap();
        plant(&project, &place.project);
        let error = refused(&place, &project).await;
        assert!(matches!(error, WorkspaceError::Astray { .. }), "{at}: {error}");
        assert_eq!(git(&place.project, &["branch", "--list", "nexus/*"]).await, "");
    }
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copied(&from, &to) } else { fs::copy(from, to).map(drop).unwrap() }
    }
}

#[tokio::test]
async fn bare_ones_are_refused_with_a_checkout_to_name() {
    let place = Place::repository().await;
    let root = place.directory.path().canonicalize().unwrap();
    git(&root, &["clone", "-q", "--bare", "project", "bare.git"]).await;
    let error = refused(&place, &root.join("bare.git")).await.to_string();
    assert!(error.contains("bare repository") && error.contains("git worktree add"), "{error}");
    fs::create_dir(root.join("layout")).unwrap();
    git(&root, &["clone", "-q", "--bare", "project", "layout/.bare"]).await;
    fs::write(root.join("layout/.git"), "gitdir: ./.bare\n").unwrap();
    git(&root.join("layout"), &["worktree", "add", "-q", "main", "main"]).await;
    let error = refused(&place, &root.join("layout")).await;
    assert!(
        matches!(&error, WorkspaceError::Bare { checkouts, .. } if *checkouts == [root.join("layout/main")]),
        "{error}"
    );
    works(&place, &root.join("layout/main")).await;
}

#[tokio::test]
async fn what_the_repository_around_doesn_t_track_is_a_project_of_its_own() {
    let place = Place::repository().await;
    place.write(".gitignore", "/ignored\n");
    for name in ["ignored", "new"] {
        let project: PathBuf = place.project.join(name);
        fs::create_dir(&project).unwrap();
        fs::write(project.join("main"), "main\n").unwrap();
        for mode in [Clone, Worktree] {
            let prepared = place.workspaces.prepare(wanted(mode), task(), &project, false).await.unwrap();
            assert_eq!(prepared.mode, Copy);
            assert!(prepared.path.join("main").is_file());
            assert!(prepared.readable().is_empty(), "the outer repository is not in reach");
        }
    }
    // As soon as a file of it is committed it is a part of that.
    git(&place.project, &["add", "new"]).await;
    git(&place.project, &["commit", "-q", "-m", "new"]).await;
    let prepared = place.workspaces.prepare(wanted(Clone), task(), &place.project.join("new"), false).await.unwrap();
    assert_eq!(prepared.mode, Clone);
}

#[tokio::test]
async fn a_lock_that_was_left_is_named() {
    let place = Place::repository().await;
    let task = task();
    let prepared = place.prepare(Clone, task).await;
    fs::write(prepared.path.join("new"), "new\n").unwrap();
    place.workspaces.finish(prepared, completed()).await;
    let lock = place.project.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    let error = place.workspaces.apply(task, &place.project, None, nexus_workspace::Method::Merge).await.unwrap_err();
    assert!(error.to_string().contains(lock.to_str().unwrap()) && error.to_string().contains("remove"), "{error}");
}

/// Settings of a repository's own that would run a program at some step of a task.
#[tokio::test]
async fn nothing_that_its_configuration_names_is_run() {
    let place = Place::repository().await;
    let (sign, script) = crate::support::canary(&place);
    place.write(".gitattributes", "* filter=evil merge=evil diff=evil\n");
    place.write("base", "base\n");
    git(&place.project, &["add", "."]).await;
    git(&place.project, &["commit", "-q", "-m", "second"]).await;
    let included = place.directory.path().join("included");
    fs::write(&included, format!("[filter \"evil\"]\n\tclean = {script}\n")).unwrap();
    let instead = format!("url.ext::{script} .insteadOf");
    let data = place.directory.path().join("data").display().to_string();
    for (key, value) in [
        ("filter.evil.smudge", script.as_str()),
        ("filter.evil.process", &script),
        ("filter.evil.required", "true"),
        ("merge.evil.driver", &script),
        ("diff.evil.textconv", &script),
        ("diff.external", &script),
        ("core.alternateRefsCommand", &script),
        ("core.sshCommand", &script),
        ("core.fsmonitor", &script),
        ("core.askPass", &script),
        ("core.editor", &script),
        ("core.pager", &script),
        ("credential.helper", &format!("!{script}")),
        ("gpg.program", &script),
        ("commit.gpgSign", "true"),
        ("uploadpack.packObjectsHook", &script),
        ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"),
        (&instead, &data),
        ("include.path", included.to_str().unwrap()),
    ] {
        git(&place.project, &["config", "--add", key, value]).await;
    }
    for mode in [Clone, Worktree] {
        let task = task();
        let prepared = place.prepare(mode, task).await;
        fs::write(prepared.path.join("base"), format!("{mode:?}\n")).unwrap();
        let report = place.workspaces.finish(prepared, completed()).await;
        place.workspaces.diff(task, &place.project, None, None, false).await.unwrap();
        if report.branch.is_some() {
            let _ = place.workspaces.apply(task, &place.project, None, nexus_workspace::Method::Merge).await;
        }
    }
    assert!(!sign.exists(), "{}", fs::read_to_string(&sign).unwrap_or_default());
}
