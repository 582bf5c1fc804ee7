"""The report as one self-contained page: results/table.html opens without a network, in light and dark, on a phone."""

import re
from html import escape

from results.markdown import EMPTY
from results.table import Report, Table, Text

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d9dee3; --page: #ffffff; --band: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #9aa5b1; --line: #333b44; --page: #14181c; --band: #1c2227; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
p, li { color: var(--soft); font-size: .875rem; max-width: 62rem; margin: .4rem 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .55rem .8rem; text-align: left; vertical-align: top; white-space: nowrap; }
th { font-size: .78rem; font-weight: 600; color: var(--soft); background: var(--band); }
tr + tr > * { border-top: 1px solid var(--line); }
.number { text-align: right; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); font-weight: 600; }
th:first-child { background: var(--band); }
small { display: block; color: var(--soft); font-size: .75rem; font-weight: 400; line-height: 1.4; }
code { font: .8125rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--ink); }
@media (max-width: 40rem) { body { padding: 1.25rem .75rem 3rem; } th, td { padding: .5rem .6rem; font-size: .875rem; }
  td:first-child { white-space: normal; min-width: 6.5rem; } }
""".strip()


def page(report: Report) -> str:
    """results/table.html."""
    parts = [section(table) for table in report.tables] if report.short.rows else [paragraph(EMPTY)]
    if report.missing:
        items = "\n".join(f"<li>{inline(line)}</li>" for line in report.missing)
        parts.append(f"<h2>Missing</h2>\n<ul>\n{items}\n</ul>")
    body = "\n".join(parts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Results</title>
<style>
{STYLE}
</style>
</head>
<body>
<h1>Results</h1>
{paragraph("Written by `python experiments/report.py` from the runs' records.")}
{body}
</body>
</html>
"""


def section(table: Table) -> str:
    """One table with its notes, in a frame that scrolls sideways on a narrow screen."""
    head = "".join(cell("th", place, table, Text(name)) for place, name in enumerate(table.header))
    rows = "\n".join(
        "<tr>" + "".join(cell("td", place, table, text) for place, text in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    notes = "\n".join(paragraph(note) for note in table.notes)
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.title)}">\n<table>\n<tr>{head}</tr>\n{rows}\n</table>\n</div>\n{notes}'
    )


def cell(tag: str, place: int, table: Table, text: Text) -> str:
    small = "".join(f"<small>{escape(line)}</small>" for line in (*text.small, *text.roomy))
    side = ' class="number"' if place >= table.numbers else ""
    scope = ' scope="col"' if tag == "th" else ""
    return f"<{tag}{side}{scope}>{escape(text.main)}{small}</{tag}>"


def paragraph(text: str) -> str:
    return f"<p>{inline(text)}</p>"


def inline(text: str) -> str:
    """Escaped, with `code` between backquotes."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))
