"""The curve's rows as TensorBoard scalars, for those who ask for them; curve.csv has them all the same."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trajectories.errors import UserError


@contextmanager
def writer(folder: Path | None) -> Iterator[Callable[[dict[str, float]], None]]:
    """A function that logs a row below `folder`/tensorboard; without a folder it does nothing.

    Raises:
        UserError: TensorBoard cannot be imported.
    """
    if folder is None:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # a second to import, and few ask for it
    except ImportError as error:
        raise UserError(f"--tensorboard: {error}: pip install tensorboard, or leave the option out.") from error
    with SummaryWriter(folder / "tensorboard") as board:

        def log(row: dict[str, float]) -> None:
            for name, value in row.items():
                if name != "update":
                    board.add_scalar(name, value, int(row["update"]))

        yield log
