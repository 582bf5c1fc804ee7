"""The catalog's rows as types: every environment and data set of catalog.toml, atari.toml and families/*.toml.

    families/NAME.toml   [environment] and [dataset] are what its tasks share, [environments.TASK] and [datasets.TASK]
                         their own columns

A new data set is a row there, not a branch here. A number that no source gives is absent from its row, and None here.
"""

import itertools
import math
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from trajectories.parts import Part, row_size
from trajectories.types import ANSWERED, Spec

FILE = Path(__file__).with_name("catalog.toml")
ATARI = FILE.with_name("atari.toml")
FAMILIES = FILE.with_name("families")  # a file each: a family of tasks that an expert records here
MEASURED = FAMILIES / "measured"  # a file each: what its random actions and experts earn (sources/experts/measure.py)
CHECKSUMS = FILE.with_name("checksums.toml")
REALS = (
    *("target_returns", "return_scale", "random_score", "expert_score", "rounded_scores"),
    *("mean_return", "state_mean", "state_std"),
)


@dataclass(frozen=True)
class EnvironmentRow:
    """An environment: its shapes, the target returns to play it at, and the scores between which it is normalized."""

    name: str
    family: str  # the file environments/<family>.py that plays it
    gym_id: str  # gymnasium's name, or D4RL's; empty where the family needs none
    max_episode_steps: int
    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]  # () for discrete actions
    target_returns: tuple[float, ...]  # in the environment's units, the highest first; empty: the best of the data
    random_score: float  # mean return of random actions, in the environment's units
    expert_score: float
    return_scale: float = 0.0  # what the Decision Transformer's paper divides returns by; 0: it has no number for it
    actions: int | None = None  # how many discrete actions
    action_low: tuple[float, ...] = ()  # where these are not -1 and 1: models act in [-1, 1], environments here
    action_high: tuple[float, ...] = ()
    observation_dtype: str = "float32"
    frame_stack: int = 1  # frames that make an observation
    parts: tuple[Part, ...] = ()  # of an observation that is a row of bytes
    rounded_scores: tuple[float, ...] = ()  # of random actions and of an expert, as a paper rounds them
    trailing_zeros: int = 0  # trailing columns of recorded observations that are zero throughout and are left out
    options: dict[str, Any] = field(default_factory=dict)  # for the family: a maze, tasks, keyword arguments
    caveat: str = ""  # how it differs from the environment that recorded the data; runs print and record it

    @property
    def action_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Lowest and highest actions that it takes, flat; infinite where it has no bounds."""
        size = math.prod(self.action_shape)
        return (self.action_low, self.action_high) if self.action_low else ((-1.0,) * size, (1.0,) * size)

    @property
    def has_reference_scores(self) -> bool:
        """Whether the returns of random actions and of an expert are known: 0 and 100 stand where they are not."""
        return (self.random_score, self.expert_score) != (0, 100)

    @property
    def unbounded(self) -> bool:
        """Whether some actions have no bounds, so that the data's range is used instead (trajectories/actions.py)."""
        return any(map(math.isinf, self.action_low + self.action_high))

    @property
    def upstream_physics_only(self) -> bool:
        """Whether it is played in today's physics only, as its package has it, whatever --physics is."""
        return self.family in ("adroit", "atari", "gymnasium", "kitchen", "minigrid", *families(), *ANSWERED)

    def physics(self, chosen: str) -> str:
        """What it is played in where --physics is `chosen`."""
        return "gymnasium" if self.upstream_physics_only else chosen

    def spec(self) -> Spec:
        """This environment as a model sees it."""
        return Spec(
            name=self.name,
            observation_shape=self.observation_shape,
            action_shape=self.action_shape,
            max_episode_steps=self.max_episode_steps,
            actions=self.actions,
            observation_dtype=self.observation_dtype,
            frame_stack=self.frame_stack,
            parts=self.parts,
            kind=self.family if self.family in ANSWERED else "",
        )


@dataclass(frozen=True)
class DatasetRow:
    """A data set: whose recording it is, where its file lies, and what is published about that file."""

    name: str
    environment: EnvironmentRow
    quality: str = ""  # random, medium, medium-replay, full-replay, medium-expert, expert; human, cloned; or nothing
    version: str = "v2"  # D4RL's, which may follow the name
    collected_steps: int = 0  # default number of steps of `--source collected`; 0: it cannot be collected
    collected_episodes: int = 0  # likewise of episodes, where an expert of experts/<family>.py demonstrates the task
    after_success: int | None = None  # a demonstration ends so many steps after it first succeeds; None: it is whole
    file: str | None = None  # D4RL's file name; None: only collected
    path: str | None = None  # where the file lies below D4RL's address, or the files below DQN-replay's
    format: str = "d4rl"  # the file trajectories/formats/<format>.py of what is published
    minari: str | None = None  # the Minari data set that `--source minari` takes
    long_episodes: bool = False  # episodes longer than the environment's own time limit are real
    steps: int | None = None  # the rest: of D4RL's own file
    episodes: int | None = None
    mean_return: float | None = None
    state_mean: tuple[float, ...] | None = None  # (S,)
    state_std: tuple[float, ...] | None = None  # (S,)

    @property
    def env(self) -> str:
        """The name of its environment."""
        return self.environment.name

    @property
    def caveats(self) -> list[str]:
        """Known problems of these data."""
        return [text for pattern, text in _tables()["caveats"].items() if fnmatch(self.name, pattern)]

    @property
    def urls(self) -> tuple[str, ...]:
        """D4RL's own server first, then its mirrors; empty where the file is not published."""
        if self.path is None or self.file is None:
            return ()
        return tuple(pattern.format(path=self.path, file=self.file) for pattern in _tables()["d4rl"]["urls"])

    @property
    def size_and_sha256(self) -> tuple[int | None, str | None]:
        """Of D4RL's own file, in bytes and as hexadecimal digits; None where they are not published."""
        return _checksums().get(self.path or "", (None, None))


@cache
def environment_rows() -> dict[str, EnvironmentRow]:
    """Every environment of the catalog by its name; Atari's games are what they share and what is their own."""
    shared = _atari()["environment"]
    limits = {"max_episode_steps": shared["options"]["frames"] // shared["options"]["frame_skip"]}
    games = {
        game: {**shared, **limits, "gym_id": f"ALE/{_title(game)}-v5", **own} for game, own in _atari()["games"].items()
    }
    tables = {**_tables()["env"], **games}
    for family in families().values():
        for name, own in family["environments"].items():
            tables[name] = _scores(name, family["measured"].get(name, {})) | family["environment"] | own
    return {name: EnvironmentRow(name=name, **_with_parts(_frozen(table))) for name, table in tables.items()}


def _with_parts(table: dict[str, Any]) -> dict[str, Any]:
    """A row whose observations have parts: the row of bytes that these fill."""
    if "parts" not in table:
        return table
    return {**table, "observation_shape": (row_size(table["parts"]),), "observation_dtype": "uint8"}


def _scores(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    """The reference scores of a task: those measured here, unless its row has others."""
    if not measured:
        caveat = f"There are no reference scores of {name}: its normalized scores are its returns."
        return {"target_returns": [], "random_score": 0, "expert_score": 100, "caveat": caveat}
    scores = {"random_score": measured["random_return"], "expert_score": measured["expert_return"]}
    return {"target_returns": [], **scores}


@cache
def families() -> dict[str, dict[str, Any]]:
    """The families of tasks by name: what each family's file says, and what was measured of its tasks."""
    found = {}
    for path in sorted(FAMILIES.glob("*.toml")):
        measured = MEASURED / path.name
        scores = tomllib.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else {}
        family = tomllib.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = {"environment": {}, "environments": {}, "dataset": {}, "datasets": {}, **family}
        found[path.stem]["measured"] = scores
    return found


@cache
def dataset_rows() -> dict[str, DatasetRow]:
    """Every data set of the catalog by its name; in the environments' order, the latest versions first."""
    tables = dict(_tables()["dataset"])
    for template in _tables()["rows"]:
        tables |= _expanded(template)
    for game in _atari()["games"]:
        shared = _atari()["dataset"]
        path, steps = shared["path"].format(game=_title(game)), _atari()["collected"].get(game, 0)
        tables[game] = {**shared, "env": game, "path": path, "collected_steps": steps}
    for family in families().values():
        tables |= {name: {**family["dataset"], **own} for name, own in family["datasets"].items()}
    environments = environment_rows()
    order = list(environments)

    def place(item: tuple[str, dict[str, Any]]) -> tuple[int, bool]:
        return order.index(item[1]["env"]), item[0].endswith(("-v0", "-v1"))

    rows = {}
    for name, table in sorted(tables.items(), key=place):
        own = {key: value for key, value in table.items() if key != "env"}
        rows[name] = DatasetRow(name=name, environment=environments[table["env"]], **_frozen(own))
    return rows


def replay() -> dict[str, Any]:
    """Where DQN-replay's files are and what kzl selects of them: the table [replay] of atari.toml."""
    return dict(_atari()["replay"])


@cache
def _checksums() -> dict[str, tuple[int, str]]:
    rows = tomllib.loads(CHECKSUMS.read_text(encoding="utf-8"))
    return {path: (size, sha256) for path, (size, sha256) in rows.items()}


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


@cache
def _atari() -> dict[str, Any]:
    return tomllib.loads(ATARI.read_text(encoding="utf-8"))


def _title(game: str) -> str:
    """ms_pacman -> MsPacman, as gymnasium and DQN-replay call it."""
    return "".join(word.capitalize() for word in game.split("_"))


def _expanded(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A row for each combination of the lists under `over`."""
    over = template["over"]
    rows = {}
    for values in itertools.product(*over.values()):
        chosen = dict(zip(over, values, strict=True))
        words = chosen | {f"_{key}": value.replace("-", "_") for key, value in chosen.items()}
        row = dict(chosen)
        for key, value in template.items():
            if key != "over":
                row[key] = value.format(**words, file=row.get("file", "")) if isinstance(value, str) else value
        rows[row.pop("name")] = row
    return rows


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    """TOML's lists as tuples, tables of parts as these, and whole numbers as floats where the column holds floats."""

    def frozen(key: str, value: Any) -> Any:
        if key == "parts":
            return tuple(map(Part.from_json, value))
        if isinstance(value, list):
            return tuple(frozen(key, item) for item in value)
        return float(value) if key in REALS else value

    return {key: frozen(key, value) for key, value in table.items()}
