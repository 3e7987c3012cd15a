//! On the processors a company's server waits for its turns, and neither the company nor its agents do.

use std::path::Path;

use crate::support::{Company, at};

const OTHER: u64 = 0;
const BATCH: u64 = 3;

#[test]
fn a_company_s_server_waits_for_its_turns_and_its_agents_do_not() {
    let company = Company::new();
    let id = company.delegate(&["cat /proc/self/stat"]);
    let answer = company.ended(&id);
    assert_eq!(policy(at(&answer, "task.result.output").as_str().unwrap()), OTHER);

    let own = Path::new("/proc").join(company.pid().to_string());
    let threads = std::fs::read_dir(own.join("task")).unwrap();
    let stats: Vec<_> =
        threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok()).collect();
    assert!(stats.len() > 1, "{stats:?}");
    for stat in stats {
        // The server has it from the one that starts it.
        let expected = if stat.contains("(nexus-daemons)") { BATCH } else { OTHER };
        assert_eq!(policy(&stat), expected, "a thread of the company: {stat}");
    }
    let server = std::fs::read_to_string(company.path("data/broker/nats.pid")).unwrap();
    assert_eq!(policy(&std::fs::read_to_string(format!("/proc/{}/stat", server.trim())).unwrap()), BATCH);
}

/// The scheduling policy in a line of `/proc/PID/stat`: proc(5) has it as field 41, and a name in brackets before the third.
fn policy(stat: &str) -> u64 {
    let fields = stat.rsplit_once(") ").unwrap().1;
    fields.split(' ').nth(38).unwrap().trim().parse().unwrap()
}
