//! The settings of git in a repository, read once, with who has set each.

#[cfg(test)]
use crate::git::entries;

/// All settings that are in force, the later ones winning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    entries: Vec<Setting>,
}

#[derive(Clone, Debug)]
struct Setting {
    /// Set by the user or the system, and not by the repository, which somebody else may have written.
    is_trusted: bool,
    key: String,
    value: String,
}

impl Settings {
    /// Reads what `git config --list -z --show-scope` prints, entry by entry.
    pub(crate) fn read(printed: &[Vec<u8>]) -> Self {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let pairs = printed.chunks_exact(2).map(|pair| {
            let (scope, entry) = (text(&pair[0]), text(&pair[1]));
            // A key without a value is true.
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
            let is_trusted = matches!(scope.as_str(), "system" | "global");
            Setting { is_trusted, key: key.to_owned(), value: value.to_owned() }
        });
        Self { entries: pairs.collect() }
    }

    /// `key` as git prints it: lower case but for the middle part.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "yes" | "on" | "1"))
    }

    /// The middle and last parts of the keys of one section, with their values and whether the user has set them.
    pub(crate) fn section<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a str, bool)> {
        self.entries.iter().filter_map(move |entry| {
            let rest = entry.key.strip_prefix(name)?.strip_prefix('.')?;
            let (middle, last) = rest.rsplit_once('.')?;
            Some((middle, last, entry.value.as_str(), entry.is_trusted))
        })
    }

    /// The hash that names its objects.
    pub(crate) fn object_format(&self) -> &str {
        self.get("extensions.objectformat").unwrap_or("sha1")
    }

    /// The remote that has the objects which a partial clone has left there.
    pub(crate) fn promisor(&self) -> Option<&str> {
        let named = self.get("extensions.partialclone");
        named.or_else(|| {
            self.section("remote")
                .find(|(_, key, value, _)| *key == "promisor" && *value == "true")
                .map(|found| found.0)
        })
    }

    /// The user's name and address, or what stands for an agent.
    pub(crate) fn identity(&self) -> [&str; 2] {
        let found = |key, otherwise| self.get(key).filter(|value| !value.is_empty()).unwrap_or(otherwise);
        [found("user.name", "Nexus agent"), found("user.email", "agent@nexus.invalid")]
    }
}

#[cfg(test)]
fn read(printed: &str) -> Settings {
    Settings::read(&entries(printed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_wins_and_who_has_set_it_is_known() {
        let settings = read(
            "global\0user.name\nOne\0global\0filter.lfs.clean\ngit-lfs clean -- %f\0local\0user.name\nTwo\0\
             local\0filter.a.B.smudge\nrun\0local\0core.sparsecheckout\0",
        );
        assert_eq!(settings.identity(), ["Two", "agent@nexus.invalid"]);
        assert!(settings.is_set("core.sparsecheckout") && !settings.is_set("core.bare"));
        let filters: Vec<_> = settings.section("filter").collect();
        let wanted = [("lfs", "clean", "git-lfs clean -- %f", true), ("a.B", "smudge", "run", false)];
        assert_eq!(filters, wanted);
    }

    #[test]
    fn partial_clones_name_their_remote() {
        assert_eq!(read("local\0remote.up.url\nx\0local\0remote.up.promisor\ntrue\0").promisor(), Some("up"));
        assert_eq!(read("local\0extensions.partialclone\norigin\0").promisor(), Some("origin"));
        assert_eq!(read("local\0remote.up.promisor\nfalse\0").promisor(), None);
    }
}
