//! The parts of a user's home that are opened for the programs on the `PATH`, and those that never are.

use std::os::unix::fs::symlink;

use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(below)
    }

    fn file(&self, below: &str, text: &str, mode: u32) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn program(&self, below: &str) {
        self.file(below, "#!/bin/sh\n", 0o755);
    }

    fn link(&self, below: &str, target: &str) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(self.path(target), path).unwrap();
    }

    /// With these directories on the `PATH`.
    fn look<T>(&self, bins: &[&str], look: impl FnOnce(&Programs<'_>) -> T) -> T {
        let system = System { readable: vec!["/bin".into(), "/usr".into()], ..System::default() };
        let path = std::env::join_paths(bins.iter().map(|bin| self.path(bin))).unwrap();
        let (home, data) = (self.path(""), self.path("data"));
        look(&Programs { system: &system, home: Some(&home), apart: &[&data], writable: &[], path: &path })
    }
}

#[test]
fn what_is_put_on_the_path_counts_at_once() {
    let home = Home::new();
    home.program("bin/one");
    home.program("packages/one/node_modules/two/two.js");
    let system = System { readable: vec!["/bin".into(), "/usr".into()], ..System::default() };
    let (whole, data, path) = (home.path(""), home.path("data"), home.path("bin").into_os_string());
    let look = |workspace: &str| {
        let workspace = home.path(workspace);
        let apart: [&Path; 2] = [&data, &workspace];
        let programs = Programs { system: &system, home: Some(&whole), apart: &apart, writable: &[], path: &path };
        system.known.reach(&programs, None)
    };
    let packages = home.path("packages/one/node_modules");
    assert!(!reaches(&look("data/workspaces/1"), &packages));
    home.link("bin/two", "packages/one/node_modules/two/two.js");
    // Some kernels tell changes of the same few milliseconds the same time.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    let times = std::fs::FileTimes::new().set_modified(later);
    std::fs::File::open(home.path("bin")).unwrap().set_times(times).unwrap();
    assert!(reaches(&look("data/workspaces/2"), &packages));
    // Never by way of a program: the workspace itself.
    assert!(!reaches(&look("packages"), &packages));
    assert!(reaches(&look("data/workspaces/3"), &packages));
}

fn reaches(reach: &BTreeSet<PathBuf>, path: &Path) -> bool {
    path.ancestors().any(|part| reach.contains(part))
}

#[test]
fn links_are_followed_to_what_was_installed() {
    let home = Home::new();
    home.program(".local/share/uv/python/cpython-3.12.1/bin/python3.12");
    home.file(".local/share/uv/python/cpython-3.12.1/lib/os.py", "", 0o644);
    home.link(".local/share/uv/python/cpython-3.12", ".local/share/uv/python/cpython-3.12.1");
    home.link(".local/share/uv/tools/t/bin/python", ".local/share/uv/python/cpython-3.12/bin/python3.12");
    home.program(".local/share/uv/tools/t/bin/tool");
    home.file(".local/share/uv/tools/t/lib/site.py", "", 0o644);
    home.file(".local/share/uv/credentials/token", "secret", 0o600);
    home.file(".local/share/keyrings/login", "secret", 0o600);
    home.link(".local/bin/tool", ".local/share/uv/tools/t/bin/tool");
    home.program(".local/lib/node_modules/cli/dist/cli.js");
    home.link(".local/bin/cli", ".local/lib/node_modules/cli/dist/cli.js");
    home.program("apps/two/run");
    home.link("apps/one", "apps/two/run");
    home.link(".local/bin/run", "apps/one");
    let script = format!("#!{}\n", home.path(".local/share/pypoetry/venv/bin/python").display());
    home.program(".local/share/pypoetry/venv/bin/python");
    home.file(".local/bin/poetry", &script, 0o755);
    let (reach, left) = home.look(&[".local/bin"], |programs| (programs.reach(None), programs.unreachable()));
    for needed in [
        ".local/bin",
        ".local/share/uv/tools/t/bin/tool",
        ".local/share/uv/tools/t/lib/site.py",
        ".local/share/uv/python/cpython-3.12/bin/python3.12",
        ".local/share/uv/python/cpython-3.12.1/lib/os.py",
        ".local/lib/node_modules/cli/dist/cli.js",
        "apps/two/run",
        ".local/share/pypoetry/venv/bin/python",
    ] {
        assert!(reaches(&reach, &home.path(needed)), "{needed} of {reach:#?}");
    }
    for apart in [".local", ".local/share", ".local/share/uv/credentials/token", ".local/share/keyrings/login", "apps"]
    {
        assert!(!reaches(&reach, &home.path(apart)), "{apart} of {reach:#?}");
    }
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn a_link_opens_programs_alone() {
    let home = Home::new();
    home.file(".ssh/id", "secret", 0o600);
    home.link(".local/bin/key", ".ssh/id");
    home.program("data/bin/mine");
    home.link(".local/bin/mine", "data/bin/mine");
    home.program("project/bin/start");
    home.file("project/.env", "secret", 0o644);
    home.link(".local/bin/start", "project/bin/start");
    home.link(".local/bin/loop", ".local/bin/loop");
    let reach = home.look(&[".local/bin"], |programs| programs.reach(None));
    assert!(reaches(&reach, &home.path("project/bin/start")));
    for apart in [".ssh/id", "data", "project/.env"] {
        assert!(!reaches(&reach, &home.path(apart)), "{apart} of {reach:#?}");
    }
}

#[test]
fn where_an_agent_may_write_no_link_is_followed() {
    let home = Home::new();
    home.program("secrets/bin/keys");
    home.program("secrets/node_modules/one/keys.js");
    // Planted in a directory of the PATH, beside one, on the way of a link from one, and in a script.
    home.link("own/bin/keys", "secrets/bin/keys");
    home.link("own/lib", "secrets");
    home.link("own/keys.js", "secrets/node_modules/one/keys.js");
    home.link(".local/bin/keys", "own/keys.js");
    let script = format!("#!{}\n", home.path("secrets/bin/keys").display());
    home.file("own/script", &script, 0o755);
    home.link(".local/bin/script", "own/script");
    let system = System::default();
    let (whole, writable) = (home.path(""), [home.path("own")]);
    let path = std::env::join_paths([home.path("own/bin"), home.path(".local/bin")]).unwrap();
    let own = home.path("own/script");
    let reach = |writable: &[PathBuf]| {
        let programs = Programs { system: &system, home: Some(&whole), apart: &[], writable, path: &path };
        programs.reach(Some(&own))
    };
    let secrets = ["secrets/bin/keys", "secrets/node_modules/one/keys.js"].map(|path| home.path(path));
    assert!(secrets.iter().all(|secret| reaches(&reach(&[]), secret)));
    let found = reach(&writable);
    assert_eq!(found, BTreeSet::from([home.path(".local/bin")]));
}

#[test]
fn shims_find_the_version_that_is_set() {
    let home = Home::new();
    home.program(".pyenv/shims/python");
    home.file(".pyenv/version", "3.12\n", 0o644);
    home.program(".pyenv/versions/3.12/bin/python");
    home.program(".asdf/shims/node");
    home.file(".tool-versions", "node 22\n", 0o644);
    home.program(".asdf/installs/node/22/bin/node");
    home.program(".volta/bin/volta-shim");
    home.program(".volta/tools/image/node/22/bin/node");
    home.program(".local/share/mise/shims/go");
    home.file(".config/mise/config.toml", "[tools]\ngo = \"1\"\n", 0o644);
    let bins = [".pyenv/shims", ".asdf/shims", ".volta/bin", ".local/share/mise/shims"];
    let (reach, settings, roots) =
        home.look(&bins, |programs| (programs.reach(None), programs.settings(), programs.roots()));
    for needed in [
        ".pyenv/version",
        ".pyenv/versions/3.12/bin/python",
        ".asdf/installs/node/22/bin/node",
        ".volta/tools/image/node/22/bin/node",
    ] {
        assert!(reaches(&reach, &home.path(needed)), "{needed} of {reach:#?}");
    }
    assert_eq!(settings, [".config/mise/config.toml", ".tool-versions"]);
    let names: Vec<&str> = roots.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["PYENV_ROOT", "ASDF_DATA_DIR", "VOLTA_HOME", "MISE_DATA_DIR", "MISE_CONFIG_DIR"]);
    // Variables that mise sets may be secrets.
    for secret in [
        "[env]\nTOKEN = \"x\"",
        "tasks.build = { run = \"x\", env = { TOKEN = \"x\" } }",
        "[vars]\ntoken = \"x\"",
        "\"\\u0065nv\" = { TOKEN = \"x\" }",
    ] {
        home.file(".config/mise/config.toml", &format!("[tools]\ngo = \"1\"\n{secret}\n"), 0o644);
        assert_eq!(home.look(&bins, |programs| programs.settings()), [".tool-versions"], "{secret}");
    }
}

#[test]
fn what_cant_be_run_is_named() {
    let home = Home::new();
    home.program("data/bin/mine");
    home.link(".local/bin/mine", "data/bin/mine");
    home.program("own");
    home.program(".local/bin/fine");
    let left = home.look(&["", ".local/bin"], |programs| programs.unreachable());
    assert_eq!(left, [home.path("own"), home.path(".local/bin/mine")]);
}
