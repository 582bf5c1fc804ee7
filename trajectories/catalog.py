"""Every environment and data set is a row of catalog.toml or atari.toml; an unknown name is answered with the nearest.

A new data set is a row there, not a branch here. A number that no source gives is absent from its row, and None here.

What has no row is named by what it is made of, so that a record alone says how to play it again:

    Hopper-v4                        an environment of gymnasium's, as it ships it (trajectories/foreign.py)
    Hopper-v4?{"frame_skip": 2}      likewise, with options
    mine@Hopper-v4                   a data set of somebody's own, and the environment it belongs to
    D4RL/door/human-v2               a Minari data set; its environment is in its own metadata (formats/minari.py)
    pong?{"sticky_actions": 0.25}    an Atari game with options other than its row's
"""

import itertools
import math
import re
import tomllib
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from trajectories.errors import UserError, did_you_mean
from trajectories.own_names import own_parts
from trajectories.types import Spec
from trajectories.unknown import like_minari_id, unknown_dataset, unknown_environment

FILE = Path(__file__).with_suffix(".toml")
ATARI = FILE.with_name("atari.toml")
CHECKSUMS = FILE.with_name("checksums.toml")
FOREIGN = re.compile(r"^\S+-v\d+(\?.*)?$", re.DOTALL)  # what environments of gymnasium's are called


@dataclass(frozen=True)
class EnvironmentRow:
    """An environment: what it looks like, what to ask of it, and the scores between which it is normalized."""

    name: str
    family: str  # the file environments/<family>.py that plays it
    gym_id: str  # gymnasium's name, or D4RL's; empty where the family needs none
    max_episode_steps: int  # steps
    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]  # () for discrete actions
    target_returns: tuple[float, ...]  # in the environment's units, the highest first; empty: what the data reach
    random_score: float  # mean return of random actions, in the environment's units
    expert_score: float
    return_scale: float = 0.0  # what the Decision Transformer's paper divides returns by; 0: it has no number for it
    actions: int | None = None  # how many discrete actions
    action_low: tuple[
        float, ...
    ] = ()  # where these are not -1 and 1: models act in [-1, 1], files and environments here
    action_high: tuple[float, ...] = ()
    observation_dtype: str = "float32"
    frame_stack: int = 1  # frames that make an observation
    rounded_scores: tuple[float, ...] = ()  # of random actions and of an expert, as a paper rounds them
    trailing_zeros: int = 0  # trailing columns of recorded observations that are zero throughout and are left out
    options: dict[str, Any] = field(
        default_factory=dict
    )  # what the family is to make: a maze, tasks, keyword arguments
    differs: str = ""  # how it differs from the environment that recorded the data; runs print and record it

    @property
    def action_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Lowest and highest actions that it takes, flat; infinite where it has no bounds."""
        size = math.prod(self.action_shape)
        return (self.action_low, self.action_high) if self.action_low else ((-1.0,) * size, (1.0,) * size)

    @property
    def unbounded(self) -> bool:
        """Whether some of its actions have no bounds, so that the data's range must do (trajectories/actions.py)."""
        return any(map(math.isinf, self.action_low + self.action_high))

    @property
    def upstream_physics_only(self) -> bool:
        """Whether it is played in today's physics only, as its package has it, whatever --physics says."""
        return self.family in ("adroit", "atari", "gymnasium", "kitchen", "minigrid")

    def spec(self) -> Spec:
        """What a model is told of this environment."""
        return Spec(
            name=self.name,
            observation_shape=self.observation_shape,
            action_shape=self.action_shape,
            max_episode_steps=self.max_episode_steps,
            actions=self.actions,
            observation_dtype=self.observation_dtype,
            frame_stack=self.frame_stack,
        )


@dataclass(frozen=True)
class DatasetRow:
    """A data set: whose recording it is, where its file lies, and what is published about that file."""

    name: str
    env: str  # the name of its EnvironmentRow
    quality: str = ""  # random, medium, medium-replay, full-replay, medium-expert, expert; human, cloned; or nothing
    version: str = "v2"  # D4RL's, which may follow the name
    collected_steps: int = 0  # steps that `--source collected` records unless told otherwise; 0: it cannot
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
    def environment(self) -> EnvironmentRow:
        return environment(self.env)

    @property
    def caveats(self) -> list[str]:
        """What to beware of in these data."""
        return [text for pattern, text in _tables()["caveats"].items() if fnmatch(self.name, pattern)]

    @property
    def urls(self) -> tuple[str, ...]:
        """D4RL's own server first, then its mirrors; empty where nobody publishes the file."""
        if self.path is None or self.file is None:
            return ()
        return tuple(pattern.format(path=self.path, file=self.file) for pattern in _tables()["d4rl"]["urls"])

    @property
    def size_and_sha256(self) -> tuple[int | None, str | None]:
        """Of D4RL's own file, in bytes and as hexadecimal digits; None where nobody publishes them."""
        return _checksums().get(self.path or "", (None, None))


def environment(name: str) -> EnvironmentRow:
    """The environment called `name`: a row of the catalog, or one of gymnasium's by its own name.

    Raises:
        UserError: there is none; the message names the nearest ones.
    """
    if name not in _environments() and FOREIGN.match(name):
        from trajectories import foreign  # with gymnasium: only where it is asked for

        return foreign.environment_row(name)
    game, _, written = name.partition("?")
    if written and game in _atari()["games"]:
        return _with_options(environment(game), name)
    if name not in _environments():
        raise no_environment(name)
    return EnvironmentRow(name=name, **_frozen_row(_environments()[name]))


def no_environment(name: str) -> UserError:
    """The error about a name that is no environment's, of the catalog or of gymnasium."""
    return unknown_environment(name, _datasets(), _environments())


def dataset(name: str) -> DatasetRow:
    """The data set called `name`: a row, with or without D4RL's version ("hopper-medium-v2"), or one that has no row.

    Raises:
        UserError: there is none; the message names the nearest ones.
    """
    rows = _datasets()
    if name not in rows and (parts := own_parts(name)):
        return DatasetRow(name=name, env=environment(parts[1]).name)
    if "?" in name and (game := name.partition("?")[0]) in rows:
        return replace(dataset(game), name=name, env=environment(name).name)
    plain, _, version = name.rpartition("-")
    if name not in rows and plain in rows and rows[plain].get("version", DatasetRow.version) == version:
        name = plain
    return DatasetRow(name=name, **_frozen_row(rows[name])) if name in rows else _minari_row(name)


def _minari_row(name: str) -> DatasetRow:
    """The row of a Minari data set on this machine, whose metadata name the environment.

    Raises:
        UserError: there is none of that name; the message says what the name is instead, or names the nearest ones.
    """
    from trajectories.formats import minari

    if not minari.versions(name) and not like_minari_id(name, _environments()):
        raise unknown_dataset(name, _datasets(), _environments(), minari.local())
    return DatasetRow(name=name, env=minari.environment_of(minari.find(name)).name, format="minari", minari=name)


def environment_names() -> tuple[str, ...]:
    return tuple(_environments())


def dataset_names() -> tuple[str, ...]:
    return tuple(_datasets())


@cache
def _checksums() -> dict[str, tuple[int, str]]:
    rows = tomllib.loads(CHECKSUMS.read_text(encoding="utf-8"))
    return {path: (size, sha256) for path, (size, sha256) in rows.items()}


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def replay() -> dict[str, Any]:
    """Where DQN-replay's files are and what kzl selects of them: the table [replay] of atari.toml."""
    return dict(_atari()["replay"])


@cache
def _atari() -> dict[str, Any]:
    return tomllib.loads(ATARI.read_text(encoding="utf-8"))


@cache
def _environments() -> dict[str, dict[str, Any]]:
    """Every row of an environment; Atari's games are what they share and what is their own."""
    shared = _atari()["environment"]
    limits = {"max_episode_steps": shared["options"]["frames"] // shared["options"]["frame_skip"]}
    games = {
        game: {**shared, **limits, "gym_id": f"ALE/{_title(game)}-v5", **own} for game, own in _atari()["games"].items()
    }
    return {**_tables()["env"], **games}


def _with_options(row: EnvironmentRow, name: str) -> EnvironmentRow:
    """An Atari game with other options than its row's.

    Raises:
        UserError: there is no such option, or it is of another kind.
    """
    from trajectories.foreign import parse

    _, chosen = parse(name)
    for key, value in chosen.items():
        usual = row.options.get(key)
        if usual is None or key == "size" or not isinstance(value, type(usual) if usual != 0.0 else float | int):
            raise UserError(f"{name}: {key} = {value!r} is no option of Atari's: {did_you_mean(key, row.options)}")
    options = {**row.options, **chosen}
    return replace(row, name=name, options=options, max_episode_steps=options["frames"] // options["frame_skip"])


def _title(game: str) -> str:
    """ms_pacman -> MsPacman, as gymnasium and DQN-replay call it."""
    return "".join(word.capitalize() for word in game.split("_"))


@cache
def _datasets() -> dict[str, dict[str, Any]]:
    """Every row of a data set, those that stand for several spelled out; by environment, the latest versions first."""
    rows = dict(_tables()["dataset"])
    for template in _tables()["rows"]:
        rows |= _spelt_out(template)
    for game in _atari()["games"]:
        shared = _atari()["dataset"]
        path, steps = shared["path"].format(game=_title(game)), _atari()["collected"].get(game, 0)
        rows[game] = {**shared, "env": game, "path": path, "collected_steps": steps}
    order = list(environment_names())

    def place(item: tuple[str, dict[str, Any]]) -> tuple[int, bool]:
        return order.index(item[1]["env"]), item[0].endswith(("-v0", "-v1"))

    return dict(sorted(rows.items(), key=place))


def _spelt_out(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
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


def _frozen_row(row: dict[str, Any]) -> dict[str, Any]:
    return {key: _frozen(key, value) for key, value in row.items()}


REALS = (
    *("target_returns", "return_scale", "random_score", "expert_score", "rounded_scores"),
    *("mean_return", "state_mean", "state_std"),
)


def _frozen(key: str, value: Any) -> Any:
    """TOML's lists as tuples, and whole numbers as floats where the column holds floats."""
    if isinstance(value, list):
        return tuple(_frozen(key, item) for item in value)
    return float(value) if key in REALS else value
