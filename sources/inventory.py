"""The contents of the cache: D4RL's files, recordings of our own, and the columns of both; counted, never opened."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from sources import dqn_replay_download
from sources.experts.interface import has_expert
from sources.experts.recipes import available
from sources.fetch import PART
from sources.request import CachedSource
from trajectories import jat_names, minari_folders
from trajectories.answered import answered_rows
from trajectories.atomic import file_lock, leftover_of, remove
from trajectories.names import path_name
from trajectories.rows import DatasetRow, dataset_rows

SOURCES = get_args(CachedSource)
# What follows the name in that of an expert's episodes: sources/locate.py
DEMONSTRATED = r"-\d+(-episodes)?(-cut-\d+-after-success)?-seed\d+-[\w-]+\.hdf5"


@dataclass(frozen=True)
class Kept:
    """Something in the cache that belongs to a data set."""

    path: Path
    source: str  # one of SOURCES
    columns: bool = False  # whether it is the memory-mapped form of something else
    unfinished: Path | None = None  # what a killed process was making here

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        files = self.path.rglob("*") if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def remove(self) -> None:
        """Remove it.

        Raises:
            UserError: another process is making it at this moment.
        """
        with file_lock(self.unfinished or self.path, wait=False):
            remove(self.path)


@dataclass(frozen=True)
class Listed:
    """A data set, how it can be had, and what of it is here."""

    name: str
    steps: int | None  # of D4RL's own file, where it is published
    episodes: int | None
    sources: tuple[str, ...]
    kept: tuple[Kept, ...]


def rows(folder: Path, part: str = "", versions: bool = False) -> list[Listed]:
    """Every data set of the catalog whose name contains `part`, then what is answered, and Minari's on this machine."""
    listed = []
    for name, row in dataset_rows().items():
        if part in name and (versions or not name.endswith(("-v0", "-v1"))):
            listed.append(Listed(name, row.steps, row.episodes, sources_of(row), tuple(kept(folder, name))))
    for name in answered_rows():
        if part in name:
            listed.append(Listed(name, None, None, ("package",), tuple(kept(folder, name))))
    for name in minari_folders.local():
        if part in name:
            held = Kept(minari_folders.root() / name, "minari")
            listed.append(Listed(name, None, None, ("minari",), (held, *kept(folder, name))))
    return listed


def kept(folder: Path, name: str) -> list[Kept]:
    """What the cache holds of a data set, and what killed processes left of it there."""
    row, called = dataset_rows().get(name), path_name(name)
    found = _matching(folder / "d4rl" / row.file, "d4rl") if row and row.file else []
    if row and row.format == "dqn_replay":
        found += _matching(dqn_replay_download.folder(folder, row), "dqn-replay")
        found += _matching(folder / "collected" / called, "collected", r"-\d+-seed\d+-\w+")
    if row and (configuration := jat_names.configuration(row)):
        found += _matching(folder / "jat" / configuration, "jat")
    if (answered := answered_rows().get(name)) and answered.package:
        found += _matching(folder / "package" / answered.package.folder, "package")
    for source in ("reroll", "collected"):  # a recording's name: NAME-PHYSICS-STEPS-seedN-POLICY
        found += _matching(folder / source / called, source, r"-(d4rl|gymnasium)-\d+-seed\d+-\w+\.hdf5")
    found += _matching(folder / "collected" / called, "collected", DEMONSTRATED)
    for source in SOURCES:
        columns = _matching(folder / "columns" / f"{called}-{source}", source, r"-[0-9a-f]{16}")
        found += [replace(one, columns=True) for one in columns]
    return found


def _matching(path: Path, source: str, ending: str = "") -> list[Kept]:
    """Files and folders with the name of `path` and then `ending`, finished or not."""
    pattern = re.compile(re.escape(path.name) + ending)
    found = []
    for each in sorted(path.parent.iterdir()) if path.parent.is_dir() else []:
        part = PART.fullmatch(each.name)
        unfinished = each.with_name(part["name"]) if part else leftover_of(each)
        if pattern.fullmatch((unfinished or each).name):
            found.append(Kept(each, source, unfinished=unfinished))
    return found


def sources_of(row: DatasetRow) -> tuple[str, ...]:
    """Where a data set can be had from without a file of one's own."""
    ours = ["collected"] if collectable(row) else []
    if jat_names.configuration(row):
        ours.append("jat")
    if row.format == "dqn_replay":
        return ("dqn-replay", *ours)
    published = ["d4rl"] if row.urls else []
    carries = {"mujoco": ("medium", "expert"), "adroit": ("expert",)}  # qualities whose files hold their policy
    first = row.name.endswith(("-v0", "-v1"))
    rerolled = ["reroll"] if row.quality in carries.get(row.environment.family, ()) and not first else []
    return (*published, *rerolled, *ours, *(["minari"] if row.minari else []))


def collectable(row: DatasetRow) -> bool:
    """Whether policies, players or an expert of ours record the data set here."""
    if not row.collected_steps and not row.collected_episodes:
        return False
    return row.format == "dqn_replay" or has_expert(row.environment) or available(row.env, row.quality)


def other_source(row: DatasetRow) -> str:
    """The next step where a data set cannot be had from the chosen source; the end of a sentence."""
    others = sources_of(row)
    return f"use --source {' or '.join(others)}." if others else "give a file of yours with --path and no --source."
