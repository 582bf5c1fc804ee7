"""A run's learning curve: curve.csv, one row for each time that something was written down while training.

Columns   update (updates done), seconds (training, all in all), learning_rate, then loss/<name> for each part of the
          loss (loss/total is what was minimised) and return/<target> where episodes were played during training.
          A value that was not measured in a row is empty.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from report.store import Record
from trajectories.atomic import make_folder, sync, write_text
from trajectories.errors import UserError

CURVE = "curve.csv"
LOSS = "loss/"
RETURN = "return/"


def return_column(target_return: float | None) -> str:
    """The column of the mean return of episodes asked for `target_return`: return/3600, or return/any."""
    return f"{RETURN}any" if target_return is None else f"{RETURN}{target_return:g}"


def curve_of(record: Record, runs: Path) -> dict[str, np.ndarray]:
    """The columns of a run's curve; of one that has learnt several data sets, its returns are this record's alone."""
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
    """Rows are appended and flushed one by one, so that a killed run keeps what it had reached.

    A killed run may also leave half a row; it is dropped when the file is opened again. After `truncate_from(update)`
    a continued run appends the very rows that an undisturbed one would have (but for the seconds).
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CURVE
        self.columns: list[str] = []
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            if not text.endswith("\n"):
                write_text(self.path, text[: text.rfind("\n") + 1])
            self.columns = self._rows()[0]

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row, which names its columns; "update" must be among them. A new column widens the file."""
        new = [name for name in row if name not in self.columns]
        if new:
            _, rows = self._rows()
            self.columns += new
            make_folder(self.path.parent)
            self._write(rows)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([_cell(row.get(name)) for name in self.columns])

    def sync(self) -> None:
        """Return when all rows are on the disk: a checkpoint must not outlive the rows before it."""
        if self.path.exists():
            sync(self.path)

    def truncate_from(self, update: int) -> None:
        """Drop the rows at or beyond `update`: a continued run writes them again."""
        if self.path.exists():
            columns, rows = self._rows()
            place = columns.index("update") if rows else 0
            self._write([row for row in rows if int(row[place]) < update])

    def read(self) -> dict[str, np.ndarray]:
        """Each column as (rows,) float64, NaN where nothing was measured; nothing at all without a file.

        Raises:
            UserError: the file is damaged.
        """
        columns, rows = self._rows()
        try:
            table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows], np.float64)
            return dict(zip(columns, table.reshape(len(rows), len(columns)).T, strict=True))
        except ValueError as error:
            raise UserError(f"{self.path}: damaged curve ({error}): restore it, or remove it.") from error

    def _rows(self) -> tuple[list[str], list[list[str]]]:
        if not self.path.exists():
            return [], []
        header, *rows = list(csv.reader(self.path.read_text(encoding="utf-8").splitlines())) or [[]]
        return header, [row + [""] * (len(header) - len(row)) for row in rows]

    def _write(self, rows: list[list[str]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(row + [""] * (len(self.columns) - len(row)) for row in rows)
        write_text(self.path, text.getvalue())


def _cell(value: float | None) -> str:
    """Numbers as Python spells them, which reads back exactly."""
    return "" if value is None else repr(value.item() if isinstance(value, np.generic) else value)
