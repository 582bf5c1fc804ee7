"""Files of others that are no recordings of steps, read with care: JSON, parquet, and folders of such."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trajectories.errors import DamagedFileError, DatasetError, UserError
from trajectories.formats.limits import check_declared, check_memory

ROWS = 256  # of a parquet file, read at once
PYTHON = 12  # bytes that JSON takes in memory at most, for each of its own


@contextmanager
def damaged(path: Path, reason: str) -> Iterator[None]:
    """Whatever goes wrong at a stranger's file becomes one sentence.

    Raises:
        DamagedFileError: something went wrong.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # of many types, each for another way of being damaged
        raise DamagedFileError(path, f"{reason}: {error!r:.200}") from error


def files_of(path: Path, pattern: str) -> list[Path]:
    """The files of a folder that a pattern means, in alphabetical order; or the file itself.

    Hidden files and folders are left out: what version control and macOS (._NAME) keep beside the files.

    Raises:
        DatasetError: there is none.
    """
    files = [path] if path.is_file() else _matching(path, pattern)
    if not files and not pattern.startswith("**/"):
        files = _matching(path, f"*/{pattern}")  # as in annotations/
    if not files:
        raise DatasetError(f"{path} {'holds' if path.is_dir() else 'is'} no {pattern}: check --path.")
    return files


def _matching(folder: Path, pattern: str) -> list[Path]:
    found = (file for file in folder.glob(pattern) if file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def within(folder: Path, name: Any) -> Path:
    """A file in a folder, by the name that a file from elsewhere gives it.

    Raises:
        DatasetError: the name leads out of the folder.
    """
    path = Path(str(name))
    if path.is_absolute() or ".." in path.parts or "\0" in str(name):
        raise DatasetError(f"A picture is called {str(name)!r:.100}, which leads out of {folder}: correct the file.")
    return folder / path


def read_json(file: Path, content: bytes | None = None) -> Any:
    """What a JSON file holds, or a file within another.

    Raises:
        DatasetError: it is no JSON, or larger than memory.
    """
    if content is None:
        if not file.is_file():
            raise DatasetError(f"There is no file {file}: check --path.")
        check_memory(PYTHON * file.stat().st_size, str(file))
        content = file.read_bytes()
    with damaged(file, "it is no JSON"):
        return json.loads(content)


def parquet_rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """These columns of a parquet file, row by row; a part of the file is in memory at a time.

    Raises:
        UserError: pyarrow is not installed.
        DatasetError: the file is damaged, or has no such columns.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{file} is read by pyarrow: pip install -r requirements-extra.txt.") from error
    with damaged(file, "it is no parquet"), parquet.ParquetFile(file) as opened:
        check_declared(opened.metadata.num_rows, file.stat().st_size, str(file))
        if missing := [name for name in columns if name not in opened.schema_arrow.names]:
            raise DatasetError(
                f"{file} has the columns {', '.join(opened.schema_arrow.names)} and no {missing[0]}: check --path."
            )
        for batch in opened.iter_batches(ROWS, columns=list(columns)):
            batch.validate(full=True)
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
