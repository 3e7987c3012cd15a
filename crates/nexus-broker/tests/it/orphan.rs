//! A company that is killed outright takes its server with it (Linux).
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nexus_process::daemon::{self, DaemonSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{broker, gone, is_alive, kill, temp, within};

/// Set for the copy of this test that plays the company: its directory, and the port to tell the server's pid to.
const COMPANY: [&str; 2] = ["NEXUS_TEST_COMPANY_DIR", "NEXUS_TEST_COMPANY_TELL"];

#[tokio::test]
async fn a_killed_company_takes_its_server_along() {
    if let [Some(dir), Some(port)] = COMPANY.map(std::env::var_os) {
        return play_company(dir.into(), port.into_string().unwrap().parse().unwrap()).await;
    }
    let dir = temp();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let spec = DaemonSpec {
        program: std::env::current_exe().unwrap(),
        args: ["--exact", "orphan::a_killed_company_takes_its_server_along", "--nocapture"].map(Into::into).into(),
        env: vec![
            (COMPANY[0].into(), dir.path().join("data").into()),
            (COMPANY[1].into(), port.into()),
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
        ],
        output: dir.path().join("output"),
    };
    let mut company = daemon::start(&spec).await.unwrap();
    let server = within("the company to start", async { listener.accept().await.unwrap().0.read_u32().await });
    let server = server.await.unwrap();
    assert!(is_alive(server));
    kill(company.pid());
    within("the company to die", company.wait()).await.unwrap();
    within("the server to go", gone(server)).await;
}

async fn play_company(dir: PathBuf, port: u16) {
    let broker = broker(&dir).await;
    let mut test = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    test.write_u32(broker.pid().unwrap()).await.unwrap();
    std::future::pending::<()>().await;
}
