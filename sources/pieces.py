"""The first steps of D4RL's own files, which the tests read: fetched once into the cache, 5 MB in all.

python experiments/data.py fetch d4rl-pieces
"""

import tomllib
from functools import partial
from pathlib import Path

from sources.fetch import Limits, Published, fetch
from trajectories import rows
from trajectories.atomic import make_once

NAME = "d4rl-pieces"  # of the folder in the cache, and for `data.py fetch`
TABLE = Path(rows.__file__).with_name("pieces.toml")


def fetched(cache: Path, limits: Limits | None = None) -> Path:
    """The folder of the pieces in the cache; those that are missing are fetched.

    Raises:
        FetchError: there is no network, or no address delivers a file of the right sha256.
        UserError: the disk is full.
    """
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    for path, (size, sha256) in table["files"].items():
        file = cache / NAME / path.rpartition("/")[2]
        urls = [url.format(path=path) for url in table["urls"]]
        make_once(file, partial(fetch, urls, file, Published(sha256, size), limits))
    return cache / NAME
