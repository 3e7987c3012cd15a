//! Agents that are processes: a shell that speaks just enough of the protocol, and, where one is named, a real one.

use std::ffi::OsString;
use std::path::Path;

use nexus_acp::{Brief, Conversation};
use nexus_agents::Reader;
use nexus_core::attempt::Signal;
use nexus_core::log::Stream;
use nexus_core::run::{Ending, Run, Said};
use nexus_process::{Command, Event, Events, OutputPolicy, Stdin, Tree, user_environment};

use crate::agent::{brief, soon};

/// Has the whole conversation, as a worker has it; what was said, once nothing of the tree is alive.
async fn have(command: Command, brief: Brief, files: &Path, cancel_at: Option<&Said>) -> (Vec<Said>, Run) {
    let output = OutputPolicy { max_line: 1 << 20, ..OutputPolicy::default() };
    let mut conversation = Conversation::new(brief, Some(crate::files::of(files)));
    let (tree, mut events, stdin) = Tree::spawn_piped(&command.stdin(Stdin::Piped), &output).unwrap();
    conversation.connect(stdin.unwrap());
    let mut said = Vec::new();
    hear(&tree, &mut events, &mut conversation, &mut said, cancel_at).await;
    let mut run = Run::new(None);
    said.iter().for_each(|said| run.hear(said));
    (said, run)
}

async fn hear(
    tree: &Tree,
    events: &mut Events,
    conversation: &mut Conversation,
    said: &mut Vec<Said>,
    cancel_at: Option<&Said>,
) {
    let mut exit = None;
    while let Some(event) = events.next().await {
        match event {
            Event::Output { stream: Stream::Stdout, lines, .. } => {
                lines.iter().for_each(|line| conversation.line(&line.bytes, said));
            }
            Event::Output { lines, .. } => lines.iter().for_each(|line| {
                eprintln!("! {}", String::from_utf8_lossy(&line.bytes));
                conversation.error_line(&line.bytes, said);
            }),
            Event::LeaderExited(status) => exit = Some(status),
            Event::TreeGone => conversation.finish(exit, said),
            Event::LimitHit(_) => {}
        }
        if cancel_at.is_some_and(|at| said.contains(at)) {
            conversation.cancel();
        }
        // Some agents don't end with their input: whoever has a run ends them.
        if conversation.is_over() {
            tree.signal(Signal::Terminate);
        }
    }
}

fn shell(script: &str, dir: &Path) -> Command {
    Command::new("sh", dir).args(["-c", script]).env(user_environment(&[]))
}

const HELLO: &str = r#"
    read hello; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
    read session; echo '{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}}'
    read prompt
    tell() { printf '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":%s}}\n' "$1"; }
    text() { tell "{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"$1\"}}"; }
    stop() { printf '{"jsonrpc":"2.0","id":3,"result":{"stopReason":"%s"}}\n' "$1"; }
"#;

#[tokio::test]
async fn a_process_does_its_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        r#"{HELLO} text hello
        printf '{{"jsonrpc":"2.0","id":"w","method":"fs/write_text_file","params":{{"sessionId":"s","path":"%s/made","content":"by us"}}}}\n' "$PWD"
        read answer; echo "$answer" >&2; stop end_turn; cat >/dev/null"#
    );
    let (said, run) = soon(have(shell(&script, dir.path()), brief(), dir.path(), None)).await;
    assert_eq!((run.ending(), run.message().0), (Some(&Ending::Done), "hello"), "{said:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("made")).unwrap(), "by us");
}

#[tokio::test]
async fn a_process_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{HELLO} text working; read cancel; stop cancelled; sleep 60");
    let working = Said::Text("working".to_owned());
    let (said, run) = soon(have(shell(&script, dir.path()), brief(), dir.path(), Some(&working))).await;
    assert_eq!(run.ending(), None, "{said:?}");
}

#[tokio::test]
async fn a_process_that_exits_well_too_soon_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    for script in ["exit 0", &format!("{HELLO} text 'all done'; exit 0")] {
        let (said, run) = soon(have(shell(script, dir.path()), brief(), dir.path(), None)).await;
        assert!(matches!(run.ending(), Some(Ending::Failed(_))), "{said:?}");
    }
}

/// `NEXUS_ACP_AGENT`: a command line. What it says is printed.
#[tokio::test]
#[ignore = "needs an agent that speaks ACP: NEXUS_ACP_AGENT, NEXUS_ACP_PROMPT"]
async fn a_real_agent_does_its_prompt() {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} isn't set"));
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().canonicalize().unwrap();
    let env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let variables = std::env::vars().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect();
    let prompt = of("NEXUS_ACP_PROMPT").replace("{workspace}", workspace.to_str().unwrap());
    let brief = Brief { prompt, variables, cwd: workspace.clone(), ..brief() };
    let line = format!("exec {}", of("NEXUS_ACP_AGENT"));
    let command = Command::new("sh", &workspace).args(["-c".to_owned(), line]).env(env);
    let have = have(command, brief, &workspace, None);
    let (said, run) = tokio::time::timeout(std::time::Duration::from_secs(240), have).await.unwrap();
    for said in &said {
        eprintln!("{said:?}");
    }
    for file in std::fs::read_dir(&workspace).unwrap().flatten() {
        eprintln!("made: {:?}", file.file_name());
    }
    assert_eq!(run.ending(), Some(&Ending::Done), "{:#?}", run.report());
}
