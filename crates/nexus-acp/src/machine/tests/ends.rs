//! The ends of a conversation: by the answer to the prompt, by errors, by death.

use nexus_core::run::Reset;

use super::*;

#[test]
fn each_end_of_a_prompt_is_told() {
    let usage = json!({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15});
    for (reason, expected) in [
        ("end_turn", Ending::Done),
        ("refusal", Ending::Refused("I won't".to_owned())),
        ("max_tokens", Ending::Failed(Trouble::new(TroubleKind::Limit, "its model had no tokens left (max_tokens)"))),
        (
            "max_turn_requests",
            Ending::Failed(Trouble::new(
                TroubleKind::Limit,
                "it asked its model as often as it may (max_turn_requests)",
            )),
        ),
        ("cancelled", Ending::Failed(Trouble::new(TroubleKind::Crash, "it cancelled its turn by itself"))),
    ] {
        let mut talked = prompting(brief());
        talked.update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "I won't"}}));
        finish(&mut talked, json!({"result": {"stopReason": reason, "usage": usage}}));
        assert_eq!(talked.ending(), Some(expected));
        assert!(
            talked.closed
                && talked.said.contains(&Said::Tokens(nexus_core::run::Tokens { input: 10, output: 5, cached: 0 }))
        );
    }
    let mut talked = prompting(brief());
    finish(&mut talked, json!({"result": {"stopReason": "coffee"}}));
    assert_eq!(talked.trouble().kind, TroubleKind::Protocol);
}

#[test]
fn errors_are_told_apart() {
    use TroubleKind::{Authentication, Limit, Model, Protocol, RateLimit};
    for (error, kind, reset) in [
        (json!({"code": -32000, "message": "Authentication required"}), Authentication, None),
        (
            json!({"code": -32603, "message": "Internal error", "data": {"status": 401, "message": "no"}}),
            Authentication,
            None,
        ),
        (json!({"code": 401, "message": "unauthorized"}), Authentication, None),
        (json!({"code": 429, "message": "Rate limit exceeded. Try again later."}), RateLimit, None),
        (
            json!({"code": -32603, "message": "Internal error", "data": "429 Rate limit reached. Please try again in 300s."}),
            RateLimit,
            Some(300),
        ),
        (json!({"code": -32603, "message": "Internal error", "data": {"error": {"status": 429}}}), RateLimit, None),
        (json!({"code": -32603, "message": "prompt is too long"}), Limit, None),
        (json!({"code": -32603, "message": "Internal error"}), Model, None),
        (json!({"code": -32602, "message": "Invalid params"}), Protocol, None),
        (json!("words"), Model, None),
    ] {
        let mut talked = prompting(brief());
        finish(&mut talked, json!({"error": error}));
        let trouble = talked.trouble();
        let seconds = trouble.reset.map(|reset| match reset {
            Reset::In(delay) => delay.as_secs(),
            Reset::At(at) => panic!("{at}"),
        });
        assert_eq!((trouble.kind, seconds), (kind, reset), "{error}: {}", trouble.message);
        assert!(talked.closed);
    }
    // Those that say of a call that failed that their turn has ended.
    for (text, kind) in [
        ("[API Error: 401 invalid x-api-key (fake)]", Some(Authentication)),
        ("Error: 429 Rate limit reached for fake-model. Please try again in 297s.", Some(RateLimit)),
        ("Error: 500 is what your server answered", Some(Model)),
        (
            "Error: Authentication failed with provider at http://x/v1 (HTTP 401).\n  Check your key.",
            Some(Authentication),
        ),
        ("Error: you forgot a semicolon", None),
        ("I fixed the Error: 500 that it had", None),
    ] {
        let mut talked = prompting(brief());
        for text in ["so far so good. ", text] {
            talked.update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}));
        }
        finish(&mut talked, json!({"result": {"stopReason": "end_turn"}}));
        match kind {
            Some(kind) => assert_eq!(talked.trouble().kind, kind, "{text}"),
            None => assert_eq!(talked.ending(), Some(Ending::Done), "{text}"),
        }
    }
}

#[test]
fn an_agent_of_another_version_is_refused() {
    for (answer, kind) in [
        (json!({"result": {"protocolVersion": 2}}), TroubleKind::Protocol),
        (json!({"result": {"protocolVersion": "new"}}), TroubleKind::Protocol),
        (json!({"result": 7}), TroubleKind::Protocol),
        (json!({"error": {"code": -32601, "message": "Method not found"}}), TroubleKind::Protocol),
    ] {
        let mut talked = Talked::new(brief());
        talked.answer("initialize", answer);
        assert_eq!((talked.trouble().kind, talked.closed), (kind, true));
    }
}

#[test]
fn one_that_dies_has_not_done_its_task() {
    for (ended, kind) in [("", TroubleKind::Crash), ("Error: Invalid API key", TroubleKind::Authentication)] {
        let mut talked = prompting(brief());
        let mut todo = Vec::new();
        talked.machine.gone(ended, &mut todo);
        talked.take(todo);
        let trouble = talked.trouble();
        assert_eq!(trouble.kind, kind);
        assert!(trouble.message.contains("before it had answered its prompt") && trouble.message.contains(ended));
    }
    let mut talked = prompting(brief());
    finish(&mut talked, json!({"result": {"stopReason": "end_turn"}}));
    let mut todo = Vec::new();
    talked.machine.gone("goodbye", &mut todo);
    assert_eq!(todo, []);
}
