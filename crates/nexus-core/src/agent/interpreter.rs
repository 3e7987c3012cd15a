//! Programs that take a text and run it: a task's description that is handed to one of them is a command, and no prose.

use std::path::Path;

use super::PromptVia;

/// Interpreters, and the letters of their options that a program follows, whole (`-c`) or as the last of several (`-lc`).
const INTERPRETERS: [(&[&str], &[char]); 5] = [
    (&["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "cmd"], &['c']),
    (&["pwsh", "powershell", "python", "pypy"], &['c']),
    (&["perl", "ruby", "lua"], &['e']),
    (&["node", "bun", "deno"], &['e', 'p']),
    (&["php"], &['r']),
];

/// True if a command runs the description that it is handed: a shell or another interpreter whose program is still to come.
///
/// As the last argument it is run after an option such as `-c`, whatever stands before the interpreter (`env`, `docker exec`).
/// On standard input it is run by an interpreter that is given options alone, whatever stands before that. One that is given a script, or a module, reads
/// the description as that script sees fit.
pub(super) fn runs_description(command: &[String], prompt: PromptVia) -> bool {
    match prompt {
        PromptVia::Arg => {
            let Some((last, before)) = command.split_last() else { return false };
            interpreter(before).is_some_and(|(letters, rest)| is_options(rest) && announces(last, letters))
        }
        PromptVia::Stdin => interpreter(command)
            .is_some_and(|(letters, rest)| is_options(rest) && !rest.iter().any(|word| announces(word, letters))),
        PromptVia::File | PromptVia::None => false,
    }
}

/// An option, of Windows too (`/C`).
fn is_option(word: &str) -> bool {
    word.starts_with('-') || word.strip_prefix('/').is_some_and(|rest| rest.len() == 1)
}

/// Shells that read quotes as POSIX says.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash"];

/// The interpreter of a command, if it is no POSIX shell.
pub(super) fn other_language(command: &[String]) -> Option<&str> {
    let word = &command[position(command)?];
    (!SHELLS.contains(&name(word).as_str())).then_some(word)
}

/// The last interpreter of a command: its letters, and the words behind it.
fn interpreter(command: &[String]) -> Option<(&'static [char], &[String])> {
    let at = position(command)?;
    Some((letters(&command[at])?, &command[at + 1..]))
}

/// The place of the last interpreter. A word behind an option in full is that option's.
fn position(command: &[String]) -> Option<usize> {
    let is_value = |at: usize| at > 0 && command[at - 1].starts_with("--");
    (0..command.len()).rev().find(|at| letters(&command[*at]).is_some() && !is_value(*at))
}

/// True for options alone, with the values of those that are known to have one (`-o pipefail`).
fn is_options(words: &[String]) -> bool {
    let has_value = |word: &str| {
        matches!(word, "--rcfile" | "--init-file")
            || (word.starts_with(['-', '+']) && !word.starts_with("--") && word.ends_with(['o', 'O', 'W', 'X']))
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if has_value(word) {
            words.next();
        } else if !is_option(word) {
            return false;
        }
    }
    true
}

/// A program follows this option.
fn announces(option: &str, letters: &[char]) -> bool {
    let words = ["--eval", "--print", "--command", "--run", "-command", "eval"];
    let option = option.to_ascii_lowercase();
    words.contains(&option.as_str())
        || (is_option(&option) && !option.starts_with("--") && option.len() > 1 && option.ends_with(letters))
}

/// The letters of an interpreter.
fn letters(word: &str) -> Option<&'static [char]> {
    let name = name(word);
    INTERPRETERS.iter().find(|(names, _)| names.contains(&name.as_str())).map(|(_, letters)| *letters)
}

/// The name of a program without its directory, its version and its suffix: `python` of `/usr/bin/python3.12`.
fn name(word: &str) -> String {
    let file = Path::new(word).file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let file = file.strip_suffix(".exe").unwrap_or(&file);
    file.trim_end_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prompt: PromptVia, command: &str) -> bool {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        runs_description(&command, prompt)
    }

    #[test]
    fn a_description_that_is_the_program_of_an_interpreter_is_run() {
        for command in [
            "sh -c",
            "/bin/bash -lc",
            "bash -e -c",
            "env A=b sh -c",
            "bash -euo pipefail -c",
            "bash +O extglob -lc",
            "nice -n 5 bash -c",
            "docker exec box sh -c",
            "python3 -c",
            "/usr/bin/python3.12 -u -c",
            "node --eval",
            "deno eval",
            "perl -e",
            "php -r",
            "pwsh -Command",
            "cmd.exe /C",
        ] {
            assert!(check(PromptVia::Arg, command), "{command}");
        }
        for command in [
            "bash",
            "/bin/sh -s",
            "env A=b bash -x",
            "env -i bash",
            "nice bash -o pipefail",
            "docker exec -i box sh",
            "python3 -",
            "node",
        ] {
            assert!(check(PromptVia::Stdin, command), "{command}");
        }
    }

    #[test]
    fn a_posix_shell_is_told_from_other_interpreters() {
        for (command, expected) in [
            ("sh -c", None),
            ("env -i /bin/bash -lc", None),
            ("make", None),
            ("/usr/bin/python3.12 -c", Some("/usr/bin/python3.12")),
            ("docker exec box fish -c", Some("fish")),
        ] {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            assert_eq!(other_language(&words), expected, "{command}");
        }
    }

    #[test]
    fn a_description_that_a_program_reads_is_not() {
        for command in [
            "",
            "make",
            "my-agent --quiet",
            "bash agent.sh",
            "python3 -m agent",
            "python3 agent.py -c",
            "my-agent -c",
            "my-agent --shell bash",
            "/opt/tools/sh/agent -c",
            "git -C /src commit -m",
        ] {
            assert!(!check(PromptVia::Arg, command), "{command}");
        }
        for command in [
            "",
            "my-agent",
            "my-agent --shell bash",
            "bash agent.sh",
            "sh -c my-agent",
            "python3 -m agent",
            "python3 agent.py",
            "cat",
        ] {
            assert!(!check(PromptVia::Stdin, command), "{command}");
        }
        for prompt in [PromptVia::File, PromptVia::None] {
            assert!(!check(prompt, "sh -c") && !check(prompt, "sh"));
        }
    }
}
