//! Patches, and what was cleaned up.

use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use nexus_core::event::{DiffStat, WorkspaceReport};
use nexus_core::id::TaskId;
use nexus_workspace::Stock;
use serde_json::Value;

use super::{Screen, bytes, count, line, one_line, or_leave, styled};

/// A patch: as it is for programs and files; on a terminal with colours, and nothing in it that a terminal would obey.
pub(crate) fn patch(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    if !out.is_terminal() {
        or_leave(out.write_all(text).and_then(|()| out.flush()));
        return;
    }
    drop(out);
    let mut within = false;
    for line in String::from_utf8_lossy(text).lines() {
        within = line.starts_with("@@") || within && !line.starts_with("diff ");
        let style = match line.as_bytes().first() {
            Some(b'@') if within => AnsiColor::Cyan.on_default(),
            Some(b'+') if within => AnsiColor::Green.on_default(),
            Some(b'-') if within => AnsiColor::Red.on_default(),
            Some(b'd') if !within => Style::new().bold(),
            _ => Style::new(),
        };
        styled(&format!("{style}{}{style:#}", one_line(line)));
    }
}

/// `3 files, +10 -2`.
pub(crate) fn diff(diff: DiffStat) -> String {
    let files = count(diff.files, "file", "files");
    format!("{files}, +{} -{}", diff.insertions, diff.deletions)
}

/// The way to get at a workspace that is kept: its path, or the command that opens its layers.
pub(crate) fn kept(report: &WorkspaceReport, task: TaskId, screen: Screen) -> String {
    let mut why = report.reason.clone();
    if report.layered {
        why = why.or_else(|| match report.changed_files {
            None | Some(0) => None,
            Some(1) => Some("1 file not committed".to_owned()),
            Some(files) => Some(format!("{files} files not committed")),
        });
    }
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    match report.layered {
        true => format!("kept{why}: nexus shell {}", screen.id(task)),
        false => format!("{}{why}", report.path),
    }
}

/// A task's branch: `nexus/..., 2 commits, 3 files, +10 -2`.
pub(crate) fn branch(report: &WorkspaceReport) -> Option<String> {
    let name = report.branch.as_ref()?;
    let commits = match report.commit_count {
        None | Some(0) => return Some(name.clone()),
        Some(1) => "1 commit".to_owned(),
        Some(commits) => format!("{commits} commits"),
    };
    Some(format!("{name}: {commits}, {}", diff(report.diff.unwrap_or_default())))
}

/// `2 prepared checkouts (1.5 GiB)`.
pub(crate) fn stock(stock: Stock) -> String {
    let plural = if stock.checkouts == 1 { "" } else { "s" };
    format!("{} prepared checkout{plural} ({})", stock.checkouts, bytes(stock.bytes))
}

/// The outcome of cleaning up after tasks.
pub(crate) fn cleaned(tasks: &[Value], checkouts: Option<(Stock, Stock)>, rehearsal: bool) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let gone = if rehearsal { "would go" } else { "removed" };
    let mut lines = 0;
    for task in tasks {
        let whole = task.get("kept").map(|kept| format!("kept      task {}: {}", text(&task["task_id"]), text(kept)));
        let part = |name: &str| {
            let part = task.get(name).filter(|part| part.is_object())?;
            let word = if part["removed"] == true { gone } else { "kept" };
            Some(format!("{word:<9} {name} {}: {}", text(&part["name"]), text(&part["reason"])))
        };
        for said in [whole, part("workspace"), part("branch")].into_iter().flatten() {
            line(&one_line(&said));
            lines += 1;
        }
    }
    let (removed, left) = checkouts.unwrap_or_default();
    if removed.checkouts > 0 {
        line(&format!("{gone:<9} {}, used by no workspace", stock(removed)));
    }
    if lines + removed.checkouts == 0 {
        line("nothing to clean up");
    }
    if left.checkouts > 0 {
        line(&format!("kept      {}, used by a workspace or a moment ago", stock(left)));
    }
}
