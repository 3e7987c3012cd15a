//! Which server is used, and what is said of those that aren't.

use std::ffi::OsString;
use std::path::Path;

use crate::support::{options, script, temp, within};
use nexus_broker::{BrokerError, Origin, Tools, find, start};

fn says(dir: &Path, version: &str) -> std::path::PathBuf {
    script(dir, "nats-server", &format!("echo nats-server: v{version}"))
}

fn search(setting: Option<&Path>, path: &[&Path]) -> Tools {
    let mut tools = Tools::new(setting.map(Into::into), "/no/such/tools".into());
    tools.path = std::env::join_paths(path).unwrap();
    tools
}

#[tokio::test]
async fn one_that_is_too_old_is_named_and_the_search_goes_on() {
    let (old, broken, good) = (temp(), temp(), temp());
    says(old.path(), "2.9.10");
    script(broken.path(), "nats-server", "exit 3");
    let wanted = says(good.path(), "2.12.0");
    let found = find(&search(None, &[old.path(), broken.path(), good.path()])).await;
    let chosen = found.chosen.unwrap();
    assert_eq!((chosen.path, chosen.origin), (wanted, Origin::Path));
    let [too_old, silent] = &found.rejected[..] else { panic!("{:?}", found.rejected) };
    assert_eq!(too_old.reason, "version 2.9.10 is too old, at least 2.12.0 is needed");
    assert!(silent.reason.contains("does not answer --version"), "{}", silent.reason);
}

#[tokio::test]
async fn a_candidate_of_a_release_is_too_old() {
    let dir = temp();
    says(dir.path(), "2.12.0-RC.1");
    assert_eq!(find(&search(None, &[dir.path()])).await.chosen, None);
}

#[tokio::test]
async fn the_tools_directory_comes_before_path_and_its_newest_first() {
    let (tools_dir, dir) = (temp(), temp());
    says(dir.path(), "2.16.0");
    for version in ["2.12.1", "2.13.0"] {
        script(tools_dir.path(), &format!("nats-server-{version}"), &format!("echo nats-server: v{version}"));
    }
    let tools = Tools { dir: tools_dir.path().into(), ..search(None, &[dir.path()]) };
    let chosen = find(&tools).await.chosen.unwrap();
    assert_eq!((chosen.version.to_string().as_str(), chosen.origin), ("2.13.0", Origin::Tools));
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_an_error() {
    let (dir, data) = (temp(), temp());
    let mut options = options(data.path()).await;
    for (setting, reason) in [
        (says(dir.path(), "2.9.10"), "version 2.9.10 is too old, at least 2.12.0 is needed"),
        (dir.path().join("missing"), "can't be run: "),
    ] {
        options.tools = search(Some(&setting), &[]);
        options.tools.path = OsString::from("/usr/bin:/bin");
        let error = within("a refusal", start(&options, |_| {})).await.unwrap_err();
        assert!(matches!(error, BrokerError::Setting(_)), "{error}");
        let text = error.to_string();
        for part in [setting.to_str().unwrap(), reason, "NEXUS_BROKER__SERVER"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
