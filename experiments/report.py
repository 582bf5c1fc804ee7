"""Every table and figure, from the records alone: python experiments/report.py

results/table.md .csv .tex, the page results/index.html, results/prompts.md where runs were measured so,
results/figures/, and the short table in README.md and README_zh.md where these have markers for it. The same records
give the same files, to the byte, but for figures and for what the page says of this machine: stale records, videos.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from report import csv_table, figures, latex, markdown, page, prompts, store, table
from training.cli import exit_on_user_error
from training.provenance import PROJECT
from training.suites import suites
from trajectories.atomic import write_text

READMES = {"README.md": markdown.ENGLISH, "README_zh.md": markdown.CHINESE}


@dataclass(frozen=True)
class Options:
    """Write the tables and figures from the records of finished runs."""

    check: bool = False
    """write nothing: exit 1 if the files are not what the records give"""
    models: tuple[str, ...] = ()
    """models that get a column though nobody has run them yet"""
    figures: bool = True
    """draw the figures too (some seconds)"""
    root: Path = PROJECT
    """the repository whose results/runs are read"""


def main(options: Options) -> int:
    runs, pictures = options.root / "results" / "runs", options.root / "results" / "figures"
    records = store.read_all(runs)
    if options.check:
        files = texts(options.root, records, options.models)
        other = [path for path, text in files.items() if not path.exists() or same(path) != page.portable(text)]
        other += [path for path in figures.paths(pictures, runs, records) if not path.exists()]
        if other:
            print(f"{_names(other, options.root)}: not what the records give: run python experiments/report.py")
            return 1
        print(f"{_names(list(files), options.root)}: as the {len(records)} records give them")
        return 0
    from training.staleness import stale  # here, because it loads the models

    old = stale(records)
    files = texts(options.root, records, options.models, old)
    for path, text in files.items():
        write_text(path, text)
    drawn = figures.draw(pictures, runs, records) if options.figures else []
    print(files[options.root / "results" / "table.md"])
    print(f"{len(records)} records: {_names(list(files), options.root)} and {len(drawn)} figures written.")
    if old:
        print(f"{len(old)} of them are stale: results/index.html says why.")
    return 0


def same(path: Path) -> str:
    """A file as it should be on every machine."""
    return page.portable(path.read_text(encoding="utf-8"))


def texts(
    root: Path,
    records: list[store.Record],
    expected: tuple[str, ...],
    old: Mapping[str, Sequence[str]] | None = None,
) -> dict[Path, str]:
    """Each file that the records decide, with what should stand in it. `old` are the stale records, and why."""
    named = {name: suite.envs for name, suite in suites().items()}
    report = table.report(records, expected, named)
    files = {
        root / "results" / "table.md": markdown.document(report),
        root / "results" / "table.csv": csv_table.long_csv(report.rows),
        root / "results" / "table.tex": "\n".join(map(latex.document, report.scores)),
        root / "results" / "index.html": page.page(report, root / "results" / "runs", named, old),
    }
    if measured := prompts.read_all(root / "results" / "runs"):
        files[root / "results" / prompts.PAGE] = prompts.page(measured)
    for name, words in READMES.items():
        path = root / name
        if path.exists():
            before = path.read_text(encoding="utf-8")
            after = markdown.between_markers(before, markdown.short(report, words), name)
            if markdown.BEGIN in before:
                files[path] = after
    return files


def _names(paths: list[Path], root: Path) -> str:
    return ", ".join(path.relative_to(root).as_posix() for path in paths)


if __name__ == "__main__":
    with exit_on_user_error():
        sys.exit(main(tyro.cli(Options)))
