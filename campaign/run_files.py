"""What runs and users write as text: records, curves, prompts, plans, settings; a whole one of each, what reads it."""

import re
import shutil
import zlib
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from campaign.tally import LONGEST
from experiments import report
from report import plans, prompts, store
from report.curve import CURVE, Curve
from training.grid import plan
from training.provenance import ROOT
from training.settings import parse
from training.suites import find
from trajectory_transformer.config import PLANNER

RUNS = ROOT / "results" / "runs"
RECORDED = ("dt-hopper-medium-reroll-s0", "dt-breakout", "gato-3-tasks")  # what their folders begin with
MODELS, PRESETS = ("bc", "dt", "tt", "gato"), ("default", "smoke", "paper")
SETTINGS = ("presets.toml", "suites.toml")
COLUMNS = "update,seconds,learning_rate,loss/total,return/18\n100,1.5,0.001,0.5,\n200,2.5,0.0005,0.25,3.0\n"


def records(folder: Path) -> None:
    for beginning in RECORDED:
        for path in sorted(RUNS.rglob(store.RECORD)):
            name = path.parent.relative_to(RUNS)
            if str(name).startswith(beginning):
                (folder / name).mkdir(parents=True)
                for file in [path, *path.parent.glob(CURVE)]:
                    shutil.copy(file, folder / name)
                break


def read_records(folder: Path) -> None:
    """All that a report makes of them but for figures; one that is damaged must not keep the others from it."""
    with redirect_stdout(StringIO()) as shown, redirect_stderr(StringIO()) as messages:
        report.main(report.Options(results_dir=folder, figures=False))
    check_messages(messages.getvalue())
    found = re.search(r"^(\d+) records: ", shown.getvalue(), re.MULTILINE)
    if found is None or int(found[1]) < len(RECORDED) - 2:
        raise AssertionError(f"of {len(RECORDED)} records {found and found[1]} are in the report")


def curve(folder: Path) -> None:
    (folder / CURVE).write_text(COLUMNS, encoding="utf-8")


def read_curve(folder: Path) -> None:
    """As a report reads it, and as a run that goes on."""
    written = Curve(folder)
    written.read()
    written.truncate_from(150)
    written.append({"update": 200, "seconds": 1.0, "loss/total": 0.5})
    if written.read()["update"][-1] != 200:
        raise AssertionError("a row is lost")


def prompted(folder: Path) -> None:
    shutil.copy(next(RUNS.glob(f"*/{prompts.PROMPTS}")), folder)


def read_prompts(folder: Path) -> None:
    record = next(RUNS.glob(f"*/{prompts.PROMPTS}")).with_name(store.RECORD)
    read_beside(record, folder / prompts.PROMPTS, lambda runs: prompts.page(prompts.read_all(runs)))


def read_beside(record: Path, file: Path, read: Callable[[Path], object]) -> None:
    """Read a file that lies beside a whole record."""
    run = file.parent / "runs" / "a"
    run.mkdir(parents=True)
    shutil.copy(record, run)
    shutil.copy(file, run)
    with redirect_stderr(StringIO()) as messages:
        read(run.parent)
    shutil.rmtree(run.parent)
    check_messages(messages.getvalue())


def planned(folder: Path) -> None:
    record = store.read_record(planning().parent)
    settings = {name: record.config["model"][name] for name in PLANNER}
    common: dict[str, Any] = {"versions": record.versions, "commit": record.commit, "dirty": record.dirty}
    cells = (
        plans.Planned(
            settings=settings | {"horizon": horizon},
            played=record.evaluations[0],
            seconds=1.5,
            device=record.device,
            threads=record.threads,
            **common,
        )
        for horizon in (2, 3)
    )
    plans.write(folder, plans.Plans(tuple(cells)))


def planning() -> Path:
    """A record of a model that plans."""
    return min(RUNS.glob(f"tt-*/{store.RECORD}"))


def read_plans(folder: Path) -> None:
    """As a page and a figure show them."""

    def read(runs: Path) -> None:
        measured = plans.read_all(runs)
        plans.page(measured)
        plans.points(measured)

    read_beside(planning(), folder / plans.PLANS, read)


def settings(folder: Path) -> None:
    for name in SETTINGS:
        shutil.copy(ROOT / "experiments" / name, folder)


def read_settings(folder: Path) -> None:
    """The settings of a run, its model and preset decided by what is in the file, and the runs of a suite."""
    path, suites = (folder / name for name in SETTINGS)
    number = zlib.crc32(path.read_bytes())
    model, preset = MODELS[number % len(MODELS)], PRESETS[number % len(PRESETS)]
    if (model, preset) == ("gato", "paper"):  # which it does not have
        preset = "79M"
    parse(["--model", model, "--env", "toy-medium", "--preset", preset], path)
    if suites.read_bytes() != (ROOT / "experiments" / suites.name).read_bytes():
        plan(find("smoke", suites))


def check_messages(messages: str) -> None:
    """The message about each file that is left out is one sentence, too."""
    for line in messages.splitlines():
        if len(line) > LONGEST or not line.isprintable():
            raise AssertionError(f"a message of {len(line)} characters")
        if not line.startswith("Left out: "):
            raise AssertionError(f"it says {line[:80]!r}")


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "record": (records, read_records),
    "curve": (curve, read_curve),
    "prompts": (prompted, read_prompts),
    "plans": (planned, read_plans),
    "presets and suites": (settings, read_settings),
}
