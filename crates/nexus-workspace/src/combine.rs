//! Two histories brought together without a checkout: in the repository's objects alone.

use crate::branch::Branch;
use crate::error::WorkspaceError;
use crate::git::entries;

/// The result of bringing two histories together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Combined {
    /// The commit that has both; the first one itself where the second adds nothing.
    Commit(String),
    /// Files that both have changed, each in its way.
    Conflicts { files: Vec<String>, at: Option<String> },
}

/// The tree of two commits merged, or the files that conflict.
type Merged = Result<String, Vec<String>>;

/// A merge commit of `tip` into `onto`.
pub(crate) async fn merge(branch: &Branch, onto: &str, tip: &str) -> Result<Combined, WorkspaceError> {
    let tree = match merge_trees(branch, None, onto, tip).await? {
        Ok(tree) => tree,
        Err(files) => return Ok(Combined::Conflicts { files, at: None }),
    };
    if is_tree_of(branch, &tree, onto).await? {
        return Ok(Combined::Commit(onto.to_owned()));
    }
    let message = format!("Merge branch '{}'\n", branch.name);
    branch.repository.commit(&tree, &[onto, tip], &message, None).await.map(Combined::Commit)
}

/// The commits of the branch made anew on top of `onto`, without merges and without what is there already.
pub(crate) async fn rebase(branch: &Branch, onto: &str, tip: &str) -> Result<Combined, WorkspaceError> {
    let git = branch.repository.git();
    let sides = format!("{onto}...{tip}");
    let not_before = format!("^{}", branch.start(tip).await?);
    let args =
        ["rev-list", "--reverse", "--topo-order", "--no-merges", "--cherry-pick", "--right-only", &sides, &not_before];
    let commits = git.text("list the commits", args).await?;
    let mut onto = onto.to_owned();
    for commit in commits.lines() {
        let args = ["log", "-1", "--no-show-signature", "--date=raw", "--format=%an%x00%ae%x00%ad%x00%B", commit];
        let text = git.text("read a commit", args).await?;
        let mut parts = text.splitn(4, '\0');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let (name, email, date, message) = (next(), next(), next(), next());
        let parent = format!("{commit}^");
        let tree = match merge_trees(branch, Some(&parent), &onto, commit).await? {
            Ok(tree) => tree,
            Err(files) => {
                let at = message.lines().next().unwrap_or_default().to_owned();
                return Ok(Combined::Conflicts { files, at: Some(at) });
            }
        };
        if is_tree_of(branch, &tree, &onto).await? {
            continue;
        }
        let author = [name.as_str(), email.as_str(), &format!("@{date}")];
        let message = format!("{}\n", message.trim_end());
        onto = branch.repository.commit(&tree, &[&onto], &message, Some(author)).await?;
    }
    Ok(Combined::Commit(onto))
}

/// The branch's work beyond its snapshot, on top of `onto`: commit by commit, or as one commit where there are merges among
/// them, whose resolutions would be lost.
pub(crate) async fn beyond_snapshot(branch: &Branch, onto: &str, tip: &str) -> Result<Combined, WorkspaceError> {
    let repository = &branch.repository;
    if repository.count(&["--merges", tip, "--not", onto, &branch.base]).await? == 0 {
        return rebase(branch, onto, tip).await;
    }
    let tree = match merge_trees(branch, Some(&branch.base), onto, tip).await? {
        Ok(tree) => tree,
        Err(files) => return Ok(Combined::Conflicts { files, at: None }),
    };
    if is_tree_of(branch, &tree, onto).await? {
        return Ok(Combined::Commit(onto.to_owned()));
    }
    let args =
        ["log", "--reverse", "--no-merges", "--no-show-signature", "--format=- %s", tip, "--not", onto, &branch.base];
    let subjects = repository.git().text("list the commits", args).await?;
    let message = format!("Work of task {}\n\n{subjects}\n", branch.task);
    repository.commit(&tree, &[onto], &message, None).await.map(Combined::Commit)
}

async fn is_tree_of(branch: &Branch, tree: &str, commit: &str) -> Result<bool, WorkspaceError> {
    Ok(branch.repository.resolve(&format!("{commit}^{{tree}}")).await?.as_deref() == Some(tree))
}

pub(crate) async fn merge_trees(
    branch: &Branch,
    base: Option<&str>,
    one: &str,
    other: &str,
) -> Result<Merged, WorkspaceError> {
    let base = base.map(|base| format!("--merge-base={base}"));
    let args = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z"].map(str::to_owned);
    let args = args.into_iter().chain(base).chain([one.to_owned(), other.to_owned()]);
    let git = branch.repository.git();
    let doing = "merge (which needs git 2.40 or newer)";
    let captured = git.run(doing, args).await?;
    let mut printed = entries(&captured.stdout).into_iter().map(|entry| String::from_utf8_lossy(&entry).into_owned());
    // With 1 it says that there are conflicts; what is above, that it could not look.
    match (captured.status, printed.next()) {
        (nexus_core::attempt::ExitStatus::Code(0), Some(tree)) => Ok(Ok(tree)),
        (nexus_core::attempt::ExitStatus::Code(1), Some(_)) => {
            let mut files: Vec<String> = printed.collect();
            files.dedup();
            Ok(Err(files))
        }
        _ => Err(git.refused(doing, &captured)),
    }
}
