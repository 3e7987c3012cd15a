//! Where configuration comes from, and which files that means.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use nexus_core::id::DepartmentName;

use crate::builtin;
use crate::errors::ConfigError;
use crate::trust::{Standing, Trust};

/// Where to look. [`Source::of_process`] is the usual one; the default looks nowhere and finds the built-in company.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `--config`: the directory that holds `nexus.toml` and `departments/`.
    pub dir: Option<PathBuf>,
    /// The current directory: used when it has `departments/` and `here` says so.
    pub cwd: Option<PathBuf>,
    pub here: Here,
    /// The platform's configuration directory: used when it has `departments/` or `nexus.toml`.
    pub platform: Option<PathBuf>,
    pub env: Vec<(String, String)>,
    /// From the caller's flags; stronger than all else.
    pub overrides: Vec<Override>,
}

/// The say of a configuration that only lies where somebody stands: it may be a stranger's.
#[derive(Clone, Debug, Default)]
pub enum Here {
    #[default]
    Ignored,
    /// If it was trusted as it is now.
    Trusted(Trust),
    /// It is looked at, and nothing that it names is run.
    LookedAt,
}

/// The directory that holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Located {
    /// None: built in.
    pub(crate) dir: Option<PathBuf>,
    /// The current directory would, but isn't trusted.
    pub(crate) untrusted: Option<Untrusted>,
}

/// A configuration that isn't in force, as nobody has trusted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    pub dir: PathBuf,
    /// It was trusted once, and says something else now.
    pub changed: bool,
}

impl std::fmt::Display for Untrusted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dir = self.dir.display();
        let why = if self.changed { "it has changed since it was trusted" } else { "nobody has trusted it" };
        write!(
            formatter,
            "the configuration in {dir} (departments/) is not in force: {why}. It names programs to run; look at it, then \
             `nexus trust {dir}`, or name it with --config {dir}"
        )
    }
}

/// A flag that sets a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Dotted: `web.listen`.
    pub key: String,
    pub value: String,
    /// As the user wrote it, for errors: `--listen`.
    pub flag: String,
}

impl Source {
    /// The process's own environment and directories.
    #[must_use]
    pub fn of_process(dir: Option<PathBuf>, here: Here, overrides: Vec<Override>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            dir,
            cwd: std::env::current_dir().ok(),
            here,
            platform: etcetera::choose_base_strategy().ok().map(|strategy| strategy.config_dir().join("nexus")),
            env: std::env::vars_os().filter_map(text).collect(),
            overrides,
        }
    }

    pub(crate) fn locate(&self) -> Located {
        let has_departments = |dir: &&PathBuf| dir.join("departments").is_dir();
        let is_config = |dir: &&PathBuf| has_departments(dir) || dir.join("nexus.toml").is_file();
        if let Some(dir) = &self.dir {
            return Located { dir: Some(dir.clone()), untrusted: None };
        }
        let here = self.cwd.as_ref().filter(has_departments);
        let standing = |dir: &PathBuf| match &self.here {
            Here::Ignored => None,
            Here::Trusted(trust) => Some(trust.of(dir)),
            Here::LookedAt => Some(Standing::Trusted),
        };
        let mut untrusted = None;
        if let Some((dir, standing)) = here.and_then(|dir| Some((dir, standing(dir)?))) {
            if standing == Standing::Trusted {
                return Located { dir: Some(dir.clone()), untrusted: None };
            }
            untrusted = Some(Untrusted { dir: dir.clone(), changed: standing == Standing::Changed });
        }
        Located { dir: self.platform.as_ref().filter(is_config).cloned(), untrusted }
    }

    /// The trust that the configuration in `dir` needs to stay in force; none: it was named, or is its user's own.
    pub(crate) fn needs_trust(&self, dir: &Path) -> Option<&Trust> {
        match &self.here {
            Here::Trusted(trust) if self.dir.is_none() && self.cwd.as_deref() == Some(dir) => Some(trust),
            _ => None,
        }
    }
}

/// A file's text, and whose it is.
pub(crate) struct Found {
    /// As people are told: relative to the configuration directory.
    pub(crate) name: String,
    pub(crate) path: Option<PathBuf>,
    /// `None` for `nexus.toml`.
    pub(crate) department: Option<DepartmentName>,
    pub(crate) text: String,
}

/// A file of configuration has no reason to be larger; one that is was put there by mistake.
const MAX_FILE: u64 = 1 << 20;

/// All files of a directory; a directory without `departments/` changes settings of the built-in departments.
pub(crate) fn read_dir(dir: &Path) -> (Vec<Found>, Vec<ConfigError>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let (main, departments) = (dir.join("nexus.toml"), dir.join("departments"));
    if !main.exists() && !departments.is_dir() {
        let error = ConfigError::about(dir, "there is neither a `nexus.toml` nor a `departments` directory here");
        return (found, vec![error]);
    }
    let mut take = |path: PathBuf, department: Option<DepartmentName>| match read(&path) {
        Ok(text) => found.push(Found { name: name_in(dir, &path), path: Some(path), department, text }),
        Err(message) => errors.push(ConfigError::about(Path::new(&name_in(dir, &path)), message)),
    };
    if main.exists() {
        take(main, None);
    }
    let mut misnamed = Vec::new();
    match department_files(&departments) {
        Ok(Some(paths)) => {
            for path in paths {
                match path.file_stem().unwrap_or_default().to_string_lossy().parse() {
                    Ok(name) => take(path, Some(name)),
                    Err(invalid) => misnamed.push((path, invalid)),
                }
            }
        }
        Ok(None) => found.extend(builtin::departments()),
        Err(error) => errors.push(ConfigError::about(Path::new("departments"), format!("can't be read: {error}"))),
    }
    errors.extend(misnamed.into_iter().map(|(path, invalid)| {
        let error = ConfigError::about(Path::new(&name_in(dir, &path)), invalid.to_string());
        error.with_help(Some("a department is called as its file is, without `.toml`".to_owned()))
    }));
    (found, errors)
}

/// `departments/*.toml` by name; hidden files, editors' back-ups and anything else are not ours.
fn department_files(departments: &Path) -> std::io::Result<Option<Vec<PathBuf>>> {
    let entries = match std::fs::read_dir(departments) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".toml") && !name.starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(Some(paths))
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    let size = metadata.len();
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if size > MAX_FILE {
        return Err(format!("has {size} bytes; a configuration file has at most {MAX_FILE}"));
    }
    String::from_utf8(std::fs::read(path).map_err(unreadable)?)
        .map_err(|error| format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

pub(crate) fn name_in(dir: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(dir).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
