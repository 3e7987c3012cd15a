"""What came of a run: a table for people, JSON for programs."""

import json
import os
import platform
import statistics
from pathlib import Path

from .framework import METRICS, Results


QUIET = 10.0
"""Percent of the machine that others may use for figures to be believed."""


def number(value: float) -> str:
    if value < 0:
        return f"-{number(-value)}"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def verdicts(results: Results, job) -> list[dict]:
    """Each aim of a job with what was reached."""
    found = []
    for aim in job.AIMS:
        value = results.value_of(aim)
        found.append(
            {
                "job": job.NAME,
                "case": aim.case,
                "aim": aim.text,
                "metric": aim.metric,
                "ratio": bool(aim.against) and aim.beyond is None,
                "unit": METRICS[aim.metric].unit,
                "value": value,
                "met": None if value is None else aim.judge(value),
            }
        )
    return found


def markdown(runs: list[tuple[object, Results]]) -> str:
    lines = []
    # The cases' own companies are up by then, and idle: what is seen is somebody else's.
    busy = [percent for _, results in runs for percent in results.busy]
    if busy and max(busy) > QUIET:
        lines += [
            f"**The machine wasn't quiet**: others used up to {max(busy):.0f} % of it ({statistics.median(busy):.0f} % in the "
            "median) before the cases. Ratios suffer from that too: read no verdict below as settled.",
            "",
        ]
    unmeasured = []
    lines += ["## Aims", "", "| job | case | aim | reached | met |", "|---|---|---|---|---|"]
    for job, results in runs:
        for row in verdicts(results, job):
            if row["value"] is None:
                unmeasured.append(f"{row['job']}, {row['case']}: {row['aim']}")
                continue
            unit = " x" if row["ratio"] else f" {row['unit']}"
            met = "yes" if row["met"] else "no"
            lines.append(f"| {row['job']} | {row['case']} | {row['aim']} | {number(row['value'])}{unit} | {met} |")
    if unmeasured:
        lines += ["", f"Not measured in this run: {'; '.join(unmeasured)}."]
    for job, results in runs:
        lines += ["", f"## {job.NAME}: {job.TITLE}", ""]
        lines += table(results)
        for name, figures in results.extra.items():
            shown = ", ".join(f"{key} {number(value)}" for key, value in figures.items())
            lines += ["", f"{name}: {shown}."]
        for text in results.skipped:
            lines += ["", f"Skipped: {text}."]
    return "\n".join(lines)


def table(results: Results) -> list[str]:
    metrics = [m for m in METRICS if any(m in figures for who in results.samples.values() for figures in who.values())]
    titles = [f"{METRICS[m].title}, {METRICS[m].unit}" for m in metrics]
    lines = [f"| case | who | {' | '.join(titles)} | sync |", "|" + "---|" * (len(titles) + 3)]
    for case, contenders in results.contenders.items():
        floor = results.floor(case)
        for name, who in contenders.items():
            cells = []
            for metric in metrics:
                value = results.median(case, name, metric)
                cell = "" if value is None else number(value)
                if value is not None and floor and name != floor:
                    ratio = results.ratio(case, name, metric, floor)
                    cell += f" ({number(ratio)} x)" if ratio is not None else ""
                cells.append(cell)
            lines.append(f"| {case} | {name} | {' | '.join(cells)} | {who.sync} |")
    return lines


def machine() -> dict:
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
    return {"processors": os.cpu_count(), "model": model, "kernel": platform.release(), "load": os.getloadavg()[0]}


def as_json(runs: list[tuple[object, Results]], facts: dict) -> dict:
    jobs = {}
    for job, results in runs:
        cases = {}
        for case, contenders in results.contenders.items():
            floor = results.floor(case)
            cases[case] = {"floor": floor, "contenders": {}}
            for name, who in contenders.items():
                samples = results.samples[case].get(name, {})
                cases[case]["contenders"][name] = {
                    "role": who.role,
                    "sync": who.sync,
                    "median": {m: results.median(case, name, m) for m in samples},
                    "ratio": {m: results.ratio(case, name, m, floor) for m in samples} if floor else {},
                    "samples": samples,
                }
        jobs[job.NAME] = {
            "title": job.TITLE,
            "cases": cases,
            "aims": verdicts(results, job),
            "extra": results.extra,
            "skipped": results.skipped,
            "busy_with_others": results.busy,
        }
    return {"machine": machine(), **facts, "jobs": jobs}


def write(path: Path, document: dict):
    path.write_text(json.dumps(document, indent=2) + "\n")
