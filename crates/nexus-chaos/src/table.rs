//! The table at the end, for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::cli::Mode;
use crate::faults::Fault;
use crate::recovery::Recovery;
use crate::report::{Report, Total};
use crate::story::Wrong;

/// Per mode and in total.
pub(crate) fn render(reports: &[Report]) -> String {
    let modes: Vec<_> =
        Mode::ALL.into_iter().filter(|mode| reports.iter().any(|report| report.mode == *mode)).collect();
    let mut totals: Vec<_> = modes
        .iter()
        .map(|mode| (mode.name(), Total::of(reports.iter().filter(|report| report.mode == *mode))))
        .collect();
    totals.push(("total", Total::of(reports.iter())));
    let heads = || totals.iter().map(|(name, _)| (*name).to_owned());
    let mut rows = Rows::new(heads());
    let mut row = |name: &str, value: &dyn Fn(&Total) -> String| {
        rows.add(name, totals.iter().map(|(_, total)| value(total)));
    };
    row("seeds", &|total| total.seeds.to_string());
    row("minutes", &|total| format!("{:.1}", total.seconds / 60.0));
    row("faults", &|total| total.faults.values().sum::<usize>().to_string());
    let all = &totals[totals.len() - 1].1;
    for fault in all.faults.keys().chain(all.skipped.keys()).collect::<std::collections::BTreeSet<_>>() {
        row(&format!("  {}", fault.name()), &|total| count(total, *fault));
    }
    row("tasks acknowledged", &|total| total.tasks.acknowledged.to_string());
    row("  completed", &|total| total.tasks.completed.to_string());
    row("  failed", &|total| total.tasks.failed.to_string());
    row("  cancelled", &|total| total.tasks.cancelled.to_string());
    row("effects done twice", &|total| total.tasks.duplicated.to_string());
    for wrong in Wrong::ALL {
        row(wrong.name(), &|total| total.violations.get(&wrong).copied().unwrap_or_default().to_string());
    }
    let mut text = rows.text();
    let mut rows = Rows::new(["samples", "p50", "max", "promised"].map(str::to_owned));
    for (what, times) in &all.recovery {
        let millis = |millis: u64| format!("{millis} ms");
        let limit = Recovery::limit(*what).map_or_else(String::new, |limit| format!("{} ms", limit.as_millis()));
        rows.add(what.name(), [times.samples.to_string(), millis(times.p50_ms), millis(times.max_ms), limit]);
    }
    if !all.recovery.is_empty() {
        let _ = write!(text, "\n{}", rows.text());
    }
    text
}

fn count(total: &Total, fault: Fault) -> String {
    let done = total.faults.get(&fault).copied().unwrap_or_default();
    match total.skipped.get(&fault) {
        Some(skipped) => format!("{done} ({skipped} skipped)"),
        None => done.to_string(),
    }
}

struct Rows(Table);

impl Rows {
    fn new(heads: impl IntoIterator<Item = String>) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([String::new()].into_iter().chain(heads));
        Self(table)
    }

    fn add(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        self.0.add_row([name.to_owned()].into_iter().chain(values));
    }

    fn text(mut self) -> String {
        for column in self.0.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self.0.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}
