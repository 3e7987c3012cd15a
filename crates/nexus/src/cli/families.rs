//! Commands of commands: `nexus config check`.

use clap::{Subcommand, ValueEnum};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AgentsCommand {
    /// Open an agent's account that a rate limit has closed, or a login that was not accepted.
    Clear {
        #[arg(add = super::complete::agents())]
        name: String,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with it.
    Check,
    /// Print what is in force, and where each value comes from.
    Show,
    /// Print its JSON schemas: that of one file, or all of them as one object.
    Schema {
        /// The file that is described.
        file: Option<SchemaName>,
    },
}

/// The kinds of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaName {
    /// A file in departments/.
    Department,
    /// nexus.toml.
    Nexus,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Describe this company to the service manager, and say how to start it.
    Install,
    /// Take the description away, and say how to stop it.
    Uninstall,
    /// Show whether it is installed, and whether a company is up.
    Status,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum BrokerCommand {
    /// Install a nats-server, if there is none that can be used.
    Install,
    /// Show which nats-server is used, and whether it runs.
    Status,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum McpCommand {
    /// Print what a client needs to find this company, to be pasted into its settings.
    Config {
        client: Client,
        /// By HTTP, with the company's token; else the client starts `nexus mcp --start`.
        #[arg(long)]
        http: bool,
    },
}

/// The clients of MCP whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    Claude,
    Codex,
    Gemini,
    Vscode,
    Cursor,
    Opencode,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print it. It opens all that the company can do: keep it as a password.
    Show,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Make it anew from the ledger.
    Rebuild,
}
