"""Messages about a name of no data set or environment: what it is instead, or the nearest names."""

import re
from collections.abc import Iterable

from trajectories import gym_registry
from trajectories.answered import answered_rows
from trajectories.errors import UserError, did_you_mean
from trajectories.rows import dataset_rows, environment_rows

SHOWN = 4  # data sets of an environment that a sentence lists
OLD_NAMES = re.compile(r"^(walker|hopper|halfcheetah|ant)(2d)?-mixed(-v0)?$")  # before D4RL renamed them
AROUND = re.compile(r"^.*/|(NoFrameskip|Deterministic|-ram)*(-v\d+)?(\?.*)?$")  # all but the word
FILE = re.compile(r"\.(hdf5|h5|hdf|pkl|pickle|npz|npy|arrow|parquet)$", re.IGNORECASE)
VERSION = re.compile(r"-v\d+$")


def unknown_dataset(name: str, minari: Iterable[str]) -> UserError:
    """The error about a name that is no data set's; `minari`: ids of Minari's data sets on this machine."""
    if old := OLD_NAMES.match(name):
        renamed = f"{'walker2d' if old[1] == 'walker' else old[1]}-medium-replay"
        return UserError(
            f"D4RL calls {name} {renamed} now: choose {renamed}-v0, the same file, or the later {renamed}."
        )
    if FILE.search(name):
        return UserError(f"{name} is a file, not a data set: give it with --path, and with --task its environment.")
    if is_environment(name) and VERSION.sub("", name.lower()) not in dataset_rows():
        return UserError(f"{name} is an environment, not a data set: {_data_of(name)}")
    known = [*dataset_rows(), *answered_rows()]
    listed = f"`python experiments/data.py list` shows all {len(known)}."
    return UserError(f"There is no data set called {name!r}: {did_you_mean(name, [*known, *minari], listed)}")


def unknown_environment(name: str) -> UserError:
    """The error about a name that is no environment's, of the catalog's or of gymnasium's."""
    for recorded in (name, VERSION.sub("", name)):
        if row := dataset_rows().get(recorded):
            return UserError(f"{name} is a data set, not an environment: choose its own, {row.env}.")
    if name in answered_rows():
        return UserError(f"{name} has no environment, since it is answered and not played: name it with --env.")
    listed = "name one of gymnasium's, such as Hopper-v4, or a row of trajectories/catalog.toml, such as hopper."
    near = did_you_mean(name, [*environment_rows(), *gym_registry.ids()], listed)
    missing = [package for package in gym_registry.PACKAGES if not gym_registry.registered(package)]
    more = f" {', '.join(missing)} may have it: pip install -r requirements-extra.txt." if missing else ""
    return UserError(f"There is no environment called {name!r}: {near}{more}")


def like_minari_id(name: str) -> bool:
    """Whether an unknown name may be the id of a Minari data set that is not on this machine."""
    return "/" in name and not FILE.search(name) and not is_environment(name)


def is_environment(name: str) -> bool:
    """Whether it names an environment: of the catalog, or of gymnasium, whose names end in a version."""
    return bool(_rows_of(name)) or (bool(VERSION.search(name)) and name in gym_registry.ids())


def _rows_of(name: str) -> list[str]:
    """The catalog's environments that are the one called `name`, whatever its version: Hopper-v5, ALE/Pong-v5."""
    return [env for env, row in environment_rows().items() if name == env or _word(name) == _word(row.gym_id)]


def _word(name: str) -> str:
    """hopper of Hopper-v4, breakout of ALE/Breakout-v5 and of BreakoutNoFrameskip-v4."""
    return AROUND.sub("", name).lower()


def _data_of(name: str) -> str:
    """What to type instead of an environment's name: its data sets, or the user's own file."""
    ours = _rows_of(name)
    recorded = [each for each, row in dataset_rows().items() if row.env in ours and not VERSION.search(each)]
    more = f" and {len(recorded) - SHOWN} more" if len(recorded) > SHOWN else ""
    choose = f"choose {', '.join(recorded[:SHOWN])}{more}, or " if recorded else ""
    task = name if name in gym_registry.ids() else ours[0]
    return f"{choose}give a file of yours with --path FILE --task {task}."
