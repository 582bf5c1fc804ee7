"""One run is one folder: an immutable record.json, a curve.csv, and (in git of few) the weights.

    results/runs/<model>-<dataset>-<source>-s<seed>-<the first 8 digits of the configuration's hash>/

One set of weights for several data sets is one folder, too, gato-3-tasks-..., with a folder in it for each data set's
record: what was measured there stands in that data set's row.

Nothing here knows a model or a simulator: a record is JSON in and JSON out, so that results can be read, tabulated and
drawn on any machine that has NumPy.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from report import migration
from report.checks import check
from report.parsing import build, read_json
from trajectories.atomic import make_folder, write_text
from trajectories.errors import UserError
from trajectories.names import file_name, plain_name

RECORD = "record.json"
FORMAT = 3  # of record.json; older ones are read, too: 2 has other names of fields (migration.py), 1 no `numerics`


@dataclass(frozen=True)
class Protocol:
    """How a run was measured. Two runs whose protocols differ never share a cell of a table."""

    episodes: int
    checkpoint: str  # "last"
    physics: str  # d4rl, gymnasium
    environment: str  # the simulator's own id, "Hopper-v4"
    target_returns: tuple[float, ...]  # the first is the headline; () if the model takes none
    seeds: tuple[int, ...]  # of the evaluation episodes, one each
    random_score: float  # the reference returns between which scores are normalized
    expert_score: float

    def score(self, returns: Any) -> np.ndarray:
        """Returns as normalized scores: 0 the random policy's, 100 the expert's (Fu et al. 2020, arXiv:2004.07219)."""
        return 100 * (np.asarray(returns) - self.random_score) / (self.expert_score - self.random_score)


@dataclass(frozen=True)
class Behavior:
    """The recorded episodes that a run learned from, but for unfinished ones."""

    episodes: int
    mean: float  # return
    std: float  # over the episodes
    best: float
    normalized: float | None  # score of the mean; None where returns are sums of clipped rewards, and no points
    quantiles: tuple[float, ...] = ()  # of the returns, at equal steps from 0 to 1: enough to draw their distribution

    @classmethod
    def of(cls, returns: Any, normalized: float | None) -> "Behavior":
        """Summarize the episodes' returns, (E,), whose mean scores `normalized`."""
        values = np.asarray(returns, np.float64)
        return cls(
            episodes=len(values),
            mean=float(values.mean()),
            std=float(values.std()),
            best=float(values.max()),
            normalized=None if normalized is None else float(normalized),
            quantiles=tuple(round(float(value), 3) for value in np.quantile(values, np.linspace(0, 1, 101))),
        )

    @property
    def levels(self) -> tuple[tuple[str, float], ...]:
        """What stands beside returns that were played; nothing where the recorded ones are no points."""
        return () if self.normalized is None else (("behavior", self.mean), ("best recorded", self.best))


@dataclass(frozen=True)
class Evaluation:
    """Episodes that the trained model played with one target return."""

    target_return: float | None  # None: the model takes none
    returns: tuple[float, ...]  # raw, one an episode
    lengths: tuple[int, ...]  # steps, one an episode
    normalized: float  # mean score
    success: tuple[bool, ...] = ()  # whether each episode succeeded; () where the environment knows no success

    @classmethod
    def of(
        cls, target_return: float | None, returns: Any, lengths: Any, normalized: float, success: Any = None
    ) -> "Evaluation":
        """From arrays (E,) as the evaluator has them."""
        return cls(
            target_return=None if target_return is None else float(target_return),
            returns=tuple(float(value) for value in returns),
            lengths=tuple(int(value) for value in lengths),
            normalized=float(normalized),
            success=() if success is None else tuple(bool(value) for value in success),
        )

    @property
    def score(self) -> float:
        """What a table shows: the percentage of episodes that succeeded, or else the normalized score."""
        return 100 * sum(self.success) / len(self.success) if self.success else self.normalized


@dataclass(frozen=True, kw_only=True)
class Record:
    """One finished run, as record.json holds it."""

    model: str  # bc, dt, tt, gato
    dataset: str  # "hopper-medium"
    env: str  # "hopper"
    source: str  # d4rl, reroll, collected, minari
    seed: int
    data: dict[str, Any]  # digest, and where the data come from
    config: dict[str, Any]  # resolved: {"model": {...}, "run": {...}}
    protocol: Protocol
    behavior: Behavior
    evaluations: tuple[Evaluation, ...]  # the first is the headline
    parameters: int
    updates: int
    tokens: int  # read while training, padding not counted
    seconds: dict[str, float]  # data, train, evaluate
    peak_memory_mb: float
    device: str
    threads: int
    versions: dict[str, str]
    commit: str
    dirty: bool  # whether the working tree differed from the commit
    command: str = ""  # that makes this run again, without paths of one machine
    preset: str = "default"  # that its settings started from
    processes: int = 1  # that shared each update's batch
    report: dict[str, Any] = field(default_factory=dict)  # what the model says of its calibration (its bins' audit)
    spec: dict[str, Any] = field(default_factory=dict)  # what the environment looks like to a model, where it is known
    family: str = ""  # of the task's environment; "" in records from before it was kept
    references: dict[str, float] = field(default_factory=dict)  # of a random policy and the expert; or what is to beat
    numerics: int = 1  # the model's NUMERICS: below today's, the same command gives other numbers now
    format: int = FORMAT

    @property
    def recorded_success(self) -> float | None:
        """The share of the recorded episodes that succeeded, where the data say so."""
        about = self.data.get("metadata")
        share = about.get("success_rate") if isinstance(about, dict) else None
        return float(share) if isinstance(share, int | float) and 0 <= share <= 1 else None

    @property
    def digest(self) -> str:
        return str(self.data.get("digest", ""))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The data sets that its weights learned from: its own, or all of a mixture."""
        names = self.config.get("run", {}).get("env", self.dataset)
        return (names,) if isinstance(names, str) else tuple(names)

    @cached_property
    def column(self) -> str:
        """What a table calls it: the model, and how many tasks its weights serve if these are several."""
        return self.model if len(self.tasks) == 1 else f"{self.model} ({len(self.tasks)} tasks)"

    @cached_property
    def name(self) -> str:
        """Its folder, below results/runs."""
        hashed = run_hash(self.model, self.config)
        if len(self.tasks) == 1:
            return run_name(self.model, self.dataset, self.source, self.seed, hashed)
        source = str(self.config["run"].get("source", self.source))
        return f"{run_name(self.model, several(self.tasks), source, self.seed, hashed)}/{file_name(self.dataset)}"


def report_folder(runs: Path) -> Path:
    """Where the tables and the page of runs lie: in results/ where they are in results/runs, else beside them."""
    return runs.parent if runs.parts[-2:] == ("results", "runs") else runs


def several(tasks: Sequence[str]) -> str:
    """What the folder of a run calls its data sets."""
    return tasks[0] if len(tasks) == 1 else f"{len(tasks)}-tasks"


def run_name(model: str, dataset: str, source: str, seed: int, hashed: str) -> str:
    """The folder of a run: the same settings always give the same name."""
    return f"{plain_name(f'{model}-{dataset}')}-{plain_name(source)}-s{seed}-{plain_name(hashed[:8])}"


def run_hash(model: str, config: Mapping[str, Any]) -> str:
    """What names the folder of a run: sha256 of its configuration, which renamed and added settings do not change."""
    return config_hash(migration.original(model, plain(config)))


def config_hash(resolved: Mapping[str, Any]) -> str:
    """sha256 of the resolved configuration, whatever the order of its keys."""
    canonical = json.dumps(plain(resolved), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_record(folder: Path, record: Record) -> Path:
    """Finish a run. Written beside and renamed; what is finished is never written again.

    Raises:
        UserError: the folder already holds a record, or this one could not be read again (a number is not finite).
    """
    path = folder / RECORD
    if path.exists():
        raise UserError(f"{path}: this run is finished and its record is never overwritten: remove the folder first.")
    row = plain(asdict(record))
    try:
        _record(row)
        text = layout(row, apart="evaluations")
    except ValueError as error:
        raise UserError(f"{path}: the run is not recorded, because {error}: look at its curve.") from error
    make_folder(folder)
    return write_text(path, text)


def read_record(folder: Path) -> Record:
    """The record of one run.

    Raises:
        UserError: there is none, or it is damaged; the message names the file and what is wrong with it.
    """
    path = folder / RECORD
    try:
        return _record(read_json(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such record: the run is unfinished or elsewhere.") from None
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: damaged record ({why}): restore it, or remove the folder and run again.") from error


def _record(row: Any) -> Record:
    """A record from JSON, checked, and under today's names whenever it was made; ValueError says what is wrong."""
    record: Record = build(Record, row, "record")
    if not 1 <= record.format <= FORMAT:
        raise ValueError(f"its format is {record.format}, and this reader knows 1 to {FORMAT}")
    check(record)
    if "clipped" in str(record.data.get("rewards")):  # earlier records have a score of such sums
        record = replace(record, behavior=replace(record.behavior, normalized=None))
    config, command = migration.current_config(record.model, record.config), migration.current_command(record.command)
    played = replace(record.protocol, physics=migration.current_physics(record.family, record.protocol.physics))
    return replace(record, config=config, command=command, protocol=played, format=FORMAT)


def read_all(root: Path) -> list[Record]:
    """Every finished run under `root`, by name.

    Unfinished runs are left out. So are damaged records and copies of a run, which would count it twice: each is named
    on stderr, and does not stop the others.
    """
    found: dict[str, tuple[Path, Record]] = {}
    for path in sorted([*root.glob(f"*/{RECORD}"), *root.glob(f"*/*/{RECORD}")]):
        try:
            record = read_record(path.parent)
        except UserError as error:
            leave_out(str(error))
            continue
        copies = [found[record.name], (path.parent, record)] if record.name in found else [(path.parent, record)]
        kept, *rest = sorted(copies, key=lambda each: each[0] != root / record.name)
        found[record.name] = kept
        for place, _ in rest:
            leave_out(f"{place}: it is the same run as {kept[0]}: remove the copy.")
    return [record for _, (_, record) in sorted(found.items())]


@cache
def leave_out(why: str) -> None:
    """Say once, on stderr, what is left out of a report or a grid, and why."""
    print(f"Left out: {why}", file=sys.stderr)


def plain(value: Any) -> Any:
    """JSON's own types: what configurations hold beyond them (tuples, paths, NumPy's numbers) has one spelling."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        return [plain(inner) for inner in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value


def layout(row: dict[str, Any], apart: str) -> str:
    """JSON with one key a line, so that a change of it shows as a change of a line; of `apart`, one item a line."""
    lines = []
    for key, value in row.items():
        if key == apart and value:
            inner = ",\n".join(f"    {json.dumps(item, allow_nan=False, ensure_ascii=False)}" for item in value)
            lines.append(f"  {json.dumps(key)}: [\n{inner}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
