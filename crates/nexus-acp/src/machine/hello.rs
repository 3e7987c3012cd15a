//! An agent's word on itself: its abilities, and how it lets somebody sign in.

use agent_client_protocol::v1::schema::InitializeResponse;
use serde_json::Value;

#[derive(Debug, Default)]
pub(super) struct Hello {
    name: Option<String>,
    /// The name that it has for programs.
    program: Option<String>,
    /// It can go on with a session by repeating what was said.
    pub(super) loads: bool,
    /// It can go on with a session silently.
    pub(super) resumes: bool,
    methods: Vec<Method>,
}

/// A way to sign in.
#[derive(Debug)]
struct Method {
    id: String,
    name: String,
    about: String,
    /// The variables that it is done by.
    variables: Vec<String>,
    /// Only a person at a terminal can do it.
    interactive: bool,
}

impl Hello {
    /// # Errors
    /// Why there is nothing to be said to this agent.
    pub(super) fn read(result: &Value) -> Result<Self, String> {
        let answer: InitializeResponse = serde_json::from_value(result.clone())
            .map_err(|error| format!("its answer to initialize isn't the protocol's: {error}"))?;
        let version = answer.protocol_version.as_u16();
        if version != 1 {
            return Err(format!(
                "it speaks version {version} of the Agent Client Protocol, and this company version 1: update whichever is older"
            ));
        }
        let can = &answer.agent_capabilities;
        // Raw: what a method says beside its id differs from agent to agent, and from release to release.
        let methods = result.get("authMethods").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            program: answer.agent_info.as_ref().map(|info| info.name.clone()),
            name: answer.agent_info.map(|info| info.title.unwrap_or(info.name)),
            loads: can.load_session,
            resumes: can.session_capabilities.resume.is_some(),
            methods: methods.filter_map(Method::read).collect(),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("the agent")
    }

    /// Gemini CLI (0.61) asks whether a file is there before it makes it, and takes the protocol's "not found" for a failure: it
    /// reads the error's words as an exception's, which it isn't.
    pub(super) fn takes_missing_for_failed(&self) -> bool {
        self.program.as_deref() == Some("gemini-cli")
    }

    /// The first way to sign in that needs nobody, as the environment has what it takes.
    pub(super) fn method(&self, variables: &[String]) -> Option<String> {
        let has = |name: &String| variables.contains(name);
        let ready =
            |method: &&Method| !method.interactive && !method.variables.is_empty() && method.variables.iter().all(has);
        let by_name = |method: &&Method| !method.interactive && method.guesses().iter().any(has);
        let method = self.methods.iter().find(ready).or_else(|| self.methods.iter().find(by_name));
        method.map(|method| method.id.clone())
    }

    /// A sentence.
    pub(super) fn how_to_log_in(&self) -> String {
        let name = self.name();
        if self.methods.is_empty() {
            return format!("{name} isn't signed in, and doesn't say how to: see its documentation");
        }
        let ways: Vec<_> = self.methods.iter().map(Method::words).collect();
        format!("{name} isn't signed in; its ways to: {}", ways.join(", or "))
    }
}

impl Method {
    fn read(method: &Value) -> Option<Self> {
        let text = |name: &str| method.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let of_variable = |variable: &Value| {
            let is_optional = variable.get("optional").and_then(Value::as_bool).unwrap_or_default();
            let name = variable.get("name").and_then(Value::as_str)?;
            (!is_optional).then(|| name.to_owned())
        };
        let variables = method.get("vars").and_then(Value::as_array).into_iter().flatten();
        let terminal = method.get("_meta").is_some_and(|meta| meta.get("terminal-auth").is_some());
        Some(Self {
            id: method.get("id")?.as_str()?.to_owned(),
            name: text("name"),
            about: text("description"),
            variables: variables.filter_map(of_variable).collect(),
            interactive: terminal || text("type") == "terminal",
        })
    }

    /// The variables that its id is called after: `gemini-api-key`, `openai`.
    fn guesses(&self) -> Vec<String> {
        let name = self.id.to_uppercase().replace(['-', '.', ' '], "_");
        let with_key = format!("{name}_API_KEY");
        if name.ends_with("_API_KEY") { vec![name] } else { vec![with_key] }
    }

    fn words(&self) -> String {
        let mut words = self.name.clone();
        if !self.variables.is_empty() {
            words = format!("set {}", self.variables.join(" and "));
        } else if self.id.ends_with("api-key") && !self.interactive {
            words = format!("set {}", self.guesses().concat());
        } else if !self.about.is_empty() {
            words = format!("{words} ({})", self.about);
        }
        if words.is_empty() { self.id.clone() } else { words }
    }
}

/// The model that a session begins with, where its agent says so.
pub(super) fn model(session: &Value) -> Option<&str> {
    let options = session.get("configOptions").and_then(Value::as_array).into_iter().flatten();
    let mut models = options.filter(|option| option.get("category").and_then(Value::as_str) == Some("model"));
    let option = models.next().and_then(|option| option.get("currentValue"));
    option.or_else(|| session.get("models")?.get("currentModelId")).and_then(Value::as_str)
}
