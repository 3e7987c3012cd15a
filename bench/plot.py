"""Ratios to the floor as a plot: SVG by hand, since a chart of bars needs no library."""

import math
from xml.sax.saxutils import escape

ROW, LEFT, WIDTH, RIGHT = 16, 300, 420, 80
COLOURS = {"floor": "#9aa0a6", "nexus": "#1a73e8", "peer": "#e8a33d"}
# One figure of each job, that which its aim is about.
SHOWN = {
    "delegate": "p50", "run": "rate", "logs": "rate", "supervise": "p50", "recover": "ready",
    "scale": "p50", "start": "ready", "ask": "p50",
}  # fmt: skip


def svg(document: dict) -> str:
    rows = []
    for name, job in document["jobs"].items():
        metric = SHOWN.get(name)
        for case, found in job["cases"].items():
            bars = [
                (who, one["role"], one["ratio"][metric])
                for who, one in found["contenders"].items()
                if one["ratio"].get(metric)
            ]
            if len(bars) > 1:
                rows.append((f"{name}, {case}: {metric} to the floor's", None, None))
                rows += bars
    values = [value for _, _, value in rows if value]
    low = math.floor(math.log10(min(values, default=1)))
    high = max(math.ceil(math.log10(max(values, default=1))), low + 1)
    x = lambda value: LEFT + (math.log10(value) - low) / (high - low) * WIDTH
    height, parts = ROW * (len(rows) + 2), []
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" y1="{ROW}" x2="{at:.1f}" y2="{height - ROW}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 4}" text-anchor="middle">{10.0**power:g}</text>')
    for number, (label, role, value) in enumerate(rows, start=1):
        y = ROW * number
        if role is None:
            parts.append(f'<text x="4" y="{y + 12}" font-weight="bold">{escape(label)}</text>')
            continue
        begin, end = sorted((x(1.0), x(value)))
        parts.append(f'<text x="{LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect x="{begin:.1f}" y="{y + 3}" width="{max(end - begin, 1.5):.1f}" height="{ROW - 6}" fill="{COLOURS[role]}"/>'
        )
        parts.append(f'<text x="{LEFT + WIDTH + 6}" y="{y + 12}">{value:.3g}</text>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{height}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *parts, "</svg>\n"])
