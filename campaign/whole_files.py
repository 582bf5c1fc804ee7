"""A small whole file of each format, and what reads it."""

import gzip
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from backbone.interface import SequenceModel
from campaign import run_files
from sources import export
from sources.description import describe
from sources.loading import Request, load
from training.checkpoint import load_model, load_state, save_model, save_state
from training.registry import find
from training.train import adamw
from trajectories.catalog import environment
from trajectories.formats.dqn_replay import file_name
from trajectories.minari_folders import VARIABLE as MINARI_FOLDER
from trajectories.types import Trajectories

STEPS = 60


def columns() -> dict[str, np.ndarray]:
    """Three episodes of the toy, each cut off by its time limit."""
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(STEPS, 2)).astype("f4"),
        "actions": rng.uniform(-1, 1, (STEPS, 1)).astype("f4"),
        "rewards": rng.normal(size=STEPS).astype("f4"),
        "terminals": np.zeros(STEPS, bool),
        "timeouts": np.arange(1, STEPS + 1) % 20 == 0,
    }


def episodes() -> list[dict[str, np.ndarray]]:
    return [{name: values[start : start + 20] for name, values in columns().items()} for start in (0, 20, 40)]


def hdf5(folder: Path) -> None:
    with h5py.File(folder / "a.hdf5", "w") as file:
        for name, values in columns().items():
            file[name] = values
        file["metadata/algorithm"], file["metadata/iteration"] = "SAC", 3


def pickled(folder: Path) -> None:
    (folder / "a.pkl").write_bytes(pickle.dumps(episodes(), 4))


def dqn_replay(folder: Path) -> None:
    rng = np.random.default_rng(0)
    whole = {
        "observation": rng.integers(0, 255, (30, 84, 84)).astype("u1"),
        "action": rng.integers(0, 4, 30).astype("i4"),
        "reward": rng.integers(-1, 2, 30).astype("f4"),
        "terminal": (np.arange(1, 31) % 10 == 0).astype("u1"),
    }
    names = {file_name(column, 0): values for column, values in whole.items()}
    for name, values in {**names, "add_count_ckpt.0.gz": np.array(30)}.items():
        with gzip.open(folder / name, "wb", 1) as file:
            np.save(file, values)


def minari(folder: Path) -> None:
    hdf5(folder)
    export.to_minari(load(Request("x@toy", path=folder / "a.hdf5", data_dir=folder / "cache")), "a/b-v0", folder)
    (folder / "a.hdf5").unlink()


def minari_alone(folder: Path) -> None:
    """One that says by itself which environment it was recorded in, of gymnasium's."""
    hdf5(folder)
    name = "x@MountainCarContinuous-v0"
    export.to_minari(load(Request(name, path=folder / "a.hdf5", data_dir=folder / "cache")), "a/b-v0", folder)
    (folder / "a.hdf5").unlink()


def arrow(folder: Path) -> None:
    """As Minari writes it: a table an episode, with a row more than there are steps."""
    import pyarrow as pa  # from requirements-extra.txt

    minari(folder)
    data = folder / "a/b-v0/data"
    (data / "main_data.hdf5").unlink()
    metadata = json.loads((data / "metadata.json").read_text())
    (data / "metadata.json").write_text(json.dumps(metadata | {"data_format": "arrow"}))
    for number, episode in enumerate(episodes()):
        columns = {name: np.concatenate([values, values[-1:]]) for name, values in episode.items()}
        columns["terminations"], columns["truncations"] = columns.pop("terminals"), columns.pop("timeouts")
        wide = {name: values.shape[1] for name, values in columns.items() if values.ndim == 2}
        table = pa.table({
            name: pa.FixedSizeListArray.from_arrays(values.ravel(), wide[name]) if name in wide else pa.array(values)
            for name, values in columns.items()
        })  # fmt: skip
        (data / str(number)).mkdir()
        with (
            pa.OSFile(str(data / str(number) / "part-0.arrow"), "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)


def _model() -> Any:
    entry = find("dt")
    return entry.model(entry.config(layers=1, heads=1, width=16, context=4), environment("toy").spec())  # type: ignore[call-arg]


def safetensors(folder: Path) -> None:
    data_file = folder / "data"
    data_file.mkdir()
    hdf5(data_file)
    data = load(Request("x@toy", path=data_file / "a.hdf5", data_dir=folder / "cache"))
    model = _model()
    model.calibrate(data)
    optimizer = adamw(model)
    model.loss(model.sample(data, np.random.default_rng(0)))["total"].backward()
    optimizer.step()
    save_model(folder, "dt", model)
    save_state(folder / "state.safetensors", model, optimizer, {}, {"update": 1, "tokens": 3, "seconds": 0.5})
    (data_file / "a.hdf5").unlink()


def read_checkpoint(folder: Path) -> None:
    model = load_model(folder)
    if isinstance(model, SequenceModel):  # and no other, whatever the card says
        load_state(folder / "state.safetensors", model, adamw(model))


def reads(name: str, source: str, inside: str) -> Callable[[Path], None]:
    """Loads a data set and uses it as a run would."""

    def read(folder: Path) -> None:
        request = Request(name, source, folder / inside, data_dir=folder / "cache")
        data = load(replace(request, replay_steps=20) if source == "dqn-replay" else request)
        check(data)

    return read


def read_minari_alone(folder: Path) -> None:
    """By its id, from Minari's folder; the environment is made as its metadata say."""
    os.environ[MINARI_FOLDER] = str(folder)
    check(load(Request("a/b-v0", data_dir=folder / "cache")))


def check(data: Trajectories) -> None:
    """What was read must be what the rest of the house counts on."""
    lengths = {len(each) for each in (data.observations, data.actions, data.rewards, data.terminated)}
    finite = all(np.isfinite(each).all() for each in (data.observations, data.actions, data.returns_to_go))
    if lengths != {len(data)} or not finite:
        raise AssertionError(f"columns of the lengths {lengths}, finite: {finite}")
    describe(data)
    json.dumps(asdict(data.origin), allow_nan=False)


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "HDF5": (hdf5, reads("x@toy", "auto", "a.hdf5")),
    "pickle": (pickled, reads("x@toy", "auto", "a.pkl")),
    "DQN-replay": (dqn_replay, reads("breakout", "dqn-replay", "")),
    "Minari, HDF5": (minari, reads("x@toy", "minari", "a/b-v0")),
    "Minari, its environment": (minari_alone, read_minari_alone),
    "Minari, Arrow": (arrow, reads("x@toy", "minari", "a/b-v0")),
    "checkpoint": (safetensors, read_checkpoint),
    **run_files.KINDS,
}
