"""A name -> its environment or data set; an unknown name is answered with the nearest known one.

Rows of the catalog (rows.py) have plain names. What has no row is named by what it is made of, so that a record alone
is enough to play it again:

    Hopper-v4                        an environment of gymnasium's, as it ships it (trajectories/foreign.py)
    Hopper-v4?{"frame_skip": 2}      likewise, with options
    mine@Hopper-v4                   the user's own data, and the environment they were recorded in
    D4RL/door/human-v2               a Minari data set; its environment is in its own metadata (minari_folders.py)
    pong?{"sticky_actions": 0.25}    a game of Atari's or Sokoban's with options other than its row's
    mujoco-hopper                    a data set of JAT's, in gymnasium's v4 (jat_names.py)
    mine@coco-captions               the user's own pictures or texts, and how they are laid out (answered.py)
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from trajectories import foreign, minari_folders
from trajectories.answered import LAYOUTS, answered_rows, own_row
from trajectories.errors import DamagedFileError, DatasetError, UserError, did_you_mean
from trajectories.jat_names import MUJOCO
from trajectories.own_names import own_parts
from trajectories.parts import alike
from trajectories.rows import DatasetRow, EnvironmentRow, dataset_rows, environment_rows
from trajectories.unknown import like_minari_id, unknown_dataset, unknown_environment

ADJUSTABLE = ("atari", "sokoban")  # families whose options may be in a name
FOREIGN = re.compile(r"^\S+-v\d+(\?.*)?$", re.DOTALL)  # what environments of gymnasium's are called


def environment(name: str) -> EnvironmentRow:
    """The environment called `name`: a row of the catalog, or one of gymnasium's by its own name.

    Raises:
        UserError: there is none; the message names the nearest ones.
    """
    rows = environment_rows()
    if name in rows:
        return rows[name]
    if FOREIGN.match(name):
        return foreign.environment_row(name)
    game, _, options = name.partition("?")
    if options and game in rows and rows[game].family in ADJUSTABLE:
        return _with_options(rows[game], name)
    raise unknown_environment(name)


def dataset(name: str) -> DatasetRow:
    """The data set called `name`: a row, with or without D4RL's version ("hopper-medium-v2"), or one that has no row.

    Raises:
        UserError: there is none; the message names the nearest ones.
    """
    rows = dataset_rows()
    if name in rows:
        return rows[name]
    if name in answered_rows():
        return answered_rows()[name]
    if name in MUJOCO:
        return DatasetRow(name=name, environment=environment(MUJOCO[name]), format="jat")
    if parts := own_parts(name):
        if parts[1] in LAYOUTS:
            return own_row(name, parts[1])
        return DatasetRow(name=name, environment=environment(parts[1]))
    if "?" in name and (game := name.partition("?")[0]) in rows:
        return replace(rows[game], name=name, environment=environment(name))
    plain, _, version = name.rpartition("-")
    if plain in rows and rows[plain].version == version:
        return rows[plain]
    if not minari_folders.versions(name) and not like_minari_id(name):
        raise unknown_dataset(name, minari_folders.local())
    return DatasetRow(name=name, environment=recorded_in(minari_folders.find(name)), format="minari", minari=name)


def answered_kind(name: str) -> str:
    """pairs or text, where a data set is answered and not played; else "". Any name will do."""
    parts = own_parts(name)
    layout = answered_rows()[name].layout if name in answered_rows() else parts[1] if parts else ""
    return LAYOUTS.get(layout, "")


def environment_names() -> tuple[str, ...]:
    return tuple(environment_rows())


def dataset_names() -> tuple[str, ...]:
    return tuple(dataset_rows())


def recorded_in(folder: Path) -> EnvironmentRow:
    """The environment that recorded the Minari data set in `folder`.

    It is a row of the catalog if the metadata name one, else rebuilt from gymnasium's spec in them. Wrappers are not
    rebuilt: their code is named by the file, and nothing is imported because a file names it.

    Raises:
        DatasetError: the metadata name no environment, or one that shows something else.
        UserError: it cannot be made here.
    """
    metadata = minari_folders.metadata(folder)
    if (row := environment_rows().get(str(metadata.get("environment")))) is not None:  # written by sources/export.py
        return row
    spec = metadata["env_spec"] if isinstance(metadata.get("env_spec"), dict) else {}
    gym_id = str(spec.get("id", ""))
    if not gym_id:
        raise DatasetError(f"{folder} does not say which environment it was recorded in: add --task.")
    if ":" in gym_id:  # the module before a colon would be imported
        raise DatasetError(
            f"{folder} was recorded in {gym_id}, and nothing is imported because a file names it: add --task."
        )
    try:
        options = foreign.differences(gym_id, spec.get("kwargs") or {}, spec.get("max_episode_steps"))
        wrappers = ", ".join(wrapper["name"] for wrapper in spec.get("additional_wrappers") or ())
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFileError(minari_folders.metadata_file(folder), f"its env_spec is none: {error!r:.200}") from error
    if foreign.are_scores(*map(metadata.get, foreign.SCORES)):
        options |= {score: metadata[score] for score in foreign.SCORES}
    try:
        row = environment(foreign.named(gym_id, options))
    except UserError as error:
        raise UserError(
            f"{folder} was recorded in {gym_id}, which cannot be used here ({str(error).rstrip('.')}): add --task "
            f"and an environment that can."
        ) from error
    recorded = minari_folders.observation_layout(folder, metadata)
    if recorded.shape != row.observation_shape or not alike(recorded.kept_apart, row.parts):
        raise DatasetError(
            f"{folder} holds observations of the shape {recorded.shape}, but {gym_id} shows {row.observation_shape}"
            f"{f' without the wrappers {wrappers}' if wrappers else ''}: name another environment with --task."
        )
    return row


SCORED = {"clipped_rewards", "life_loss_ends", "boxes", "pulls", "levels"}  # options that change what can be earned


def _with_options(row: EnvironmentRow, name: str) -> EnvironmentRow:
    """A game with other options than its row's.

    Raises:
        UserError: there is no such option, or it is of another kind.
    """
    _, chosen = foreign.parse(name)
    for key, value in chosen.items():
        usual = row.options.get(key)
        if usual is None or key == "size" or not isinstance(value, type(usual) if usual != 0.0 else float | int):
            family = row.family.capitalize()
            raise UserError(f"{name}: {key} = {value!r} is no option of {family}'s: {did_you_mean(key, row.options)}")
    options = {**row.options, **chosen}
    limit = -(-options["frames"] // options["frame_skip"]) if row.family == "atari" else row.max_episode_steps
    scores: dict[str, Any] = {}
    if any(options[key] != row.options[key] for key in SCORED & set(chosen)):
        scores = {"random_score": 0.0, "expert_score": 100.0, "caveat": foreign.NO_SCORES.format(name, name)}
    return replace(row, name=name, options=options, max_episode_steps=limit, **scores)
