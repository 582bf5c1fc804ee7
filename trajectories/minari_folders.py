"""Where Minari keeps its data sets on this machine, and what their metadata say. Their columns: formats/minari.py."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trajectories.disk import home_expanded
from trajectories.errors import DamagedFileError, DatasetError, UserError, did_you_mean
from trajectories.spaces import Layout, layout

VARIABLE = "MINARI_DATASETS_PATH"  # Minari's own
METADATA = "metadata.json"
VERSION = re.compile(r"-v(\d+)$")
JSON = ("observation_space", "action_space", "env_spec")  # what the metadata keep as JSON within JSON


def root() -> Path:
    """Where Minari keeps its data sets on this machine."""
    return home_expanded(os.environ.get(VARIABLE) or "~/.minari/datasets", f"set ${VARIABLE}")


def local(folder: Path | None = None) -> list[str]:
    """The ids of all data sets below `folder`, or else Minari's own folder, in alphabetical order."""
    try:
        folder = folder or root()
    except UserError:  # no home folder, so that nothing is there
        return []
    found = {path.parent for path in folder.glob(f"**/data/{METADATA}")}
    return sorted(str(path.parent.relative_to(folder)) for path in found if path.parent != folder)


def find(name: str, folder: Path | None = None) -> Path:
    """The folder of a data set by its id, of its latest version if the id has none.

    Raises:
        UserError: it is not on this machine.
    """
    folder = folder or root()
    if found := versions(name, folder):
        return folder / max(found, key=lambda one: int((VERSION.search(one) or ["", "-1"])[1]))
    known = local(folder)
    near = f"; or {did_you_mean(name, known, '`python experiments/data.py list` shows those.')}" if known else "."
    raise UserError(f"{name} is not among Minari's data sets in {folder}: minari download {name} fetches it{near}")


def versions(name: str, folder: Path | None = None) -> list[str]:
    """The ids on this machine that a name means: itself, or all its versions where it has none."""
    return [one for one in local(folder) if name in (one, VERSION.sub("", one))]


def folder_of(path: Path) -> Path | None:
    """The folder of the data set that `path` is, or whose folder `data` it is; None for any other path."""
    candidates = (path, path.parent) if path.name == "data" else (path,)
    return next((each for each in candidates if metadata_file(each).is_file()), None)


def metadata_file(folder: Path) -> Path:
    """The file whose size and time change with the data set."""
    return folder / "data" / METADATA


def metadata(folder: Path) -> dict[str, Any]:
    """What Minari wrote about the data set in `folder`.

    Raises:
        DatasetError: there is no data set, or what is written there cannot be read.
    """
    file = metadata_file(folder)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {**content, **{key: json.loads(content[key]) for key in JSON if content.get(key)}}
    except FileNotFoundError:
        raise DatasetError(f"{folder} holds no Minari data set: it has no data/{METADATA}.") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(file, error) from error


def observation_layout(folder: Path, metadata: dict[str, Any]) -> Layout:
    """How the observations of the data set become rows.

    Raises:
        DatasetError: the metadata do not say so, or say nonsense.
    """
    if "observation_space" not in metadata:
        raise DatasetError(f"{folder} does not say what its observations are: write it again with a newer minari.")
    found: Layout = space(folder, metadata, "observation_space", layout)
    return found


def space(folder: Path, metadata: dict[str, Any], name: str, meaning: Callable[[dict[str, Any], Path], Any]) -> Any:
    """What a space of the metadata means.

    Raises:
        DamagedFileError: it is none, but anything else.
    """
    try:
        return meaning(dict(metadata[name]), folder)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise DamagedFileError(metadata_file(folder), f"its {name} is none: {error!r:.200}") from error
