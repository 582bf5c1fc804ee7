"""The report as one self-contained page: results/index.html opens without a network, in light and dark, on a phone.

page.css and page.js are written into it as they are. What only this machine knows (which records are stale, which
videos lie beside them) stands between HERE and THERE, and `portable` takes it out again before pages are compared.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from report import chart_data, run_sections
from report.cell_text import Table, Text
from report.chart_data import Thinned, chart
from report.curve import Curves
from report.grid import Row
from report.markdown import EMPTY
from report.table import Report

WHAT = (
    "The same trajectories, the same episodes, one table. Written by `python experiments/report.py` from the runs' "
    "records; nothing is typed by hand."
)
HERE, THERE = "<!-- here -->", "<!-- there -->"
STYLE, SCRIPT = (Path(__file__).with_name(name) for name in ("page.css", "page.js"))


def page(
    report: Report,
    runs: Path,
    curves: Curves,
    suites: Mapping[str, Sequence[str]] | None = None,
    stale: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """results/index.html.

    Args:
        runs: where the runs are kept, for the videos.
        curves: of the report's records.
        suites: data sets by suite, to filter by.
        stale: of each record by name, why it is not what the code would give today.
    """
    suites = {
        name: each for name, each in (suites or {}).items() if any(row.first.dataset in each for row in report.rows)
    }
    drawn = chart_data.thinned(report, curves)
    parts = body(report, runs, drawn, stale) if report.rows else [paragraph(EMPTY)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Results</title>
<link rel="icon" href="data:,">
<style>
{STYLE.read_text(encoding="utf-8").strip()}
</style>
</head>
<body>
<h1>Decision Transformer, Trajectory Transformer, Gato</h1>
{paragraph(WHAT)}
{bar(report, suites)}
{chr(10).join(parts)}
<script type="application/json" id="data">{chart_data.data(report, drawn, suites)}</script>
<script>
{SCRIPT.read_text(encoding="utf-8").strip()}
</script>
</body>
</html>
"""


def portable(text: str) -> str:
    """A page without what only the machine that wrote it knows."""
    return re.sub(f"{HERE}.*?{THERE}", "", text, flags=re.DOTALL)


def here(text: str) -> str:
    return f"{HERE}{text}{THERE}"


def bar(report: Report, suites: Mapping[str, Sequence[str]]) -> str:
    """The filter, and where things are."""
    if not report.rows:
        return ""
    choices = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in suites)
    choose = f'<label>Suite<select id="suite"><option value="">everything</option>{choices}</select></label>'
    places = {"tables": report.tables[0].title, "figures": "Figures", "missing": "Missing and stale", "runs": "Runs"}
    links = "".join(f'<a href="#{place}">{escape(text)}</a>' for place, text in places.items())
    return f'<div class="bar">{choose}<nav>{links}</nav></div>'


def body(report: Report, runs: Path, curves: Thinned, stale: Mapping[str, Sequence[str]] | None) -> list[str]:
    first, *others = (section(table) for table in (*report.scores, *report.compared))
    anchored = first.replace("<section>", '<section id="tables">', 1)
    figures = [*ladder_charts(report), *(row_charts(row, place, curves) for place, row in enumerate(report.rows))]
    return [
        anchored,
        *others,
        '<div id="figures"></div>',
        *figures,
        *map(section, report.further),
        absent(report, stale),
        run_sections.runs(report, runs, curves, here),
    ]


# ---- tables ----------------------------------------------------------------------------------------------------------


def section(table: Table) -> str:
    """One table with its notes, in a frame that scrolls sideways on a narrow screen."""
    head = "".join(cell("th", place, table, Text(name)) for place, name in enumerate(table.header))
    keys = [f' data-key="{escape(key)}"' for key in table.keys] or [""] * len(table.rows)
    if table.header[0] == "Suite":
        keys = [f' data-suite="{escape(row[0].main)}"' for row in table.rows]
    rows = "\n".join(
        f"<tr{key}>" + "".join(cell("td", place, table, text) for place, text in enumerate(row)) + "</tr>"
        for key, row in zip(keys, table.rows, strict=True)
    )
    notes = "\n".join(paragraph(note) for note in table.notes)
    return (
        f'<section>\n<h2>{escape(table.title)}</h2>\n<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.title)}">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n'
        f"</table>\n</div>\n{notes}\n</section>"
    )


def cell(tag: str, place: int, table: Table, text: Text) -> str:
    small = "".join(f"<small>{escape(line)}</small>" for line in (*text.small, *text.roomy))
    side = ' class="number"' if place >= table.numbers else ""
    if tag == "th":
        return f'<th{side} scope="col"><button>{escape(text.main)}</button></th>'
    value = "" if text.value is None else f' data-value="{text.value:.6g}"'
    main = f"<strong>{escape(text.main)}</strong>" if text.bold else escape(text.main)
    return f"<td{side}{value}>{main}{small}</td>"


# ---- charts ----------------------------------------------------------------------------------------------------------


def ladder_charts(report: Report) -> list[str]:
    """A performance profile for each ladder that has one."""
    made = []
    for number, ladder in enumerate(chart_data.drawn(report)):
        note = "the share of runs that score above τ"
        box = chart("profile", "Performance profile", ladder.complete, note, number=str(number))
        made.append(
            f'<section data-suite="{escape(ladder.suite)}"><h2>{escape(ladder.name)}: over {len(ladder.rows)} of '
            f'its {ladder.size} data sets</h2><div class="charts">{box}</div></section>'
        )
    return made


def row_charts(row: Row, place: int, curves: Thinned) -> str:
    """Everything that is drawn of one row."""
    names, number = list(row.cells), str(place)
    several = "faint: each seed; strong: their mean" if len(row.seeds) > 1 else ""
    measured = {column for cell in row.cells.values() for record in cell.records for column in curves[record.name]}
    boxes = [
        chart("learning", title, names, several, row=number, column=column)
        for column, title in (("return", "Return while training"), ("loss", "Loss"))
        if column in measured
    ]
    boxes.append(chart("returns", "Return of each episode", (), "right: mean return (score)", row=number))
    if asked := [name for name, cell in row.cells.items() if len(cell.first.evaluations) > 1]:
        note = "dots: runs; band: the middle half of episodes; dotted: as asked"
        boxes.append(chart("asked", "Asked and achieved", asked, note, row=number))
    boxes.append(
        chart("compute", "Score against compute", names, "training only; a dot's title names its machine", row=number)
    )
    title = f"{row.label} · {row.first.source}"
    return (
        f'<section data-key="{escape(row.first.dataset)}"><h2>{escape(title)}</h2>'
        f'<div class="charts">{"".join(boxes)}</div></section>'
    )


# ---- what is missing -------------------------------------------------------------------------------------------------


def absent(report: Report, stale: Mapping[str, Sequence[str]] | None) -> str:
    """Runs that a full table would have, and records that the code of today would not give."""
    gone = "\n".join(f"<li>{escape(where)}: <code>{escape(line)}</code></li>" for where, line in report.missing)
    missing = f"<ul>\n{gone}\n</ul>" if gone else paragraph("No run is missing from these rows.")
    if stale is None:
        old = paragraph("Whether records are stale was not looked at.")
    elif stale:
        items = [
            f'<li><a href="#{escape(name)}">{escape(name)}</a>: {escape("; ".join(why))}</li>'
            for name, why in sorted(stale.items())
        ]
        old = f"<ul>\n{chr(10).join(items)}\n</ul>"
    else:
        old = paragraph("No record is stale: code and configurations are those of today.")
    return (
        f'<section id="missing"><h2>Missing and stale</h2>\n<h3>Missing</h3>\n{missing}\n<h3>Stale</h3>\n'
        f"{here(old)}\n</section>"
    )


def paragraph(text: str) -> str:
    return f"<p>{inline(text)}</p>"


def inline(text: str) -> str:
    """Escaped, with `code` between backquotes."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))
