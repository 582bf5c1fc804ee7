"""What the cache holds: D4RL's files, recordings of our own, and the columns of both; counted, never opened."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from sources import dqn_replay_download
from sources.experts.recipes import available
from trajectories.catalog import DatasetRow, dataset, dataset_names
from trajectories.formats import minari
from trajectories.names import path_name

SOURCES = ("d4rl", "reroll", "collected", "minari", "dqn-replay", "file")


@dataclass(frozen=True)
class Kept:
    """Something in the cache that belongs to a data set."""

    path: Path
    source: str  # one of SOURCES
    columns: bool  # whether it is the memory-mapped form of something else

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        files = self.path.rglob("*") if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def remove(self) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            self.path.unlink()
            self.path.with_name(f".{self.path.name}.lock").unlink(missing_ok=True)


@dataclass(frozen=True)
class Listed:
    """A data set, how it can be had, and what of it is here."""

    row: DatasetRow
    sources: tuple[str, ...]
    kept: tuple[Kept, ...]


def rows(folder: Path, part: str = "", versions: bool = False) -> list[Listed]:
    """Every data set of the catalog whose name contains `part`, then Minari's on this machine."""
    listed = []
    for name in dataset_names():
        row = dataset(name)
        if part in name and (versions or not name.endswith(("-v0", "-v1"))):
            listed.append(Listed(row, _sources(row), tuple(kept(folder, name))))
    for name in minari.local():
        if part in name:
            row = DatasetRow(name=name, env="", format="minari", minari=name)
            held = Kept(minari.root() / name, "minari", columns=False)
            listed.append(Listed(row, ("minari",), (held, *kept(folder, name))))
    return listed


def kept(folder: Path, name: str) -> list[Kept]:
    """What the cache holds of a data set."""
    found, called = [], path_name(name)
    file = dataset(name).file if name in dataset_names() else None
    if file and (folder / "d4rl" / file).exists():
        found.append(Kept(folder / "d4rl" / file, "d4rl", columns=False))
    if name in dataset_names() and (row := dataset(name)).format == "dqn_replay":
        paths = [dqn_replay_download.folder(folder, row), *sorted((folder / "collected").glob(f"{called}-*-seed*"))]
        sources = ["dqn-replay", *["collected"] * (len(paths) - 1)]
        found += [Kept(path, each, columns=False) for path, each in zip(paths, sources, strict=True) if path.is_dir()]
    for source in ("reroll", "collected"):  # a recording's name: NAME-PHYSICS-STEPS-seedN-POLICY
        for physics in ("d4rl", "gymnasium"):
            paths = sorted((folder / source).glob(f"{called}-{physics}-*-seed*.hdf5"))
            found += [Kept(path, source, columns=False) for path in paths]
    for source in SOURCES:
        columns = folder / "columns" / f"{called}-{source}-"
        keys = columns.parent.glob(f"{columns.name}*") if columns.parent.is_dir() else []
        whole = (path for path in keys if len(path.name) == len(columns.name) + 16)  # a key
        found += [Kept(path, source, columns=True) for path in sorted(whole)]
    return found


def _sources(row: DatasetRow) -> tuple[str, ...]:
    if row.format == "dqn_replay":
        return ("dqn-replay", *(["collected"] if row.collected_steps else []))
    published = ["d4rl"] if row.urls else []
    carries = {"mujoco": ("medium", "expert"), "adroit": ("expert",)}  # qualities whose files hold their policy
    first = row.name.endswith(("-v0", "-v1"))
    rerolled = ["reroll"] if row.quality in carries.get(row.environment.family, ()) and not first else []
    ours = ["collected"] if row.collected_steps and available(row.env, row.quality) else []
    return (*published, *rerolled, *ours, *(["minari"] if row.minari else []))
