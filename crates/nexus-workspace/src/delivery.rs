//! An agent's commits, brought from its repository onto the task's branch in the project's.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;

use crate::branch::{self, Branch};
use crate::error::WorkspaceError;
use crate::facade::Facade;
use crate::foreign::Foreign;
use crate::git::Git;
use crate::repository::Repository;
use crate::settings::Settings;

/// Fewer objects than this are stored one by one, as git's own fetch does; more stay a pack.
const UNPACKED: u32 = 100;
/// A pack that is read as a whole to be stored one by one.
const SMALL: u64 = 8 << 20;
/// Branches of the project's that tell what needn't be brought; more would cost more than they save.
const NEGATIVES: usize = 1000;

/// Refs that are looked at one by one, for the name of one that would be lost.
const NAMED: usize = 50;

/// The result of a delivery.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// The name of the branch: another than before where somebody else has moved that one.
    pub(crate) name: String,
    /// The newest commit of the task's branch; none where there is no branch.
    pub(crate) tip: Option<String>,
    /// Why the branch is not what the agent has left.
    pub(crate) refused: Option<String>,
    /// A ref of the agent's that names commits which the project has on no branch.
    pub(crate) lost: Option<String>,
}

/// Where a branch was set.
#[derive(Debug)]
struct Placed {
    name: String,
    tip: Option<String>,
}

/// Branches beside one that somebody else has moved.
const BESIDE: u32 = 9;

/// The relation of two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Same,
    /// The first has all of the second.
    Ahead,
    Behind,
    Parted,
}

/// The new end of the task's branch: the agent's branch of that name, or what it has checked out at the end. What is checked
/// out and was not made by the agent is only something that it has looked at.
fn end<'a>(own: Option<&'a str>, head: Option<&'a str>, relation: Relation, is_known: bool) -> Option<&'a str> {
    match (own, head) {
        (None, head) => head,
        (own, None) => own,
        (own, head) => match relation {
            Relation::Same | Relation::Ahead => own,
            Relation::Behind => head,
            Relation::Parted if is_known => own,
            Relation::Parted => head,
        },
    }
}

/// The refs of the project's repository.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: HashSet<String>,
    branches: Vec<String>,
    /// Where the branch is that was asked for.
    tip: Option<String>,
}

impl Known {
    pub(crate) async fn of(branch: &Branch) -> Result<Self, WorkspaceError> {
        let (repository, reference) = (&branch.repository, branch.reference());
        // Broken refs are complained of, and left out.
        let asked = ["for-each-ref", "--format=%(objectname) %(refname)"];
        let printed = repository.git().run("list its branches", asked).await?;
        let text = String::from_utf8_lossy(&printed.stdout).into_owned();
        let mut known = Self::default();
        for (id, name) in text.lines().filter_map(|line| line.split_once(' ')) {
            known.ids.insert(id.to_owned());
            if name == reference {
                known.tip = Some(id.to_owned());
            }
            if name.starts_with("refs/heads/") && known.branches.len() < NEGATIVES {
                known.branches.push(id.to_owned());
            }
        }
        known.ids.insert(repository.head.clone());
        Ok(known)
    }

    fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }
}

/// An agent's repository, and the branch that its commits belong on.
pub(crate) struct Sender<'a> {
    pub(crate) task: TaskId,
    pub(crate) branch: &'a Branch,
    pub(crate) settings: &'a Settings,
    pub(crate) foreign: &'a Foreign,
    /// The commit that we have brought the branch to ourselves before: it may be moved on from there to anything.
    pub(crate) delivered: Option<&'a str>,
    /// Where a repository of ours may be made, on the file system of the agent's.
    pub(crate) scratch: PathBuf,
}

impl Sender<'_> {
    /// Brings the agent's commits over and sets the branch. Nobody else changes the repository meanwhile.
    pub(crate) async fn deliver(&self) -> Result<Delivery, WorkspaceError> {
        let repository = &self.branch.repository;
        let known = Known::of(self.branch).await?;
        let before = known.tip.clone();
        let is_old = |id: &str| known.has(id) || id == self.branch.base || self.delivered == Some(id);
        let fresh: BTreeMap<&str, &str> = self.foreign.all().filter(|(_, id)| !is_old(id)).collect();
        let facade = match fresh.is_empty() {
            true => None,
            false => Some(Facade::make(self.scratch.clone(), repository, self.settings, self.foreign).await?),
        };
        let git = facade.as_ref().map_or_else(|| repository.git(), Facade::git);
        let [usual, other] = branch::names(self.task);
        let names = [self.branch.name.clone(), usual, other];
        let own = names.iter().find_map(|name| self.foreign.get(&format!("refs/heads/{name}")));
        let head = self.foreign.head();
        let relation = relation(&git, own, head).await?;
        let end = end(own, head, relation, head.is_some_and(&is_old));
        let mut negatives = None;
        let mut delivery = Delivery { name: self.branch.name.clone(), tip: before.clone(), ..Delivery::default() };
        if let Some(end) = end
            && before.as_deref() != Some(end)
        {
            let brought = match &facade {
                Some(facade) if !is_old(end) => {
                    negatives = Some(self.healthy(&git, &known).await?);
                    bring(facade, repository, end, negatives.as_deref().unwrap_or_default()).await?
                }
                _ => Ok(()),
            };
            let placed = match brought {
                Ok(()) => self.place(end, before.as_deref()).await?,
                Err(said) => Err(said),
            };
            match placed {
                Ok(placed) => delivery = Delivery { name: placed.name, tip: placed.tip, ..delivery },
                Err(said) => delivery.refused = Some(said),
            }
        }
        if delivery.refused.is_some() {
            delivery.lost = Some(self.branch.reference());
        } else if fresh.values().any(|id| delivery.tip.as_deref() != Some(*id)) {
            let negatives = match negatives {
                Some(negatives) => negatives,
                None => self.healthy(&git, &known).await?,
            };
            delivery.lost = lost(&git, &fresh, delivery.tip.as_deref(), &negatives).await?;
        }
        Ok(delivery)
    }

    /// A ref of the agent's that names commits which the project has on no branch, where none is to be brought any more.
    pub(crate) async fn lost(&self) -> Result<Option<String>, WorkspaceError> {
        let repository = &self.branch.repository;
        let known = Known::of(self.branch).await?;
        let is_old = |id: &str| known.has(id) || id == self.branch.base;
        let fresh: BTreeMap<&str, &str> = self.foreign.all().filter(|(_, id)| !is_old(id)).collect();
        if fresh.is_empty() {
            return Ok(None);
        }
        let facade = Facade::make(self.scratch.clone(), repository, self.settings, self.foreign).await?;
        let negatives = self.healthy(&facade.git(), &known).await?;
        lost(&facade.git(), &fresh, known.tip.as_deref(), &negatives).await
    }

    /// Sets the branch. Where somebody else has moved it, another one beside it.
    async fn place(&self, end: &str, before: Option<&str>) -> Result<Result<Placed, String>, WorkspaceError> {
        let branch = self.branch;
        let placed = |name: &str| Placed { name: name.to_owned(), tip: Some(end.to_owned()) };
        let Some(before) = before else {
            if end == branch.base {
                return Ok(Ok(Placed { name: branch.name.clone(), tip: None }));
            }
            return Ok(branch.try_set(end, None).await?.map(|()| placed(&branch.name)));
        };
        if self.delivered == Some(before) || branch.repository.is_ancestor(before, end).await? {
            return Ok(branch.try_set(end, Some(before)).await?.map(|()| placed(&branch.name)));
        }
        let mut refused = String::new();
        for number in 2..=BESIDE {
            let beside = Branch { name: format!("{}-{number}", branch.name), ..branch.clone() };
            match beside.try_set(end, None).await? {
                Ok(()) => return Ok(Ok(placed(&beside.name))),
                Err(said) => refused = said,
            }
        }
        Ok(Err(refused))
    }

    /// Commits that the project surely has whole: neither broken refs nor refs to what is gone.
    async fn healthy(&self, git: &Git, known: &Known) -> Result<Vec<String>, WorkspaceError> {
        let named = [self.branch.base.as_str(), &self.branch.repository.head].into_iter();
        let named = named.chain(self.delivered).chain(known.branches.iter().map(String::as_str));
        let input: String = named.map(|id| format!("{id}\n")).collect();
        let args = ["cat-file", "--batch-check=%(objecttype) %(objectname)"];
        let printed = git.fed("look for commits", args, input.into_bytes()).await?;
        let found = printed.lines().filter_map(|line| line.strip_prefix("commit "));
        Ok(found.map(str::to_owned).collect::<HashSet<_>>().into_iter().collect())
    }
}

async fn relation(git: &Git, own: Option<&str>, head: Option<&str>) -> Result<Relation, WorkspaceError> {
    let (Some(own), Some(head)) = (own, head) else { return Ok(Relation::Same) };
    if own == head {
        return Ok(Relation::Same);
    }
    let is_ancestor = |one: String, of: String| async move {
        let args = ["merge-base".to_owned(), "--is-ancestor".to_owned(), one, of];
        Ok::<_, WorkspaceError>(git.run("compare histories", args).await?.success())
    };
    Ok(if is_ancestor(head.to_owned(), own.to_owned()).await? {
        Relation::Ahead
    } else if is_ancestor(own.to_owned(), head.to_owned()).await? {
        Relation::Behind
    } else {
        Relation::Parted
    })
}

/// Copies the objects of `end` that the project doesn't have into its repository, checked. Refused with what git says.
async fn bring(
    facade: &Facade,
    repository: &Repository,
    end: &str,
    negatives: &[String],
) -> Result<Result<(), String>, WorkspaceError> {
    let name = facade.root().join("out");
    let input: String =
        std::iter::once(format!("{end}\n")).chain(negatives.iter().map(|id| format!("^{id}\n"))).collect();
    let args = [
        "pack-objects".into(),
        "--quiet".into(),
        "--revs".into(),
        "--delta-base-offset".into(),
        name.clone().into_os_string(),
    ];
    let packed = facade.git().feed("pack the agent's commits", args, input.into_bytes()).await?;
    if !packed.success() {
        return Ok(Err(said(&packed.stderr)));
    }
    let hash = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
    let pack = name.with_file_name(format!("out-{hash}.pack"));
    let io = |doing| WorkspaceError::io(doing, &pack);
    let size = fs::metadata(&pack).map_err(io("read"))?.len();
    let git = repository.git();
    let stored = if size <= SMALL && count(&pack).map_err(io("read"))? < UNPACKED {
        let bytes = fs::read(&pack).map_err(io("read"))?;
        git.feed("store the agent's commits", ["unpack-objects", "-q", "--strict"], bytes).await?
    } else {
        // Whoever reads the repository looks for indices: the pack is there before its own is.
        let directory = repository.common.join("objects/pack");
        let put = |end: &str| directory.join(format!("pack-{hash}.{end}"));
        if put("idx").exists() {
            return Ok(Ok(()));
        }
        let partial = directory.join(format!("tmp_nexus_{hash}.pack"));
        let copied = fs::create_dir_all(&directory).and_then(|()| fs::copy(&pack, &partial));
        if let Err(error) = copied {
            let _ = fs::remove_file(&partial);
            return Ok(Err(format!("{}: {error}", directory.display())));
        }
        let index = partial.with_extension("idx");
        let args = [
            "index-pack".into(),
            "--strict".into(),
            "-o".into(),
            index.clone().into_os_string(),
            partial.clone().into_os_string(),
        ];
        let checked = git.run("store the agent's commits", args).await?;
        let moved = match checked.success() {
            true => fs::rename(&partial, put("pack")).and_then(|()| fs::rename(&index, put("idx"))),
            false => Ok(()),
        };
        for left in [&partial, &index, &partial.with_extension("rev")] {
            let _ = fs::remove_file(left);
        }
        moved.map_err(WorkspaceError::io("store a pack in", &directory))?;
        checked
    };
    Ok(if stored.success() { Ok(()) } else { Err(said(&stored.stderr)) })
}

/// The number of objects, which stands in a pack's head.
fn count(pack: &Path) -> std::io::Result<u32> {
    use std::io::Read as _;
    let mut head = [0; 12];
    fs::File::open(pack)?.read_exact(&mut head)?;
    Ok(u32::from_be_bytes([head[8], head[9], head[10], head[11]]))
}

/// Of what only the agent's repository names, the first that is on no branch of the project's.
async fn lost(
    git: &Git,
    fresh: &BTreeMap<&str, &str>,
    tip: Option<&str>,
    negatives: &[String],
) -> Result<Option<String>, WorkspaceError> {
    let beyond: String = negatives.iter().map(String::as_str).chain(tip).map(|id| format!("^{id}\n")).collect();
    let is_lost = async |ids: String| {
        let input = format!("{ids}{beyond}").into_bytes();
        let listed = git.feed("look for commits", ["rev-list", "-n", "1", "--stdin"], input).await?;
        Ok::<_, WorkspaceError>(!listed.success() || !listed.stdout.is_empty())
    };
    let fresh: Vec<(&str, &str)> =
        fresh.iter().map(|(name, id)| (*name, *id)).filter(|(_, id)| Some(*id) != tip).collect();
    // An agent may have made thousands: all are asked about at once.
    if fresh.is_empty() || !is_lost(fresh.iter().map(|(_, id)| format!("{id}\n")).collect()).await? {
        return Ok(None);
    }
    for (name, id) in fresh.iter().take(NAMED) {
        if is_lost(format!("{id}\n")).await? {
            return Ok(Some((*name).to_owned()));
        }
    }
    Ok(Some(format!("{} refs", fresh.len())))
}

/// The message of git, in one line.
pub(crate) fn said(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("hint:"));
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_what_the_agent_has_left() {
        let (own, head) = (Some("own"), Some("head"));
        let table = [
            ("committed on the branch", own, own, Relation::Same, false, own),
            ("the branch renamed", None, head, Relation::Same, false, head),
            ("its own branch, from the task's", own, head, Relation::Behind, false, head),
            ("it has looked at an older commit", own, head, Relation::Ahead, true, own),
            ("it has looked at another branch", own, head, Relation::Parted, true, own),
            ("begun anew on a branch of its own", own, head, Relation::Parted, false, head),
            ("a branch without commits", own, None, Relation::Same, false, own),
            ("nothing at all", None, None, Relation::Same, false, None),
        ];
        for (what, own, head, relation, is_known, wanted) in table {
            assert_eq!(end(own, head, relation, is_known), wanted, "{what}");
        }
    }
}
