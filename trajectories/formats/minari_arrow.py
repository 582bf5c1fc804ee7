"""The arrow layout of Minari's data sets: one table an episode, a row more than there are steps.

Numbers lie in lists of a fixed size, dictionaries in structs. The last row holds the last observation, and padding in
the other columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, UserError
from trajectories.formats import arrow_lists
from trajectories.formats.limits import check_declared
from trajectories.spaces import Layout


def episodes(folder: Path, kind: str, rows: Layout, numbers: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
    """The columns of each episode in turn, D4RL's names.

    Raises:
        UserError: pyarrow is not installed.
        DamagedFileError: an episode is empty or cannot be read.
    """
    for number in numbers:
        parts = sorted((folder / str(number)).glob(f"*.{kind}"))
        if not parts:
            raise DamagedFileError(folder, f"{number} holds no {kind} file")
        try:
            table = _read(parts)
            steps = table.num_rows - 1
            found = {
                "observations": rows.rows(_values(table.column("observations"))),
                "actions": _values(table.column("actions"))[:steps],
                "rewards": _values(table.column("rewards"))[:steps],
                "terminals": _values(table.column("terminations"))[:steps],
                "timeouts": _values(table.column("truncations"))[:steps],
            }
        except UserError:
            raise
        except Exception as error:  # of many types, each for another way of being damaged
            raise DamagedFileError(parts[0], error) from error
        yield found


class Table(Mapping[str, Any]):
    """The columns of an .arrow or .parquet file, by name; each is converted when it is used.

    Raises:
        UserError: pyarrow is not installed.
        DamagedFileError: the file is neither, or (when it is used) a column has gaps or unequal lists.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._converted = path, dict[str, Any]()
        try:
            self._table = _read([path])
        except UserError:
            raise
        except Exception as error:  # of many types, each for another way of being damaged
            raise DamagedFileError(path, error) from error

    def __getitem__(self, name: str) -> Any:
        if name not in self._converted:
            try:
                self._converted[name] = _of_steps_or_episodes(self._table.column(name).combine_chunks())
            except ValueError as error:
                raise DamagedFileError(self._path, f"{name}: {error}") from error
        return self._converted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return len(self._table.column_names)


def _of_steps_or_episodes(array: Any) -> Any:
    """A column of a stranger's table as an array, a dictionary of these, or a list, an array or text a row.

    Raises:
        ValueError: a list is missing, or holds lists of different lengths.
    """
    import pyarrow

    if pyarrow.types.is_struct(array.type):
        return {field.name: _of_steps_or_episodes(array.field(field.name)) for field in array.type}
    if not pyarrow.types.is_nested(array.type):
        return _values(array)
    lengths = set(arrow_lists.lengths(array).tolist())
    if len(lengths) == 1:
        return arrow_lists.values(array)
    return [arrow_lists.values(each.values) for each in array]  # an episode a row


def _read(paths: Sequence[Path]) -> Any:
    """The tables of some files, one behind another. Not by pyarrow.dataset, which damaged files can crash."""
    try:
        from pyarrow import OSFile, concat_tables, ipc, parquet
    except ImportError as error:
        raise UserError(f"{paths[0]} is read by pyarrow: pip install -r requirements-extra.txt.") from error
    tables = []
    for path in paths:
        if path.suffix.lower() == ".parquet":
            check_declared(8 * parquet.read_metadata(path).num_rows, path.stat().st_size, str(path))
            tables.append(parquet.read_table(path))
        else:
            with OSFile(str(path)) as file:
                whole = file.read(6) == b"ARROW1"
                file.seek(0)
                tables.append((ipc.open_file if whole else ipc.open_stream)(file).read_all())
        tables[-1].validate(full=True)
    return concat_tables(tables).combine_chunks()


def _values(column: Any) -> Any:
    """A column as an array, a dictionary of arrays, or a list of strings."""
    import pyarrow

    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    if pyarrow.types.is_struct(array.type):
        return {field.name: _values(array.field(field.name)) for field in array.type}
    if pyarrow.types.is_fixed_size_list(array.type):
        flat = array.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(array), array.type.list_size)
    if pyarrow.types.is_list(array.type) and len(set(array.value_lengths().to_pylist())) == 1:
        return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), -1)
    if pyarrow.types.is_string(array.type):
        return array.to_pylist()
    return array.to_numpy(zero_copy_only=False)
