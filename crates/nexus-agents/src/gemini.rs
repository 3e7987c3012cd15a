//! Gemini CLI (`gemini`): prints JSON messages, but what it spends only at the end; its own record of the conversation tells
//! it after each turn.

use nexus_core::department::Approval;
use nexus_core::event::Failure;
use serde_json::json;

use crate::adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, command_line};
use crate::qwen::TOOL_MILLIS;

mod reader;

use reader::GeminiReader;

pub(crate) struct Gemini;

impl Adapter for Gemini {
    fn program(&self) -> &'static str {
        "gemini"
    }

    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure> {
        let (program, mut args) = command_line(brief.spec, self.program());
        let mut arg = |text: &str| args.push(text.to_owned());
        arg("--output-format=stream-json");
        if let Some(model) = &brief.spec.model {
            arg("--model");
            arg(model);
        }
        if let Some(session) = brief.resume {
            arg("--resume");
            arg(session);
        }
        // Where nobody can be asked, what it would have to ask about is denied.
        arg(match brief.approval {
            Approval::Allow => "--approval-mode=yolo",
            Approval::Ask | Approval::Reject => "--approval-mode=default",
        });
        args.extend(brief.spec.args.iter().cloned());
        let mut env = vec![
            ("NO_BROWSER".to_owned(), "true".to_owned()),
            ("GEMINI_CLI_TRUST_WORKSPACE".to_owned(), "true".to_owned()),
            ("GEMINI_CLI_NO_RELAUNCH".to_owned(), "true".to_owned()),
            ("GEMINI_TELEMETRY_ENABLED".to_owned(), "false".to_owned()),
        ];
        if brief.confined {
            env.push(("GEMINI_SANDBOX".to_owned(), "false".to_owned()));
        }
        // Defaults: the user's own settings, and the machine's, stand above them.
        let mut settings = json!({
            "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
            "privacy": { "usageStatisticsEnabled": false },
        });
        if let Some(tools) = brief.tools {
            let server = json!({ "command": tools.command, "args": tools.args, "trust": true, "timeout": TOOL_MILLIS });
            settings["mcpServers"] = json!({ tools.name.as_str(): server });
        }
        // Of another address it would not know how to sign in there, unless it is told; who has settings has said so.
        if brief.spec.env.contains_key("GOOGLE_GEMINI_BASE_URL") {
            settings["security"] = json!({ "auth": { "selectedType": "gemini-api-key" } });
        }
        let file = brief.private.join("gemini.json");
        env.push(("GEMINI_CLI_SYSTEM_DEFAULTS_PATH".to_owned(), file.display().to_string()));
        Ok(Launch {
            program,
            args,
            env,
            stdin: Some(brief.prompt.to_owned()),
            files: vec![(file, settings.to_string())],
            side_dir: Some(brief.home_outside.join(".gemini/tmp")),
            ..Launch::default()
        })
    }

    fn reader(&self, _brief: &Brief<'_>) -> Box<dyn Reader> {
        Box::new(GeminiReader::default())
    }

    fn needs(&self) -> Needs {
        Needs {
            home: &[
                (".gemini/oauth_creds.json", true),
                (".gemini/gemini-credentials.json", true),
                (".gemini/google_accounts.json", true),
                (".gemini/settings.json", false),
                (".gemini/GEMINI.md", false),
                (".gemini/.env", false),
                (".gemini/commands", false),
                (".config/gcloud/application_default_credentials.json", false),
            ],
            hosts: &[
                "generativelanguage.googleapis.com:443",
                "cloudcode-pa.googleapis.com:443",
                "aiplatform.googleapis.com:443",
                "*.aiplatform.googleapis.com:443",
                "oauth2.googleapis.com:443",
                "accounts.google.com:443",
                "www.googleapis.com:443",
                "cloudresourcemanager.googleapis.com:443",
            ],
            secrets: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            pass: &[
                "GOOGLE_GEMINI_BASE_URL",
                "GOOGLE_VERTEX_BASE_URL",
                "GOOGLE_GENAI_USE_VERTEXAI",
                "GOOGLE_GENAI_USE_GCA",
                "GOOGLE_CLOUD_PROJECT",
                "GOOGLE_CLOUD_LOCATION",
                "GOOGLE_APPLICATION_CREDENTIALS",
                "GEMINI_MODEL",
            ],
        }
    }

    fn login(&self, look: &Look<'_>) -> Login {
        let variables = ["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"];
        if let Some(name) = variables.iter().find(|name| (look.has_variable)(name)) {
            return Login::SignedIn((*name).to_owned());
        }
        let files = [".gemini/oauth_creds.json", ".gemini/gemini-credentials.json"];
        if let Some(file) = files.iter().find(|file| (look.has_file)(&look.home.join(file))) {
            return Login::SignedIn(format!("~/{file}"));
        }
        // A key may stand there, or in the machine's keychain.
        if [".gemini/settings.json", ".gemini/.env"].iter().any(|file| (look.has_file)(&look.home.join(file))) {
            return Login::Unknown;
        }
        Login::SignedOut("run `gemini` and sign in with Google, or set GEMINI_API_KEY".to_owned())
    }

    fn install(&self) -> &'static str {
        "npm install -g @google/gemini-cli (needs Node.js 20 or newer)"
    }
}

#[cfg(test)]
mod tests;
