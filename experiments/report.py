"""Every table and figure, from the records alone: python experiments/report.py

table.md .csv .tex, the page index.html, prompts.md and plans.md where runs were measured so, and figures/, in results/
or in the folder of other runs that --results-dir names. The short table in README.md and README_zh.md, between its
markers, is written by --readme only, and so are the numbers in their prose and in the models' READMEs
(report/prose.py); those of results/README.md are always written. The same records give the same files, to the byte,
but for figures and for what the page says of this machine: stale records, videos. A damaged record or curve is named
on stderr, and left out.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from report import csv_table, latex, markdown, page, plans, prompts, prose, store, table
from report.curve import curves_of
from training.cli import exit_on_user_error
from training.provenance import PROJECT
from training.suites import suites
from trajectories.atomic import write_text
from trajectories.errors import UserError

READMES = {"README.md": markdown.ENGLISH, "README_zh.md": markdown.CHINESE}


@dataclass(frozen=True)
class Options:
    """Write the tables and figures from the records of finished runs."""

    results_dir: Path = PROJECT / "results" / "runs"
    """where runs are kept; what is written lies in results/ where they are in results/runs, else beside them"""
    readme: bool = False
    """write the short table in README.md and README_zh.md, beside the results, too"""
    check: bool = False
    """write nothing: exit 1 if the files are not what the records give"""
    models: tuple[str, ...] = ()
    """models that get a column although they have no runs yet"""
    figures: bool = True
    """draw the figures too (some seconds)"""

    @property
    def runs(self) -> Path:
        return self.results_dir.absolute()

    @property
    def results(self) -> Path:
        """Where tables, page and figures lie."""
        return store.report_folder(self.runs)


def main(options: Options) -> int:
    runs, pictures = options.runs, options.results / "figures"
    if not runs.is_dir():
        raise UserError(f"--results-dir {runs}: there is no such folder: python experiments/run.py makes runs in one.")
    from report import figures  # here, because it loads matplotlib

    records = store.read_all(runs)
    if not records and not any(runs.rglob(store.RECORD)):
        raise UserError(f"--results-dir {runs}: there is no record in it: python experiments/run.py makes one.")
    curves, named = curves_of(records, runs), {name: suite.envs for name, suite in suites().items()}
    report = table.report(records, options.models, named)
    beside = plans.read_all(runs), prompts.read_all(runs)
    drawn = figures.paths(pictures, curves, report, *beside)
    if options.check:
        files = texts(options, report, drawn)
        other = [path for path, text in files.items() if not path.exists() or same(path) != page.portable(text)]
        other += [path for path in drawn if not path.exists()]
        if other:
            again = "python experiments/report.py" + " --readme" * options.readme
            print(f"{_names(other, options)}: not what the records give: run {again}")
            return 1
        print(f"{_names(list(files), options)}: as the {len(records)} records give them")
        return 0
    from training.staleness import stale  # here, because it loads the models

    old = stale(records)
    try:
        made = figures.draw(pictures, curves, report, *beside) if options.figures else []
        files = texts(options, report, drawn, old)
        for path, text in files.items():
            write_text(path, text)
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError(f"{error.filename} cannot be written ({error.strerror}): make room for it there.") from error
    print(files[options.results / "table.md"])
    print(f"{len(records)} records: {_names(list(files), options)} and {len(made)} figures written.")
    if old:
        print(f"{len(old)} of them are stale: {_names([options.results / 'index.html'], options)} says why.")
    return 0


def same(path: Path) -> str:
    """A file as it should be on every machine."""
    return page.portable(path.read_text(encoding="utf-8"))


def texts(
    options: Options,
    report: table.Report,
    drawn: Sequence[Path],
    old: Mapping[str, Sequence[str]] | None = None,
) -> dict[Path, str]:
    """The content of each text file. `drawn` are the figures' files, and `old` the stale records and why."""
    named = {name: suite.envs for name, suite in suites().items()}
    svgs = {path.stem: path.read_text(encoding="utf-8") for path in drawn if path.exists()}
    files = {
        "table.md": markdown.document(report),
        "table.csv": csv_table.long_csv(report.rows),
        "table.tex": latex.document(report.scores),
        "index.html": page.page(report, options.runs, svgs, named, old),
    }
    if measured := prompts.read_all(options.runs):
        files[prompts.PAGE] = prompts.page(measured)
    if planned := plans.read_all(options.runs):
        files[plans.PAGE] = plans.page(planned)
    found = {options.results / name: text for name, text in files.items()}
    numbers = prose.Numbers(report, measured, prose.read_figures())
    explained = options.results / "README.md"
    if explained.exists() and "<!--number:" in (before := explained.read_text(encoding="utf-8")):
        found[explained] = numbers.filled(before, f"{options.results.name}/README.md")
    return found | (readmes(options.results.parent, numbers) if options.readme else {})


def readmes(folder: Path, numbers: prose.Numbers) -> dict[Path, str]:
    """The READMEs of a folder that have the markers of the short table: the table between them, numbers in the prose.

    Of the READMEs one folder below, those that have numbers in their prose.

    Raises:
        UserError: none has.
    """
    files = {}
    for name, words in READMES.items():
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if markdown.BEGIN in before or markdown.END in before:
            after = markdown.between_markers(before, markdown.short(numbers.report, words), name)
            files[path] = numbers.filled(after, name, words.line)
    if not files:
        raise UserError(f"--readme: {folder} has no README.md with the line {markdown.BEGIN}: leave --readme out.")
    for path in sorted(folder.glob("*/README.md")):
        if "<!--number:" in (before := path.read_text(encoding="utf-8")):
            files[path] = numbers.filled(before, f"{path.parent.name}/README.md")
    return files


def _names(paths: Sequence[Path], options: Options) -> str:
    top = options.results.parent
    return ", ".join(path.relative_to(top).as_posix() for path in paths)


def console() -> None:
    """The command `trajectory-report`, and of this file."""
    with exit_on_user_error():
        sys.exit(main(tyro.cli(Options)))


if __name__ == "__main__":
    console()
