"""Parquet files in batches of rows, and lists in their columns as arrays: offsets and values, without a loop over rows.

Source   arrow.apache.org/docs/format/Columnar.html, "Variable-size List Layout"
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, UserError
from trajectories.formats.limits import check_declared

NUMBER = 8  # bytes that a value may take


def batches(path: Path, rows: int, columns: list[str] | None = None) -> Iterator[Any]:
    """The rows of a Parquet file, at most so many at once, from one group of rows after the other.

    Args:
        columns: which are read; None: all.

    Raises:
        UserError: pyarrow is not installed.
        DamagedFileError: the file is none, or damaged.
        DatasetError: it declares more values than it can hold.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path} is read by pyarrow: pip install -r requirements-extra.txt.") from error
    try:
        with parquet.ParquetFile(path) as file:
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            values = sum(group.column(place).num_values for group in groups for place in range(group.num_columns))
            check_declared(NUMBER * values, path.stat().st_size, str(path))
            if missing := [name for name in columns or () if name not in file.schema_arrow.names]:
                raise ValueError(f"it has no column {missing[0]}")
            for batch in file.iter_batches(batch_size=rows, columns=columns):
                batch.validate(full=True)
                yield batch
    except UserError:
        raise
    except Exception as error:  # of many types, each for another way of being damaged
        raise DamagedFileError(path, error) from error


def names(path: Path) -> list[str]:
    """The columns of a Parquet file.

    Raises:
        UserError: pyarrow is not installed, or the file is damaged.
    """
    return next((batch.schema.names for batch in batches(path, 1)), [])


def lengths(array: Any) -> np.ndarray:
    """How many values each list of a column holds, (rows,).

    Raises:
        ValueError: it holds no lists, or one is missing.
    """
    import pyarrow

    if array.null_count:
        raise ValueError(f"{array.null_count} lists of a column are missing")
    if pyarrow.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size, np.int64)
    if not (pyarrow.types.is_list(array.type) or pyarrow.types.is_large_list(array.type)):
        raise ValueError(f"a column holds {array.type} where lists belong")
    return array.value_lengths().to_numpy().astype(np.int64)


def values(array: Any) -> np.ndarray:
    """Numbers, or lists of equally many numbers however deep, as an array (rows, ...).

    Raises:
        ValueError: it holds something else, or lists of different lengths.
    """
    import pyarrow

    if pyarrow.types.is_nested(array.type):
        widths = np.unique(lengths(array))
        if len(widths) > 1:
            raise ValueError(f"lists of a column hold {widths[0]} to {widths[-1]} numbers, and all must be as long")
        width = int(widths[0]) if len(widths) else 0
        inner = values(array.flatten())
        return inner.reshape(len(array), width, *inner.shape[1:])
    if array.null_count or not (pyarrow.types.is_primitive(array.type) or pyarrow.types.is_boolean(array.type)):
        raise ValueError(f"a column holds {array.null_count} gaps of {len(array)} values of {array.type}")
    return array.to_numpy(zero_copy_only=False)
