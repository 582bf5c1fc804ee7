"""One run is one folder: an immutable record.json, a curve.csv, and (not in git) the weights.

    results/runs/<model>-<dataset>-<source>-s<seed>-<the first 8 digits of the configuration's hash>/

One set of weights for several data sets is one folder, too, gato-3-tasks-..., with a folder in it for each data set's
record: what was measured there stands in that data set's row.

Nothing here knows a model or a simulator: a record is JSON in and JSON out, so that results can be read, tabulated and
drawn on any machine that has NumPy.
"""

import hashlib
import json
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, Union, get_args, get_origin

import numpy as np

from trajectories.atomic import make_folder, write_text
from trajectories.errors import UserError

RECORD = "record.json"
FORMAT = 1  # of record.json; a reader refuses what it does not know


@dataclass(frozen=True)
class Protocol:
    """How a run was measured. Two runs whose protocols differ never share a cell of a table."""

    episodes: int
    checkpoint: str  # "last"
    physics: str  # d4rl, gymnasium
    environment: str  # the simulator's own id, "Hopper-v4"
    target_returns: tuple[float, ...]  # all of those asked for; the first is the headline; () if the model asks nothing
    seeds: tuple[int, ...]  # of the evaluation episodes, one each
    random_score: float  # the reference returns between which scores are normalised
    expert_score: float

    def score(self, returns: Any) -> np.ndarray:
        """Returns as normalised scores: 0 the random policy's, 100 the expert's (Fu et al. 2020, arXiv:2004.07219)."""
        return 100 * (np.asarray(returns) - self.random_score) / (self.expert_score - self.random_score)


@dataclass(frozen=True)
class Behaviour:
    """The recorded episodes that a run learnt from."""

    episodes: int
    mean: float  # return
    std: float  # over the episodes
    best: float
    normalised: float  # score of the mean
    quantiles: tuple[float, ...] = ()  # of the returns, at equal steps from 0 to 1: enough to draw their distribution

    @classmethod
    def of(cls, returns: Any, normalised: float) -> "Behaviour":
        """Summarise the episodes' returns, (E,), whose mean scores `normalised`."""
        values = np.asarray(returns, np.float64)
        return cls(
            episodes=len(values),
            mean=float(values.mean()),
            std=float(values.std()),
            best=float(values.max()),
            normalised=float(normalised),
            quantiles=tuple(round(float(value), 3) for value in np.quantile(values, np.linspace(0, 1, 101))),
        )


@dataclass(frozen=True)
class Evaluation:
    """Episodes played by the trained model when asked for one return."""

    target_return: float | None  # None: a model that cannot be asked
    returns: tuple[float, ...]  # raw, one an episode
    lengths: tuple[int, ...]  # steps, one an episode
    normalised: float  # mean score

    @classmethod
    def of(cls, target_return: float | None, returns: Any, lengths: Any, normalised: float) -> "Evaluation":
        """From arrays (E,) as the evaluator has them."""
        return cls(
            target_return=None if target_return is None else float(target_return),
            returns=tuple(float(value) for value in returns),
            lengths=tuple(int(value) for value in lengths),
            normalised=float(normalised),
        )


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything worth knowing of one finished run, as it lies in record.json."""

    model: str  # bc, dt, tt, gato
    dataset: str  # "hopper-medium"
    env: str  # "hopper"
    source: str  # d4rl, reroll, collected, minari
    seed: int
    data: dict[str, Any]  # digest, and whatever else tells where the data come from
    config: dict[str, Any]  # resolved: {"model": {...}, "run": {...}}
    protocol: Protocol
    behaviour: Behaviour
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
    processes: int = 1  # that shared each update's batch
    report: dict[str, Any] = field(default_factory=dict)  # what the model says of its calibration (its bins' audit)
    format: int = FORMAT

    @property
    def digest(self) -> str:
        return str(self.data.get("digest", ""))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The data sets that its weights learnt from: its own, or all of a mixture."""
        names = self.config.get("run", {}).get("env", self.dataset)
        return (names,) if isinstance(names, str) else tuple(names)

    @property
    def column(self) -> str:
        """What a table calls it: the model, and how many tasks its weights serve if these are several."""
        return self.model if len(self.tasks) == 1 else f"{self.model} ({len(self.tasks)} tasks)"

    @property
    def name(self) -> str:
        """Its folder, below results/runs."""
        hashed = config_hash(self.config)
        if len(self.tasks) == 1:
            return run_name(self.model, self.dataset, self.source, self.seed, hashed)
        source = str(self.config["run"]["source"])
        return f"{run_name(self.model, several(self.tasks), source, self.seed, hashed)}/{self.dataset}"


def several(tasks: Sequence[str]) -> str:
    """What the folder of a run calls its data sets."""
    return tasks[0] if len(tasks) == 1 else f"{len(tasks)}-tasks"


def run_name(model: str, dataset: str, source: str, seed: int, config_hash: str) -> str:
    """The folder of a run: the same settings always give the same name."""
    return file_name(f"{model}-{dataset}-{source}-s{seed}-{config_hash[:8]}")


def file_name(text: str) -> str:
    """What may be one: a Minari id has slashes, an environment's options have more."""
    return re.sub(r"[^\w@+.-]+", "-", text)


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
        build(Record, row, "record")
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
        row = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(row, dict) and row.get("format") != FORMAT:
            raise ValueError(f"its format is {row.get('format')!r} and this reader knows {FORMAT}")
        return build(Record, row, "record")
    except FileNotFoundError:
        raise UserError(f"{path}: no such record: the run is unfinished or elsewhere.") from None
    except (ValueError, OSError) as error:
        why = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise UserError(f"{path}: damaged record ({why}): restore it, or remove the folder and run again.") from error


def read_all(root: Path) -> list[Record]:
    """Every finished run under `root`, by name; unfinished ones are left out.

    Raises:
        UserError: a record is damaged, or two folders hold the same run, which would count it twice.
    """
    seen: dict[str, Path] = {}
    records = []
    for path in sorted([*root.glob(f"*/{RECORD}"), *root.glob(f"*/*/{RECORD}")]):
        record = read_record(path.parent)
        if record.name in seen:
            raise UserError(f"{path.parent} and {seen[record.name]} hold the same run: remove the copy.")
        seen[record.name] = path.parent
        records.append(record)
    return sorted(records, key=lambda record: record.name)


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


def build(kind: type, row: Any, where: str) -> Any:
    """A dataclass from JSON, every field checked against its type; ValueError says which one does not fit."""
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not an object")
    known = {each.name: each for each in fields(kind)}
    for name in row:
        if name not in known:
            raise ValueError(f"{where}.{name} is unknown")
    values = {}
    for name, each in known.items():
        if name in row:
            values[name] = _fit(each.type, row[name], f"{where}.{name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}.{name} is missing")
    return kind(**values)


def _fit(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind`: a dataclass, a tuple or dict of them, a number, a string, or None where allowed."""
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _fit(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_fit(get_args(kind)[0], item, where) for item in value)
    if get_origin(kind) is dict and isinstance(value, dict):
        inner = get_args(kind)[1]
        return value if inner is Any else {key: _fit(inner, item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    raise ValueError(f"{where} is {str(value)[:40]!r}, which does not fit")
