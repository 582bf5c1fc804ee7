"""Pairs and texts: fetched by a package manager or given with --path, read once, opened from the column cache."""

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sources import packages
from sources.request import Request
from trajectories import store
from trajectories.answered import SIDE, AnsweredRow
from trajectories.disk import data_folder
from trajectories.errors import DatasetError, UserError
from trajectories.formats import pairs as pair_layouts
from trajectories.formats import text as text_layouts
from trajectories.pairs import Pairs
from trajectories.text import Text
from trajectories.types import Provenance

SOURCE = "package"


def load(request: Request, row: AnsweredRow) -> Pairs | Text:
    """The data set of a row, as memory-mapped columns; its package is fetched where it is not here yet.

    Raises:
        UserError: a source that it does not have, no network, files that cannot be read, a full disk.
    """
    if request.source not in ("auto", SOURCE) or (request.source == SOURCE and request.path):
        raise UserError(f"{row.name} is answered, and comes from its package or from --path: leave --source out.")
    cache = data_folder(request.data_dir)
    if request.path is not None:
        return _read(row, "file", request.path, cache)
    if row.package is None:
        raise UserError(f"{row.name} is data of your own: name their folder with --path.")
    return _read(row, SOURCE, packages.fetched(cache, row), cache)


def _read(row: AnsweredRow, source: str, path: Path, cache: Path) -> Pairs | Text:
    """What a package's file holds, or the user's own files, through the cache."""
    if not path.exists():
        raise DatasetError(f"There is no file {path}: check --path.")
    stamp = store.file_stamp(path) if source == SOURCE else tree_stamp(path)
    spec = replace(row.environment.spec(), name=row.kind)
    details = {"layout": row.layout, "side": SIDE} if row.kind == "pairs" else {"layout": row.layout}
    target = store.place(cache, row.name, source, stamp, spec, details)
    if (data := store.find(target)) is None:
        with store.new_columns(target, stamp) as folder:
            if folder is not None:
                if source == SOURCE:
                    details |= _package_details(row, path)
                    unpacked = folder / "unpacked"
                    packages.unpack(path, unpacked)
                    path = unpacked / row.inside
                origin = Provenance(row.name, source, "", {"file": stamp["path"].rpartition("/")[2], **details})
                store.save(folder, _columns(row, path, origin, folder), stamp)
                shutil.rmtree(folder / "unpacked", ignore_errors=True)
        data = store.load(target)
    kept: Pairs | Text = data
    return kept


def _columns(row: AnsweredRow, path: Path, origin: Provenance, folder: Path) -> Pairs | Text:
    if row.kind == "pairs":
        return pair_layouts.read(row.layout, path, origin, SIDE, folder)
    return text_layouts.read(row.layout, path, origin)


def _package_details(row: AnsweredRow, file: Path) -> dict[str, Any]:
    assert row.package is not None
    other = packages.version(row.package, file)
    details = {"package": str(row.package), "license": row.license}
    return details | ({"caveats": [other]} if other else {})


def tree_stamp(path: Path) -> dict[str, Any]:
    """Path, number, size and latest time of a file, or of all that lies below a folder, which change with it."""
    stats = []
    for each in [path] if path.is_file() else path.rglob("*"):
        with suppress(FileNotFoundError):  # removed meanwhile, or a link to nowhere
            stats.append(each.stat())
    latest = max((each.st_mtime_ns for each in stats), default=0)
    size = sum(each.st_size for each in stats)
    return {"path": str(path.resolve()), "files": len(stats), "size": size, "mtime_ns": latest}


def describe(data: Pairs | Text) -> str:
    """A line about the data, then what was left out."""
    origin = data.origin
    made = ", ".join(str(origin.details[key]) for key in ("package", "license") if key in origin.details)
    lines = [
        f"Data: {origin.name} from {origin.source} ({made or origin.details.get('file', 'memory')}): {amount(data)}."
    ]
    if left_out := origin.details.get("left_out"):
        lines.append(f"      Left out: {', '.join(left_out)}.")
    return "\n".join([*lines, *(f"      Beware: {caveat}" for caveat in origin.details.get("caveats", ()))])


def amount(data: Pairs | Text) -> str:
    """How much there is to learn from, and how much to measure by."""
    if isinstance(data, Text):
        sizes, held_out = data.documents.sizes, data.held_out
        learned, measured = (f"{sizes[part].sum() / 1e6:,.2f} MB in {part.sum():,}" for part in (~held_out, held_out))
        return f"{learned} documents to learn from, {measured} to measure by"
    learned, measured = (
        f"{len(part):,} pairs of {len(set(data.which[part].tolist())):,} pictures"
        for part in (data.learned, data.measured)
    )
    questions, answers = (len(np.unique(column)) for column in (data.questions, data.answers))
    kinds = f"{questions:,} questions, {answers:,} answers" if data.has_questions else f"{answers:,} captions"
    return f"{learned} to learn from, {measured} to measure by; {kinds}"
