//! A company's token: the file `token` in its data directory, for its owner only.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use nexus_web::Token;

use crate::exit::{Code, Exit};
use crate::place;

const FILE: &str = "token";

/// The token of the company on this data directory. It is made if there is none yet, and so is the directory.
pub(crate) fn of(data_dir: &Path) -> Result<Token, Exit> {
    place::make_dir(data_dir).map_err(|error| Exit::failure(format!("{}: {error}", data_dir.display())))?;
    only_ours(data_dir)?;
    let path = data_dir.join(FILE);
    let failed = |error: io::Error| Exit::failure(format!("{}: {error}", path.display()));
    match fs::read_to_string(&path) {
        Ok(text) => {
            only_ours(&path)?;
            keep_to_the_owner(&path).map_err(failed)?;
            let damaged = |error| Exit::failure(format!("{}: {error}", path.display())).with_help(ANEW);
            text.parse().map_err(damaged)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(data_dir, &path).map_err(failed)?;
            // What lies there now, be it another process's.
            let text = fs::read_to_string(&path).map_err(failed)?;
            text.parse().map_err(|error| Exit::failure(format!("{}: {error}", path.display())).with_help(ANEW))
        }
        Err(error) => Err(failed(error)),
    }
}

const ANEW: &str = "delete that file, and the next `nexus up` makes a new token, which clients need then";

/// Makes the file as a whole, if nobody has made it meanwhile.
fn make(data_dir: &Path, path: &Path) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
    writeln!(file, "{}", Token::generate()?.expose())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

/// Refuses a directory or a token that another user could have put there: who knows the token has all of the company.
#[cfg(unix)]
fn only_ours(path: &Path) -> Result<(), Exit> {
    use std::os::unix::fs::MetadataExt;
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    /// Others can add files to such a directory, and replace none.
    const STICKY: u32 = 0o1000;

    let shown = path.display();
    let found = fs::metadata(path).map_err(|error| Exit::failure(format!("{shown}: {error}")))?;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let is_sticky = |found: &fs::Metadata| found.is_dir() && found.mode() & STICKY != 0;
    let is_group_s = found.mode() & GROUP != 0 && found.gid() != group;
    if !is_sticky(&found) && (found.mode() & OTHERS != 0 || is_group_s) {
        return Err(Exit::new(
            Code::Refused,
            format!("other users can write to {shown}, and so choose the company's token"),
        )
        .with_help(format!("name another data directory, or close this one: chmod go-w {shown}")));
    }
    // Root trusts who it works for, as in a container; but not whoever can add files.
    let is_shared = path.parent().is_some_and(|around| fs::metadata(around).is_ok_and(|around| is_sticky(&around)));
    let is_trusted = found.uid() == 0 || user == 0 && (found.is_dir() || !is_shared);
    if found.uid() != user && !is_trusted {
        return Err(Exit::new(Code::Refused, format!("{shown} belongs to another user (uid {})", found.uid()))
            .with_help("name a data directory of your own"));
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as where files have modes")]
fn only_ours(_: &Path) -> Result<(), Exit> {
    Ok(())
}

#[cfg(unix)]
fn keep_to_the_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;

    if fs::metadata(path)?.permissions().mode() & OTHERS != 0 {
        tracing::warn!("{} could be read by others; {ANEW}", path.display());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as where files have modes")]
fn keep_to_the_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let first = of(dir.path()).unwrap();
        assert_eq!(of(dir.path()).unwrap().expose(), first.expose());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = || fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777;
        of(dir.path()).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(dir.path().join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
        of(dir.path()).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn where_others_can_write_there_is_none() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        of(dir.path()).unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(dir.path(), 0o777);
        assert!(of(dir.path()).unwrap_err().message.contains("other users can write to"));
        for mode in [0o755, 0o1777] {
            set(dir.path(), mode);
            of(dir.path()).unwrap();
        }
        set(&dir.path().join(FILE), 0o622);
        assert_eq!(of(dir.path()).unwrap_err().code, Code::Refused);
    }

    #[test]
    fn a_damaged_one_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "half a tok").unwrap();
        let error = of(dir.path()).unwrap_err();
        assert!(error.message.contains("token: it is no token"), "{}", error.message);
        assert!(error.help.unwrap().contains("delete that file"));
    }
}
