//! The homes of people on this machine.

use std::path::{Path, PathBuf};

/// Where homes are, whoever has one there.
const ALWAYS: [&str; 3] = ["/root", "/home", "/Users"];

/// Accounts with smaller numbers belong to services, which have their data for a home, and larger ones to nobody.
const PEOPLE: std::ops::Range<u32> = 1_000..65_000;

/// The user's own, and those that this machine knows of. Without links.
pub(super) fn find() -> Vec<PathBuf> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = std::env::home_dir();
    let all = own.into_iter().chain(ALWAYS.map(PathBuf::from)).chain(of_people(&passwd));
    all.filter(|home| home.parent().is_some()).map(|home| home.canonicalize().unwrap_or(home)).collect()
}

fn of_people(passwd: &str) -> impl Iterator<Item = PathBuf> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, id, _, _, home, ..] = fields.as_slice() else { return None };
        let id: u32 = id.parse().ok()?;
        let is_persons = PEOPLE.contains(&id) || id == 0;
        (is_persons && Path::new(home).is_absolute()).then(|| PathBuf::from(home))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_homes_and_services_have_data() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/false\nann:x:1000:1000:Ann,,,:/srv/ann:/bin/sh\n\
                      nobody:x:65534:65534::/nonexistent:/bin/false\nbroken\nx:x:1001:1:::\n";
        assert_eq!(of_people(passwd).collect::<Vec<_>>(), [Path::new("/root"), Path::new("/srv/ann")]);
        assert!(find().iter().all(|home| home.parent().is_some()));
    }
}
