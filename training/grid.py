"""What a grid is made of: its runs, which of them are done or under way, and how long the rest will take."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from backbone.options import as_option
from report.checks import PROGRAM
from report.curve import Curve
from report.migration import current_config, differences
from report.store import Record, leave_out, plain
from training.run_lock import UNFINISHED, unfinished
from training.settings import Run, Settings, check, flag, parse
from training.suites import Suite
from trajectories.catalog import answered_kind, dataset
from trajectories.errors import UserError
from trajectories.names import file_name


@dataclass(frozen=True)
class Planned:
    """One run of a grid."""

    model: str
    env: str
    seed: int
    arguments: tuple[str, ...]  # of experiments/run.py: all that decides the result
    settings: Settings  # what they mean

    @property
    def name(self) -> str:
        return f"{self.model} {self.env} seed {self.seed}"

    @property
    def file(self) -> str:
        """A file name of its own."""
        return file_name(f"{self.model}-{self.env}-s{self.seed}")

    @property
    def command(self) -> str:
        return f"{PROGRAM} {shlex.join(self.arguments)}"


@dataclass(frozen=True)
class State:
    """How far a planned run is."""

    record: Record | None = None
    updates: int = 0  # of an unfinished one
    seconds: float | None = None  # that it will still take; None: no record is like it

    @property
    def done(self) -> bool:
        return self.record is not None


def plan(suite: Suite, extra: Sequence[str] = ()) -> list[Planned]:
    """Every run of a suite, all models of one seed before the next seed, so that an unfinished grid compares already.

    Args:
        extra: words for every run. {model}, {env}, {seed} and {file} (the data set's file) in them are filled in.

    Raises:
        UserError: a model, data set, preset or option is unknown.
    """
    usual, runs = Run(), []
    parsed: dict[tuple[str, ...], Settings] = {}  # by the words, without the seed
    for seed in suite.seeds:
        for env in suite.envs:
            for model in suite.models:
                words = ["--model", model, "--env", env, "--seed", str(seed)]
                words += ["--source", suite.source] * (suite.source != usual.source and not answered_kind(env))
                words += ["--preset", suite.preset] * (suite.preset != usual.preset)
                for name, value in suite.options.get(model, {}).items():
                    words += flag(name, as_option(value))
                words += filled(extra, model=model, env=env, seed=str(seed), file=str(dataset(env).file))
                without = tuple(word for place, word in enumerate(words) if place not in (4, 5))
                if without in parsed and not any(word.startswith("--seed") for word in without):
                    settings = replace(parsed[without], run=replace(parsed[without].run, seed=seed))
                    check(settings)
                else:  # which refuses what it does not know before anything is run
                    settings = parsed[without] = parse(words)
                runs.append(Planned(model, env, seed, tuple(words), settings))
    return runs


def filled(words: Sequence[str], **values: str) -> list[str]:
    """The words with {name} replaced by its value; other braces are left alone."""
    made = []
    for word in words:
        for name, value in values.items():
            word = word.replace(f"{{{name}}}", value)
        made.append(word)
    return made


def states(runs: Sequence[Planned], records: Sequence[Record], folder: Path) -> list[State]:
    """How far each run is, by the records that there are and the unfinished runs in `folder`."""
    begun = {path.parent: config_of(path.parent) for path in folder.glob(f"*/{UNFINISHED}")}
    return [state(run, records, begun) for run in runs]


def config_of(place: Path) -> Mapping[str, Any]:
    """The settings of an unfinished run, under today's names; none where its file does not say them."""
    config = unfinished(place).get("config")
    if not isinstance(config, dict) or not all(isinstance(config.get(part), dict) for part in ("model", "run")):
        return {}
    return current_config(str(config["run"].get("model")), config)


def state(run: Planned, records: Sequence[Record], begun: Mapping[Path, Mapping[str, Any]]) -> State:
    resolved = plain(run.settings.resolved())
    played = dataset(run.env).environment
    resolved["run"]["physics"] = played.physics(resolved["run"]["physics"])
    usual = played.target_returns
    for record in records:
        if (
            record.model == resolved["run"]["model"]
            and len(record.tasks) == 1
            and matches(resolved, record.config, usual)
        ):
            return State(record)
    whole = estimate(run, records)
    for place, config in begun.items():
        if config and matches(resolved, config, usual):
            updates = updates_of(place)
            share = 1 - updates / max(1, run.settings.run.updates)
            return State(None, updates, None if whole is None else whole * share)
    return State(None, 0, whole)


def updates_of(place: Path) -> int:
    """How far an unfinished run is, by its curve; a damaged one is named on stderr."""
    try:
        return int(max(Curve(place).read().get("update", ()), default=0))
    except UserError as error:
        leave_out(str(error))
        return 0


def matches(planned: Mapping[str, Any], config: Mapping[str, Any], usual: Sequence[float] = ()) -> bool:
    """Whether a run with `config` is the `planned` one. `auto` never means rerolled data.

    Args:
        usual: the environment's target returns, which a model that takes some is measured with where none are planned.
    """
    had = config.get("run", {}).get("target_returns")
    if had and usual and not planned["run"]["target_returns"] and list(had) != list(usual):
        return False
    sources = [settings.get("run", {}).get("source") for settings in (planned, config)]
    return sources != ["auto", "reroll"] and next(differences(planned, config), None) is None


def estimate(run: Planned, records: Sequence[Record]) -> float | None:
    """Seconds, by the runs that are most like it: the same model, if possible in the same size and environment."""
    planned = plain(run.settings.resolved()["model"])
    alike: dict[tuple[bool, bool], list[Record]] = {}
    for record in records:
        if record.model == run.settings.run.model:
            same_size = next(differences({"model": planned, "run": {}}, record.config), None) is None
            alike.setdefault((same_size, record.dataset == run.env), []).append(record)
    return median(estimate_seconds(run, record) for record in alike[max(alike)]) if alike else None


def estimate_seconds(run: Planned, record: Record) -> float:
    """What `run` would take if its updates and its episodes took as long as the record's."""
    planned, seconds = run.settings.run, record.seconds
    played = sum(len(each.returns) for each in record.evaluations)
    targets = len(planned.target_returns or record.protocol.target_returns) or 1
    training = seconds.get("train", 0.0) * (planned.updates / record.updates if record.updates else 1)
    return training + seconds.get("evaluate", 0.0) * planned.episodes * targets / max(1, played)


def duration(seconds: float | None) -> str:
    """For people: 40 s, 12 min, 3 h 20 min, 2 days."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"
