//! Submodules: checked out from the user's own objects, and what is done in them comes back.

use std::time::Duration;

use nexus_core::department::WorkspaceMode::Clone;
use nexus_process::{Command, capture, user_environment};
use nexus_workspace::{Finish, Prepared};

use crate::support::{Place, completed, git, task, wanted};

/// A repository with the submodule `lib`, which has one of its own, `inner`; neither can be fetched any more.
async fn place() -> Place {
    let place = Place::repository().await;
    let elsewhere = place.directory.path().join("elsewhere");
    for (name, within) in [("inner", None), ("lib", Some("inner"))] {
        let path = elsewhere.join(name);
        std::fs::create_dir_all(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]).await;
        std::fs::write(path.join("file"), format!("{name}\n")).unwrap();
        if let Some(within) = within {
            add(&path, &elsewhere.join(within), within).await;
        }
        git(&path, &["add", "."]).await;
        git(&path, &["commit", "-q", "-m", name]).await;
    }
    add(&place.project, &elsewhere.join("lib"), "vendor/lib").await;
    git(&place.project, &["commit", "-q", "-m", "a submodule"]).await;
    let update = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive"];
    git(&place.project, &update).await;
    std::fs::remove_dir_all(&elsewhere).unwrap();
    place
}

async fn add(to: &std::path::Path, from: &std::path::Path, name: &str) {
    let from = from.display().to_string();
    git(to, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from, name]).await;
}

async fn work(prepared: &Prepared, script: &str) -> String {
    let identity = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let command = Command::new("sh", &prepared.path)
        .args(["-euc", script])
        .env(user_environment(&[]))
        .env(identity.map(|name| (name, "agent@example.com")));
    let command = match prepared.overlay() {
        Some(overlay) => overlay.within(&command, false).unwrap(),
        None => command,
    };
    let captured = capture(&command, Duration::from_secs(60), 1 << 20).await.unwrap();
    let said = String::from_utf8_lossy(&captured.stderr).into_owned();
    assert!(captured.success(), "{script}: {said}");
    String::from_utf8(captured.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn they_are_there_and_clean() {
    for mountable in [false, true] {
        let place = place().await;
        let task = task();
        let prepared = place.workspaces.prepare(wanted(Clone), task, &place.project, mountable).await.unwrap();
        let said = "submodules: vendor/lib, vendor/lib/inner from the project's own objects; no submodule is empty";
        assert_eq!(prepared.notes, [said]);
        let seen =
            work(&prepared, "cat vendor/lib/file vendor/lib/inner/file; git submodule status --recursive | cut -c1")
                .await;
        assert_eq!(seen, "lib\ninner");
        assert_eq!(work(&prepared, "git status --porcelain; git -C vendor/lib status --porcelain").await, "");
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!((report.kept, report.reason, report.branch), (false, None, None), "{mountable}");
    }
}

#[tokio::test]
async fn their_commits_come_back() {
    for mountable in [false, true] {
        let place = place().await;
        let task = task();
        let prepared = place.workspaces.prepare(wanted(Clone), task, &place.project, mountable).await.unwrap();
        work(
            &prepared,
            "cd vendor/lib; echo fix > fix; git add fix; git commit -qm fix; cd ../..; git commit -qam 'the fix'",
        )
        .await;
        let report = place.workspaces.finish(prepared, completed()).await;
        assert_eq!((report.commit_count, report.kept), (Some(1), false), "{report:?}");
        let branch = report.branch.unwrap();
        let named = git(&place.project, &["rev-parse", &format!("{branch}:vendor/lib")]).await;
        let own = place.project.join("vendor/lib");
        assert_eq!(git(&own, &["rev-parse", &branch]).await, named, "{mountable}");
        assert_eq!(git(&own, &["show", &format!("{branch}:fix")]).await, "fix", "{mountable}");
    }
}

#[tokio::test]
async fn what_is_uncommitted_in_them_is_kept_and_the_rest_comes_back() {
    for mountable in [false, true] {
        let place = place().await;
        let prepared = place.workspaces.prepare(wanted(Clone), task(), &place.project, mountable).await.unwrap();
        work(&prepared, "echo half > vendor/lib/half; echo fix > fix").await;
        let report = place.workspaces.finish(prepared, completed()).await;
        let said = "there is a repository within it, which is not looked into: vendor/lib";
        assert_eq!((report.kept, report.reason.as_deref()), (true, Some(said)), "{mountable}");
        assert_eq!(git(&place.project, &["show", &format!("{}:fix", report.branch.unwrap())]).await, "fix");
    }
}

#[tokio::test]
async fn one_that_the_user_has_not_checked_out_is_said_to_be_empty() {
    let place = place().await;
    git(&place.project, &["submodule", "--quiet", "deinit", "--force", "vendor/lib"]).await;
    let prepared = place.workspaces.prepare(wanted(Clone), task(), &place.project, true).await.unwrap();
    assert_eq!(prepared.notes, ["the submodule vendor/lib is empty: it is not checked out in the project"]);
    assert!(!place.workspaces.finish(prepared, Finish::Unfinished).await.kept);
}
