//! `nexus mcp config`: what a client of MCP needs to find this company, to be pasted as it is.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{Client, PlaceArgs};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::{place, show, token};

/// How the client reaches the company.
enum Way {
    /// It starts `nexus mcp`, which needs no token.
    Program {
        program: PathBuf,
        args: Vec<String>,
    },
    Http {
        url: String,
        token: String,
    },
}

/// What to paste, and what a person should know.
struct Snippet {
    text: String,
    notes: String,
}

pub(super) fn config(place: &PlaceArgs, client: Client, http: bool) -> Result<Code, Exit> {
    let way = if http { by_http(place)? } else { by_program(place)? };
    let Snippet { text, notes } = snippet(client, &way);
    show::told(&notes);
    show::line(&text);
    Ok(Code::Done)
}

fn by_program(place: &PlaceArgs) -> Result<Way, Exit> {
    let program =
        std::env::current_exe().map_err(|error| Exit::failure(format!("this program's own path: {error}")))?;
    let mut args = vec!["mcp".to_owned(), "--start".to_owned()];
    let mut add = |flag: &str, path: &Path| -> Result<(), Exit> {
        let path = std::path::absolute(path).map_err(|error| Exit::usage(format!("{}: {error}", path.display())))?;
        args.extend([flag.to_owned(), path.display().to_string()]);
        Ok(())
    };
    if let Some(dir) = &place.data_dir {
        add("--data-dir", dir)?;
    }
    if let Some(dir) = &place.config {
        add("--config", dir)?;
    }
    Ok(Way::Program { program, args })
}

fn by_http(place: &PlaceArgs) -> Result<Way, Exit> {
    let dir = place::data_dir(place)?;
    let token = token::of(&dir)?.expose().to_owned();
    let listen = nexus_config::load(&source(place, None)).map_err(Exit::config)?.settings.web.listen;
    let configured = format!("http://{listen}/mcp");
    let url = place::Address::read(&dir).and_then(|address| address.mcp).unwrap_or_else(|| configured.clone());
    if url != configured {
        show::note("note", &format!("the company that is up has another address than the configured {configured}"));
    }
    Ok(Way::Http { url, token })
}

/// The longest wait of a client for one call, in seconds: a task may take its time.
const PATIENCE: u32 = 3600;
/// The longest wait for a company that is started, in seconds: it may fetch its broker first.
const START: u32 = 120;

fn snippet(client: Client, way: &Way) -> Snippet {
    let milliseconds = PATIENCE * 1000;
    match client {
        Client::Claude => Snippet {
            text: pretty(&json!({ "mcpServers": { "nexus": entry(way, "url", Some("http")) } })),
            notes: format!(
                "Claude Code: paste this into .mcp.json of a project (into ~/.claude.json for all projects).\nTo have no \
                 call asked for, and long ones waited for, in ~/.claude/settings.json:\n  {}",
                json!({ "permissions": { "allow": ["mcp__nexus"] },
                        "env": { "MCP_TIMEOUT": (START * 1000).to_string(), "MCP_TOOL_TIMEOUT": milliseconds.to_string() } })
            ),
        },
        Client::Codex => Snippet {
            text: codex(way),
            notes: "Codex: paste this into ~/.codex/config.toml. Without `default_tools_approval_mode`, `codex exec` refuses \
                    what changes something."
                .to_owned(),
        },
        Client::Gemini => {
            let mut server = entry(way, "httpUrl", None);
            server["timeout"] = json!(milliseconds);
            server["trust"] = json!(true);
            Snippet {
                text: pretty(&json!({ "mcpServers": { "nexus": server } })),
                notes: "Gemini CLI: paste this into ~/.gemini/settings.json. With `trust`, no call is asked for.".to_owned(),
            }
        }
        Client::Vscode => Snippet {
            text: pretty(&json!({ "servers": { "nexus": entry(way, "url", Some("http")) } })),
            notes: "VS Code: paste this into .vscode/mcp.json of a project, or into the file that \"MCP: Open User \
                    Configuration\" opens.\nIt asks before a call; \"Always Allow\" is in its menu. It has no time limit of its \
                    own."
                .to_owned(),
        },
        Client::Cursor => Snippet {
            text: pretty(&json!({ "mcpServers": { "nexus": entry(way, "url", None) } })),
            notes: "Cursor: paste this into ~/.cursor/mcp.json (.cursor/mcp.json of a project).\nIt asks before a call, \
                    unless its settings let MCP tools run by themselves."
                .to_owned(),
        },
        Client::Opencode => {
            let mut server = match way {
                Way::Program { program, args } => {
                    let command: Vec<_> = std::iter::once(program.display().to_string()).chain(args.clone()).collect();
                    json!({ "type": "local", "command": command })
                }
                Way::Http { url, token } => json!({ "type": "remote", "url": url, "headers": bearer(token), "oauth": false }),
            };
            server["timeout"] = json!(milliseconds);
            Snippet {
                text: pretty(&json!({
                    "$schema": "https://opencode.ai/config.json",
                    "mcp": { "nexus": server },
                    "permission": { "nexus_*": "allow" },
                })),
                notes: "opencode 1: paste this into ~/.config/opencode/opencode.json (opencode.json of a project)."
                    .to_owned(),
            }
        }
    }
}

/// A server as most clients have it.
fn entry(way: &Way, url_key: &str, http_type: Option<&str>) -> Value {
    match way {
        Way::Program { program, args } => {
            let mut server = json!({ "command": program.display().to_string(), "args": args });
            if http_type.is_some() {
                server["type"] = json!("stdio");
            }
            server
        }
        Way::Http { url, token } => {
            let mut server = json!({ url_key: url, "headers": bearer(token) });
            if let Some(kind) = http_type {
                server["type"] = json!(kind);
            }
            server
        }
    }
}

fn bearer(token: &str) -> Value {
    json!({ "Authorization": format!("Bearer {token}") })
}

fn codex(way: &Way) -> String {
    let mut server = toml::Table::new();
    match way {
        Way::Program { program, args } => {
            server.insert("command".to_owned(), program.display().to_string().into());
            server.insert("args".to_owned(), args.clone().into());
            server.insert("startup_timeout_sec".to_owned(), i64::from(START).into());
        }
        Way::Http { url, token } => {
            let headers = toml::Table::from_iter([("Authorization".to_owned(), format!("Bearer {token}").into())]);
            server.insert("url".to_owned(), url.clone().into());
            server.insert("http_headers".to_owned(), headers.into());
        }
    }
    server.insert("tool_timeout_sec".to_owned(), i64::from(PATIENCE).into());
    server.insert("default_tools_approval_mode".to_owned(), "approve".into());
    let servers = toml::Table::from_iter([("nexus".to_owned(), server.into())]);
    toml::Table::from_iter([("mcp_servers".to_owned(), servers.into())]).to_string().trim_end().to_owned()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    fn by_program() -> Way {
        Way::Program { program: "/opt/ne xus/nexus".into(), args: vec!["mcp".to_owned(), "--start".to_owned()] }
    }

    fn by_http() -> Way {
        Way::Http { url: "http://127.0.0.1:8123/mcp".to_owned(), token: "f00d".to_owned() }
    }

    #[test]
    fn each_client_reads_what_is_pasted_and_finds_the_way_in_it() {
        for client in Client::value_variants() {
            for (way, parts) in [
                (by_program(), ["/opt/ne xus/nexus", "--start"]),
                (by_http(), ["http://127.0.0.1:8123/mcp", "Bearer f00d"]),
            ] {
                let text = snippet(*client, &way).text;
                let is_read = match client {
                    Client::Codex => toml::from_str::<toml::Table>(&text).is_ok(),
                    _ => serde_json::from_str::<Value>(&text).is_ok(),
                };
                assert!(is_read && parts.iter().all(|part| text.contains(part)), "{client:?}: {text}");
            }
        }
    }

    #[test]
    fn codex_waits_and_does_not_ask() {
        let text = codex(&by_program());
        let read: toml::Table = toml::from_str(&text).unwrap();
        let server = &read["mcp_servers"]["nexus"];
        assert_eq!(server["tool_timeout_sec"].as_integer(), Some(3600));
        assert_eq!(server["default_tools_approval_mode"].as_str(), Some("approve"));
    }
}
