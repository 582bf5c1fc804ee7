"""The effect of the planner's settings: one trained Trajectory Transformer under several. plans.json lies beside the
record.

python experiments/plan.py results/runs/<run> --horizon 5 15      # measures a run and writes its plans.json
python experiments/report.py                                      # writes results/plans.md and planner-*.svg
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from report import ablations
from report.ablations import is_number, made_by, mean_and_error
from report.cell_text import Table, Text
from report.checks import COMMIT, MOST, check_evaluation
from report.parsing import require
from report.store import Evaluation, Record, layout, plain
from trajectories.atomic import write_text

PLANS = "plans.json"
PAGE = "plans.md"
PROGRAM = "python experiments/plan.py"
NOT_DECIDING = {"plan_memory"}  # settings that change no plan
NOTES = (
    "One set of weights a run, the first of its own episodes under each setting of the planner; the first line of a "
    "run is its own record. Score: normalized, mean ± standard error over episodes of one seed. Behavior: the "
    "training episodes. Seconds: all episodes, on the machine that played them.",
)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The episodes that were played under one setting of the planner, and what they were played with."""

    settings: dict[str, Any]  # of the planner, all of them
    played: Evaluation
    seconds: float
    device: str
    threads: int
    versions: dict[str, str]
    commit: str
    dirty: bool


@dataclass(frozen=True)
class Plans:
    """One run's weights under several settings of the planner. All else stands in the run's record."""

    cells: tuple[Planned, ...]

    def find(self, settings: Mapping[str, Any], episodes: int) -> Planned | None:
        """What was measured under these settings in so many episodes."""
        key = key_of(settings, episodes)
        return next((each for each in self.cells if key_of(each.settings, len(each.played.returns)) == key), None)


def key_of(settings: Mapping[str, Any], episodes: int) -> tuple[Any, ...]:
    """What makes two measurements of a run the same."""
    return (*sorted((name, value) for name, value in settings.items() if name not in NOT_DECIDING), episodes)


def write(place: Path, plans: Plans) -> Path:
    """Keep it beside the record in `place`, whole or not at all."""
    return write_text(place / PLANS, layout(plain(asdict(plans)), apart="cells"))


def read(place: Path) -> Plans:
    """What lies beside the record in `place`; nothing measured where there is no file.

    Raises:
        UserError: it is damaged.
    """
    path = place / PLANS
    return ablations.read_beside(path, Plans, "plans", check) if path.exists() else Plans(())


def check(plans: Plans) -> None:
    """Raise ValueError at the first thing that is not as it is written here (report/checks.py)."""
    count = len(plans.cells)
    require([("the number of plans.cells", count, count <= MOST, f"at most {MOST:,}")])
    for place, each in enumerate(plans.cells):
        where, episodes = f"plans.cells.{place}", len(each.played.returns)
        require([
            (f"the number of {where}.played.returns", episodes, 1 <= episodes <= MOST, f"1 to {MOST:,}"),
            (f"{where}.commit", each.commit, re.fullmatch(COMMIT, each.commit), "a commit in hexadecimal digits"),
            *((f"a name of {where}.settings", name, re.fullmatch("[a-z_]{1,40}", name), "a setting's name")
              for name in each.settings),
            *((f"{where}.settings.{name}", value, is_number(value), "a number")
              for name, value in each.settings.items()),
        ])  # fmt: skip
        check_evaluation(each.played, episodes, f"{where}.played")
    keys = [key_of(each.settings, len(each.played.returns)) for each in plans.cells]
    require([("the settings of plans.cells", count, len(set(keys)) == count, "each measured once")])


def read_all(root: Path) -> list[tuple[Record, Plans]]:
    """Every run under `root` that was measured so, by name; what is damaged is named on stderr and left out."""
    return ablations.read_all(root, PLANS, read)


def own(record: Record, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the run's own record has for these settings."""
    has = record.config.get("model", {})
    return {name: has[name] if is_number(has.get(name)) else value for name, value in settings.items()}


def lines(record: Record, plans: Plans) -> Iterator[tuple[dict[str, Any], Evaluation, float]]:
    """Settings, episodes and seconds: the run's own, then what was measured since."""
    if plans.cells:
        settings = own(record, plans.cells[0].settings)
        yield settings, record.evaluations[0], record.seconds.get("evaluate", 0.0)
    for each in plans.cells:
        yield each.settings, each.played, each.seconds


def varied(all_settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings that are not the same in all lines."""
    names = [name for name in (all_settings[0] if all_settings else ()) if name not in NOT_DECIDING]
    return [name for name in names if len({settings.get(name) for settings in all_settings}) > 1]


def table(measured: Sequence[tuple[Record, Plans]]) -> Table:
    """A line for each run and setting of the planner, with a column for each option that differs anywhere."""
    every = [(record, *line) for record, plans in measured for line in lines(record, plans)]
    names = varied([settings for _, settings, *_ in every])
    rows = []
    for record, settings, played, seconds in every:
        words = (record.dataset, record.source, str(record.seed), *(shown(settings.get(name)) for name in names))
        numbers = (*ablations.outcome(record, played), ablations.behavior(record), str(len(played.returns)))
        rows.append(tuple(map(Text, (*words, *numbers, f"{seconds:,.0f}"))))
    options = [name.replace("_", " ").capitalize() for name in names]
    header = ("Data set", "Source", "Seed", *options, "Return", "Steps", "Score", "Behavior", "Episodes", "Seconds")
    return Table(title="Plans", notes=NOTES, header=header, rows=tuple(rows), numbers=2)


def points(measured: Sequence[tuple[Record, Plans]]) -> list[tuple[str, int, float, float]]:
    """What a figure shows: for each run and setting its words, the seed, the score and its standard error."""
    every = [(record, *line[:2]) for record, plans in measured for line in lines(record, plans)]
    names = varied([settings for _, settings, _ in every])
    found = []
    for record, settings, played in every:
        score, error = mean_and_error(record, played)
        words = ", ".join(f"{name.replace('_', ' ')} {shown(settings.get(name))}" for name in names)
        found.append((words or "its own settings", record.seed, score, error or 0.0))
    return found


def shown(value: Any) -> str:
    return f"{value:g}" if type(value) is float else str(value)


def command(record: Record, cell: Planned) -> str:
    """What measures a cell again, without paths of one machine."""
    words = ["python", "experiments/plan.py", f"results/runs/{record.name}"]
    for name, value in own(record, cell.settings).items():
        if cell.settings[name] != value:
            words += [f"--{name.replace('_', '-')}", str(cell.settings[name])]
    episodes = len(cell.played.returns)
    words += ["--episodes", str(episodes)] if episodes != record.protocol.episodes else []
    return shlex.join(words)


def page(measured: Sequence[tuple[Record, Plans]]) -> str:
    """results/plans.md."""
    commands = [
        [made_by(record.command, record), *(made_by(command(record, each), each) for each in found.cells)]
        for record, found in measured
    ]
    return ablations.page("The effect of the planner's settings", PLANS, table(measured), commands)
