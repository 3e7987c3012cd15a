//! The suite on Postgres: one test, since a server takes longer to start than all of its cases.

use std::time::Instant;

use nexus_history::History;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::postgres::Server;
use crate::records::{entry, numbered};
use crate::{folds, suite};

#[test]
fn everything() {
    let Some(mut server) = Server::start() else {
        println!("skipped: no PostgreSQL here (initdb and postgres, in PATH or /usr/lib/postgresql/*/bin)");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

    macro_rules! run {
        ($($case:ident),*) => {$(
            let began = Instant::now();
            let url = database(&runtime, &server, stringify!($case));
            runtime.block_on(suite::$case(&url));
            println!("{}: {:?}", stringify!($case), began.elapsed());
        )*};
    }
    suite::cases!(run);

    let url = database(&runtime, &server, "folds");
    folds::equal_the_fold_in_memory(&runtime, &url, 20);

    let url = database(&runtime, &server, "versions");
    runtime.block_on(suite::versions_are_told_apart(&url, async |sql| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }));

    let url = database(&runtime, &server, "programs");
    runtime.block_on(many_programs_open_it_at_once(&url));
    let url = database(&runtime, &server, "restarts");
    a_restarted_server_is_not_noticed(&runtime, &mut server, &url);
}

async fn many_programs_open_it_at_once(url: &str) {
    let open = || tokio::spawn(History::open(Box::leak(url.to_owned().into_boxed_str())));
    for opening in [open(), open(), open(), open()] {
        opening.await.unwrap().unwrap().close().await;
    }
}

fn a_restarted_server_is_not_noticed(runtime: &tokio::runtime::Runtime, server: &mut Server, url: &str) {
    let history = runtime.block_on(History::open(url)).unwrap();
    let batch = numbered((0..3).map(|n| entry(n, "qa", 1)));
    runtime.block_on(history.fold(&batch[..1], 1)).unwrap();
    server.restart();
    runtime.block_on(history.fold(&batch, 3)).unwrap();
    assert_eq!(runtime.block_on(history.dump()).unwrap().len(), 3);
    runtime.block_on(history.close());
}

fn database(runtime: &tokio::runtime::Runtime, server: &Server, name: &str) -> String {
    // Postgres cuts names at 63 bytes.
    let name = &name[..name.len().min(60)];
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
        sqlx::query(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    server.url(name)
}
