//! The look of a file: small, without `mod.rs`, with a first paragraph that says what it owns.

use crate::workspace::{File, files, report};

const LONGEST: usize = 500;
const MEDIAN: usize = 150;

#[test]
fn files_are_small() {
    let mut sizes: Vec<_> = files().iter().map(|file| (file.text.lines().count(), file.path.clone())).collect();
    sizes.sort();
    let at = |percent: usize| sizes[(sizes.len() - 1) * percent / 100].0;
    println!("{} files: median {} lines, p90 {}, longest {}", sizes.len(), at(50), at(90), at(100));
    let long = sizes.iter().filter(|(lines, _)| *lines > LONGEST);
    let mut findings: Vec<_> =
        long.map(|(lines, path)| format!("{path} has {lines} lines: split it by owner")).collect();
    if at(50) > MEDIAN {
        findings.push(format!("half of all files have more than {} lines; aim for {MEDIAN}", at(50)));
    }
    report(&format!("no file has more than {LONGEST} lines:"), &findings);
}

#[test]
fn modules_are_foo_rs() {
    let old = files().into_iter().filter(|file| file.path.ends_with("/mod.rs"));
    let findings: Vec<_> = old.map(|file| format!("{}: name it after its directory, beside it", file.path)).collect();
    report("a module is foo.rs and foo/, never foo/mod.rs:", &findings);
}

#[test]
fn files_say_what_they_own() {
    let silent = files().into_iter().filter(|file| !file.path.ends_with("/tests.rs") && !file.text.starts_with("//! "));
    let findings: Vec<_> = silent.map(|file| format!("{}: begin with a `//!` paragraph", file.path)).collect();
    report("a file's first paragraph says what it owns:", &findings);
}

/// A test waits for the event itself. Where only the clock can tell (nothing notifies, so it polls until a deadline), a
/// comment on the line or one of the two above says so: `// sleep: why`.
#[test]
fn tests_dont_sleep() {
    let mut findings = Vec::new();
    for File { path, text } in files() {
        let whole = path.contains("/tests/") || path.ends_with("/tests.rs");
        let lines: Vec<_> = text.lines().collect();
        // `#[cfg(test)] mod tests;` leads to a file of its own, and what follows it here is no test.
        let block = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_end().ends_with('{');
        let block = lines.windows(2).position(block).unwrap_or(lines.len());
        let start = if whole { 0 } else { block };
        for (number, line) in lines.iter().enumerate().skip(start) {
            let code = line.split("//").next().unwrap_or_default();
            let sleeps = ["thread::sleep(", "time::sleep(", " sleep("].iter().any(|call| code.contains(call));
            let said = lines[number.saturating_sub(2)..=number].iter().any(|line| line.contains("// sleep: "));
            if sleeps && !said && !code.contains('"') {
                findings.push(format!("{path}:{}: wait for the event, or say why not: `// sleep: why`", number + 1));
            }
        }
    }
    report("tests don't sleep to wait for something:", &findings);
}
