//! Versions of coding agents' programs: what one prints, and which is known to work.

use nexus_core::agent::AgentKind;

/// The oldest version that an adapter was tried with; older ones may work.
#[must_use]
pub const fn tried(kind: AgentKind) -> Option<&'static str> {
    match kind {
        AgentKind::Claude => Some("2.1.197"),
        AgentKind::Codex => Some("0.169.0"),
        AgentKind::Gemini => Some("0.61.0"),
        AgentKind::Copilot => Some("1.0.102"),
        AgentKind::Qwen => Some("0.15.10"),
        AgentKind::Opencode => Some("1.18.33"),
        AgentKind::Command | AgentKind::Acp => None,
    }
}

/// The version in what `PROGRAM --version` prints, whatever stands around it: `codex-cli 0.169.0`, `2.1.197 (Claude Code)`.
#[must_use]
pub fn version(printed: &str) -> Option<&str> {
    printed.split_whitespace().map(|word| word.trim_start_matches('v').trim_end_matches(['.', ','])).find(|word| {
        let mut parts = word.split('.');
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number)
    })
}

/// True if one version is older than another, by their numbers; what follows `-` or `+` says nothing here.
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let release = version.split(['-', '+']).next().unwrap_or_default();
        release.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(version) < numbers(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (printed, wanted) in [
            ("2.1.197 (Claude Code)\n", Some("2.1.197")),
            ("codex-cli 0.169.0\n", Some("0.169.0")),
            ("0.61.0", Some("0.61.0")),
            ("GitHub Copilot CLI 1.0.102.\nRun 'copilot update' to check for updates.", Some("1.0.102")),
            ("v1.18.33-beta.1", Some("1.18.33-beta.1")),
            ("opencode v1.18.33\n", Some("1.18.33")),
            ("usage: x [-y]", None),
            ("", None),
        ] {
            assert_eq!(version(printed), wanted, "{printed}");
        }
    }

    #[test]
    fn older_is_by_number() {
        for (version, than, wanted) in [
            ("0.9.0", "0.15.10", true),
            ("0.15.10", "0.15.10", false),
            ("1.0", "0.61.0", false),
            ("2.1.196", "2.1.197", true),
        ] {
            assert_eq!(is_older(version, than), wanted, "{version} {than}");
        }
    }
}
