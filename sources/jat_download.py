"""JAT's files on the Hugging Face hub: listed, then fetched one by one into the cache, each checked by its sha256.

<cache>/jat/metaworld-reach/train-00000-of-00001.parquet ...
"""

import json
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from sources.fetch import FetchError, Published, fetch
from trajectories.atomic import make_once
from trajectories.errors import DatasetError
from trajectories.formats.jat import FILES
from trajectories.formats.whole import is_whole
from trajectories.jat_names import ADDRESS, LISTING
from trajectories.progress import progress

NAME = re.compile(r"train-\d{5}-of-(\d{5})\.parquet")  # of so many files
HASH = re.compile(r"[0-9a-f]{64}")
ENDS = b"PAR1"  # a Parquet file begins and ends with it; before the second stands how long its description is


def folder(cache: Path, configuration: str) -> Path:
    """Where the files of a configuration are kept."""
    return cache / "jat" / configuration


def fetched(cache: Path, configuration: str) -> Path:
    """The folder of a configuration's files, fetched if they are not there yet; test-*.parquet are left out.

    Raises:
        FetchError: there is no network, or the hub does not deliver.
        UserError: the disk is full.
    """
    target = folder(cache, configuration)
    if is_here(target):
        return target
    files = listed(configuration)
    megabytes = sum(known.size or 0 for known in files.values()) / 1e6
    print(f"Fetching {len(files)} files of JAT's {configuration}: {megabytes:,.0f} MB.")
    with progress(len(files), f"JAT's {configuration}", "files") as bar:
        for name, known in files.items():
            get = partial(fetch, [ADDRESS.format(path=f"{configuration}/{name}")], target / name, known)
            make_once(target / name, get, partial(is_whole, check=check_parquet))
            bar.update(1)
    return target


def is_here(target: Path) -> bool:
    """Whether all files are there, and whole: the name of each says how many there are."""
    files = sorted(target.glob(FILES))
    counts = {int(match[1]) for file in files if (match := NAME.fullmatch(file.name))}
    return counts == {len(files)} and all(is_whole(file, check_parquet) for file in files)


def listed(configuration: str) -> dict[str, Published]:
    """The training files of a configuration by name, and what the hub says of each.

    Source   huggingface.co/docs/huggingface.js/hub/interfaces/ListFileEntry

    Raises:
        FetchError: there is no network, or the answer is no list of such files.
    """
    with tempfile.TemporaryDirectory() as place:
        file = fetch([LISTING.format(configuration=configuration)], Path(place) / f"the list of {configuration}")
        try:
            rows = json.loads(file.read_text(encoding="utf-8"))
            named = {str(row["path"]).rpartition("/")[2]: row for row in rows}
            found = {name: _published(row) for name, row in sorted(named.items()) if NAME.fullmatch(name)}
            if not found:
                raise ValueError("it names no files for training")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FetchError(f"JAT's {configuration}", f"the hub's list of files cannot be read: {error}") from error
    return found


def _published(row: dict[str, Any]) -> Published:
    sha256 = str((row.get("lfs") or {}).get("oid"))
    return Published(sha256 if HASH.fullmatch(sha256) else None, int(row["size"]), check_parquet)


def check_parquet(path: Path) -> None:
    """The first and last bytes (parquet.apache.org/docs/file-format).

    Raises:
        DatasetError: it is cut off, or no Parquet file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(max(size - 8, 0))
        description, ends = int.from_bytes(file.read(4), "little"), file.read(4)
    if not begins == ends == ENDS or description > size - 12:
        raise DatasetError(f"{path} is cut off, or no Parquet file: fetch it again.")
