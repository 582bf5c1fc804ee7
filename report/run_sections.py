"""A section of the page for each run: its command, its results, its provenance and its settings.

Each lies in a <template> until it is opened, so that a page of a thousand runs opens at once.
"""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from report.cell_text import sentence, target
from report.grid import Row, command, label
from report.score_families import is_answered, unscored
from report.store import Record, report_folder
from report.table import Report


def runs(report: Report, folder: Path, here: Callable[[str], str]) -> str:
    """All runs, closed. `here` marks what only this machine has: videos."""
    made = [
        run(record, row, here(videos(record, folder)))
        for row in report.rows
        for cell in row.all_cells
        for record in cell.records
    ]
    return f'<section id="runs"><h2>Runs</h2>\n{"".join(made)}</section>'


def run(record: Record, row: Row, films: str) -> str:
    score = f"{record.evaluations[0].score:.1f}"
    return (
        f'<details id="{escape(record.name)}" data-key="{escape(record.dataset)}"><summary><b>{escape(row.label)}</b>'
        f"<span>{escape(label(record.column))}, seed {record.seed}, {escape(record.source)}, "
        f'{record.updates:,} updates</span><span class="score">{score}</span></summary>\n<template><div class="run">'
        f"<pre>{escape(command(record))}</pre>\n{listed(outcome(record))}\n{films}\n"
        f"<h3>Provenance</h3>{listed(provenance(record))}\n<h3>Configuration</h3>{listed(configuration(record))}\n"
        f"</div></template></details>\n"
    )


def outcome(record: Record) -> dict[str, str]:
    """A line for each target return, or what was answered and what it stands beside."""
    if is_answered(record):
        beside = {name: f"{value:.4g}" for name, value in record.references.items()}
        return {record.protocol.environment: sentence(record, record.evaluations[0])} | beside
    lines = {}
    for played in record.evaluations:
        heading = "played" if played.target_return is None else f"target {target(played.target_return)}"
        lines[heading] = (
            f"{np.mean(played.returns):.1f} ± {np.std(played.returns):.1f} over {len(played.returns)} episodes of "
            f"{np.mean(played.lengths):.0f} steps: score {played.normalized:.1f}"
        )
        if played.success:
            lines[heading] += f", {sum(played.success)} succeeded"
    recorded = record.behavior
    score = f", {unscored(record)}" if recorded.normalized is None else f": score {recorded.normalized:.1f}"
    lines["behavior"] = f"{recorded.mean:.1f} ± {recorded.std:.1f} over {recorded.episodes:,} episodes{score}"
    return lines


def provenance(record: Record) -> dict[str, str]:
    seconds = ", ".join(f"{name} {value:,.0f}" for name, value in record.seconds.items())
    protocol = record.protocol
    return {
        "data": ", ".join(f"{name} {value}" for name, value in record.data.items()),
        "protocol": f"{protocol.environment}, {protocol.physics} physics, {protocol.checkpoint} checkpoint, "
        f"starts from seed {protocol.seeds[0]}; score 0 at {protocol.random_score:g}, 100 at {protocol.expert_score:g}",
        "code": record.commit + (", with changes that were not committed" if record.dirty else ""),
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        "device": f"{record.device}, {record.threads} threads"
        + (f", {record.processes} processes" if record.processes > 1 else ""),
        "seconds": seconds,
        "memory": f"{record.peak_memory_mb:,.0f} MB at most",
        "size": f"{record.parameters:,} parameters, {record.tokens:,} tokens read",
    }


def configuration(record: Record) -> dict[str, str]:
    """Every setting, the model's first; before them the preset, if one was named."""
    lines = {} if record.preset == "default" else {"preset": record.preset}
    for part in ("model", "run"):
        values: Mapping[str, Any] = record.config.get(part, {})
        lines[part] = ", ".join(f"{name} {shown(value)}" for name, value in values.items())
    return lines


def shown(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def videos(record: Record, folder: Path) -> str:
    """Players for the videos in the run's folder, which stay files of their own."""
    paths = sorted((folder / record.name).glob("*.mp4"))
    found = [quote(path.relative_to(report_folder(folder)).as_posix()) for path in paths]
    return "".join(f'<video controls preload="none" src="{escape(path)}"></video>' for path in found)


def listed(lines: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in lines.items()) + "</dl>"
