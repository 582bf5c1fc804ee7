"""Trajectories -> files that others read: Minari's layout, or D4RL's.

    minari   <root>/<id>/data/{metadata.json, main_data.hdf5}, as minari 0.5.4 writes it, without needing it; Minari
             loads it, and so do we (formats/minari.py): back and forth changes nothing
    d4rl     one HDF5 file with D4RL's five columns, which --path takes

What was not recorded cannot be written: Minari wants one observation more than there are actions, and gets the last one
twice. An episode that did not terminate was cut off by its time limit, unless it is not finished.
"""

import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sources.hdf5_writer import new_hdf5
from trajectories import foreign, minari_folders
from trajectories.actions import bounds, stretched
from trajectories.atomic import atomic_directory, atomic_file, disk_errors
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.names import path_name, plain_name
from trajectories.parts import TEXT, Part, to_text, view
from trajectories.progress import progress
from trajectories.rows import EnvironmentRow
from trajectories.types import Spec, Trajectories

MINARI_VERSION = "0.5.4"  # whose layout this is


def minari_id(data: Trajectories) -> str:
    """What a data set of ours is called among Minari's, if not otherwise: hopper-medium/reroll-v0."""
    parts = data.origin.name.partition("@")[0].split("/")
    return "/".join([*map(plain_name, parts), f"{data.origin.source}-v0"])


def to_minari(data: Trajectories, name: str, root: Path | None = None) -> Path:
    """Write a Minari data set; the folder it is in.

    Args:
        name: its id, which ends in a version.
        root: where Minari keeps its data sets, if not where it does.

    Raises:
        UserError: the id has no version, leads out of the folder, or is taken, or the disk is full.
    """
    if not minari_folders.VERSION.search(name):
        raise UserError(f"Minari wants a version in the name {name!r}: call it {name}-v0.")
    if path_name(name) != name:
        raise UserError(
            f"--id {name!r} is no name for a Minari data set: choose letters, digits, - and _, as in my/toy-v0."
        )
    folder = (root or minari_folders.root()) / name
    if folder.exists():
        raise UserError(f"{folder} is there already: choose another --id, or remove it.")
    row = environment(data.spec.name)
    size = 2 * (data.observations.nbytes + data.actions.nbytes + data.rewards.nbytes)
    with disk_errors(folder.parent, size, "--out"), atomic_directory(folder) as fresh:
        (fresh / "data").mkdir()
        _write_episodes(fresh / "data" / "main_data.hdf5", data, row)
        metadata = {
            "total_episodes": data.episodes,
            "total_steps": len(data),
            "data_format": "hdf5",
            "jpeg_encoding": False,
            "observation_space": json.dumps(_observation_space(data)),
            "action_space": json.dumps(_action_space(data.spec, row)),
            **_environment(row),
            "dataset_id": name,
            "minari_version": MINARI_VERSION,
            "description": f"{data.origin.name} from {data.origin.source}, sha256 of its columns {data.origin.digest}",
            "ref_min_score": row.random_score,
            "ref_max_score": row.expert_score,
            **({"clipped_rewards": True} if data.spec.clipped_rewards else {}),
            **({"long_episodes": True} if data.spec.max_episode_steps > row.max_episode_steps else {}),
            "dataset_size": round((fresh / "data" / "main_data.hdf5").stat().st_size / 1e6, 1),
        }
        minari_folders.metadata_file(fresh).write_text(json.dumps(metadata) + "\n", encoding="utf-8")
    return folder


def to_d4rl(data: Trajectories, path: Path) -> Path:
    """Write one HDF5 file in D4RL's layout, where only an unfinished last episode stays unfinished.

    Raises:
        UserError: the file is there already, or the disk is full; or there is no place for an observation's parts.
    """
    if data.spec.parts:
        names = ", ".join(part.name for part in data.spec.parts)
        raise UserError(
            f"D4RL's layout has one array of observations, and {data.origin.name} has {names}: --to minari."
        )
    if path.exists():
        raise UserError(f"{path} is there already: choose another --out, or remove it.")
    size = data.observations.nbytes + data.actions.nbytes + 6 * len(data)
    with disk_errors(path.absolute().parent, size, "--out"), atomic_file(path) as fresh, new_hdf5(fresh) as file:
        file["observations"], file["rewards"], file["terminals"] = data.observations, data.rewards, data.terminated
        file["actions"] = _own_actions(data, environment(data.spec.name))
        marked = np.append(np.ones(data.episodes - 1, bool), data.finished[-1])
        file["timeouts"] = _truncated(data, marked)
    return path


def _truncated(data: Trajectories, finished: np.ndarray) -> np.ndarray:
    """Where an episode that is `finished`, (E,), was cut off by its time limit, (N,)."""
    cut = np.zeros(len(data), bool)
    cut[data.starts[1:] - 1] = finished
    return cut & ~data.terminated


def _write_episodes(path: Path, data: Trajectories, row: EnvironmentRow) -> None:
    truncated = _truncated(data, data.finished)
    with new_hdf5(path, track_order=True) as file, progress(data.episodes, "exporting", "episodes") as bar:
        for number, (start, end) in enumerate(zip(data.starts, data.starts[1:], strict=False)):
            group = file.create_group(f"episode_{number}")
            group.attrs["id"], group.attrs["total_steps"] = number, int(end - start)
            observations = data.observations[start:end]
            columns = {
                **_observations(np.concatenate([observations, observations[-1:]]), data.spec),
                "actions": _own_actions(data, row, slice(start, end)),
                "rewards": data.rewards[start:end],
                "terminations": data.terminated[start:end],
                "truncations": truncated[start:end],
            }
            for name, values in columns.items():
                kind = h5py.string_dtype() if values.dtype == object else None
                group.create_dataset(name, data=values, dtype=kind, chunks=True, maxshape=(None, *values.shape[1:]))
            file.check()
            bar.update(1)


def _observations(rows: np.ndarray, spec: Spec) -> dict[str, np.ndarray]:
    """The columns of an episode's observations by their place in the file; a part of a dictionary is a data set."""
    columns = {}
    for part in spec.parts:
        values = view(rows, spec.parts)[part.name]
        place = "/".join(("observations", *part.path))
        columns[place] = np.array(list(map(to_text, values)), object) if part.kind == "text" else values
    return columns or {"observations": rows}


def _own_actions(data: Trajectories, row: EnvironmentRow, steps: slice = slice(None)) -> np.ndarray:
    """Actions as the environment has them."""
    actions = data.actions[steps]
    return stretched(actions, *bounds(data.spec, row)).astype(np.float32) if row.action_low else actions


def _environment(row: EnvironmentRow) -> dict[str, Any]:
    """Metadata that name the environment: gymnasium's spec where it has one, and the catalog's name."""
    metadata: dict[str, Any] = {}
    if row.family in ("mujoco", "gymnasium", "adroit"):
        metadata["env_spec"] = foreign.spec(row.gym_id, row.options, row.max_episode_steps).to_json()
    return metadata if row.family == "gymnasium" else {**metadata, "environment": row.name}


def _observation_space(data: Trajectories) -> dict[str, Any]:
    spec = data.spec
    if spec.parts:
        return _dictionary({part.path: _part_space(part, data) for part in spec.parts})
    if spec.observation_dtype == "uint8":
        return _box(spec.frame_shape, "uint8", 0, 255)  # of a stack each frame once, as we keep it
    bound = math.inf if spec.observation_dtype == "float32" else 2**31
    return _box(spec.observation_shape, spec.observation_dtype, -bound, bound)


def _dictionary(spaces: dict[tuple[str, ...], dict[str, Any]]) -> dict[str, Any]:
    """Spaces by their paths as nested dictionaries; the only one without a path as it is."""
    if () in spaces:
        return spaces[()]
    inner = {
        key: _dictionary({path[1:]: space for path, space in spaces.items() if path[0] == key})
        for key in dict.fromkeys(path[0] for path in spaces)
    }
    return {"type": "Dict", "subspaces": inner}


def _part_space(part: Part, data: Trajectories) -> dict[str, Any]:
    if part.kind == "text":
        texts = np.unique(view(data.observations, data.spec.parts)[part.name], axis=0)
        characters = "".join(sorted({character for text in texts for character in to_text(text)}))
        return {"type": "Text", "max_length": TEXT, "min_length": 0, "charset": characters or " "}
    if part.shape == () and part.sizes:
        return {"type": "Discrete", "dtype": "int64", "start": 0, "n": part.sizes[0]}
    if part.kind == "float":
        return _box(part.shape, part.dtype, -math.inf, math.inf)
    bound = (-(2**31), 2**31) if part.dtype == "int64" else (0, 255)
    return _box(part.shape, part.dtype, *((0, np.array(part.sizes) - 1) if part.sizes else bound))


def _action_space(spec: Spec, row: EnvironmentRow) -> dict[str, Any]:
    if spec.actions is not None:
        return {"type": "Discrete", "dtype": "int64", "start": 0, "n": spec.actions}
    box = _box(spec.action_shape, "float32", -1.0, 1.0)
    box["low"], box["high"] = (np.reshape(bound, spec.action_shape).tolist() for bound in bounds(spec, row))
    return box


def _box(shape: tuple[int, ...], dtype: str, low: float | int, high: float | int | np.ndarray) -> dict[str, Any]:
    low_and_high = {"low": np.full(shape, low).tolist(), "high": np.full(shape, high).tolist()}
    return {"type": "Box", "dtype": dtype, "shape": list(shape), **low_and_high}
