"""A run's learning curve: curve.csv, one row for each time that something was written down while training.

Columns   update (updates done), seconds (training, all in all), learning_rate, then loss/<name> for each part of the
          loss (loss/total is what was minimized) and return/<target> where episodes were played during training.
          A value that was not measured in a row is empty.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from report.store import Record, leave_out
from trajectories.atomic import make_folder, sync, write_text
from trajectories.errors import UserError

CURVE = "curve.csv"
LOSS = "loss/"
RETURN = "return/"
LARGEST = 1 << 26  # bytes of a file

Curves = Mapping[str, Mapping[str, np.ndarray]]  # by record: the columns of its curve


def return_column(target_return: float | None) -> str:
    """The column of the mean return of episodes with this target return: return/3600, or return/any."""
    return f"{RETURN}any" if target_return is None else f"{RETURN}{target_return:g}"


def curves_of(records: Iterable[Record], runs: Path) -> Curves:
    """The curves of these records; that of a damaged file is empty, and the file is named on stderr."""
    found = {}
    for record in records:
        try:
            curve = curve_of(record, runs)
            found[record.name] = curve if len(curve.get("update", ())) else {}
        except UserError as error:
            leave_out(str(error))
            found[record.name] = {}
    return found


def curve_of(record: Record, runs: Path) -> dict[str, np.ndarray]:
    """The columns of a run's curve; of one that has learned several data sets, its returns are this record's alone.

    Raises:
        UserError: the file is damaged.
    """
    folder = runs / record.name
    if len(record.tasks) == 1:
        return Curve(folder).read()
    table, mine = Curve(folder.parent).read(), f" {record.dataset}"
    return {
        name.removesuffix(mine): column
        for name, column in table.items()
        if not name.startswith(RETURN) or name.endswith(mine)
    }


class Curve:
    """Rows are appended one by one, so that a killed run keeps what it had reached.

    A killed run may also leave half a row; it is not read, and it is dropped when the file is written again. After
    `truncate_from(update)` a continued run appends the very rows that an undisturbed one would have (but for the
    seconds). Reading never writes: another process may be at the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CURVE
        self._columns: list[str] | None = None  # of the file, once it is known to end with a whole row

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row, which names its columns; "update" must be among them. A new column widens the file.

        Raises:
            UserError: the file is damaged.
        """
        if self._columns is None or not set(row) <= set(self._columns):
            columns, rows = self._rows()
            columns += [name for name in row if name not in columns]
            make_folder(self.path.parent)
            self._write(columns, rows)
            self._columns = columns
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([_cell(row.get(name)) for name in self._columns])

    def sync(self) -> None:
        """Return when all rows are on the disk: a checkpoint must not outlive the rows before it."""
        if self.path.exists():
            sync(self.path)

    def truncate_from(self, update: int) -> None:
        """Drop the rows at or beyond `update`: a continued run writes them again.

        Raises:
            UserError: the file is damaged.
        """
        if self.path.exists():
            columns, rows = self._rows()
            kept = [row for row, done in zip(rows, self.read().get("update", ()), strict=True) if done < update]
            self._write(columns, kept)
            self._columns = columns

    def read(self) -> dict[str, np.ndarray]:
        """Each column as (rows,) float64, NaN where nothing was measured; nothing at all without a file.

        Raises:
            UserError: the file is damaged.
        """
        columns, rows = self._rows()
        try:
            table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows], np.float64)
        except ValueError as error:
            raise self._damaged(f"{error}") from None
        found = dict(zip(columns, table.reshape(len(rows), len(columns)).T, strict=True))
        if columns and not np.all(np.diff(found["update"], prepend=-1) > 0):  # nor is it where one is NaN
            raise self._damaged("its updates do not increase")
        return found

    def _rows(self) -> tuple[list[str], list[list[str]]]:
        """The names of the columns, and the whole rows, each as long as these."""
        try:
            if not self.path.exists() or not (size := self.path.stat().st_size):
                return [], []
            if size > LARGEST:
                raise ValueError(f"it has {size:,} bytes, more than {LARGEST:,}")
            text = self.path.read_text(encoding="utf-8")
            header, *rows = list(csv.reader(text.split("\n")[:-1], strict=True)) or [[]]
        except (OSError, ValueError, csv.Error) as error:
            raise self._damaged(str(error.strerror if isinstance(error, OSError) else error)) from None
        if (header or rows) and ("update" not in header or len(set(header)) < len(header)):
            raise self._damaged("its first line does not name its columns")
        if any(len(row) > len(header) for row in rows):
            raise self._damaged("a row has more values than there are columns")
        return header, [row + [""] * (len(header) - len(row)) for row in rows]

    def _write(self, columns: list[str], rows: list[list[str]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(row + [""] * (len(columns) - len(row)) for row in rows)
        write_text(self.path, text.getvalue())

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self.path}: damaged curve ({why:.200}): restore it, or remove it.")


def _cell(value: float | None) -> str:
    """Numbers as Python spells them, which reads back exactly."""
    return "" if value is None else repr(value.item() if isinstance(value, np.generic) else value)
