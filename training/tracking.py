"""The curve's rows in a tracker, for those who look at one; curve.csv has them all the same.

tensorboard   event files in the run's folder, tensorboard/
trackio       on this machine only, `trackio show` opens it
wandb         Weights & Biases; with WANDB_MODE=offline in the run's folder only

A tracker calls the run by its folder's name. A continued run goes on in the same one there, and a row that a killed
process had already shown may stand there twice.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from trajectories.errors import UserError

NONE, TENSORBOARD = "none", "tensorboard"
MODULES = {TENSORBOARD: "torch.utils.tensorboard", "trackio": "trackio", "wandb": "wandb"}  # imported where chosen
PROJECT = "trajectory-models"
Log = Callable[[Mapping[str, float]], None]


def tracker(track: str) -> Any:
    """The module of a tracker, None of `none`.

    Raises:
        UserError: it cannot be imported.
    """
    if track == NONE:
        return None
    try:
        return import_module(MODULES[track])
    except ImportError as error:
        raise UserError(f"--track {track}: {error}: pip install {track}, or leave the option out.") from error


@contextmanager
def tracked(track: str, folder: Path, settings: Mapping[str, Any]) -> Iterator[Log]:
    """A function that shows a row of the curve; with `none` it does nothing.

    Args:
        folder: the run's.
        settings: what decides the run, for the tracker's list of runs.

    Raises:
        UserError: the tracker cannot be imported.
    """
    module = tracker(track)
    if module is None:
        yield lambda row: None
    elif track == TENSORBOARD:
        with module.SummaryWriter(folder / TENSORBOARD) as board:
            yield lambda row: each_scalar(board.add_scalar, row)
    else:
        own = {"id": folder.name, "dir": str(folder)} if track == "wandb" else {}
        module.init(project=PROJECT, name=folder.name, config=dict(settings), resume="allow", **own)
        try:
            yield lambda row: module.log(values_of(row), step=int(row["update"]))
        finally:
            module.finish()


def each_scalar(add: Callable[[str, float, int], object], row: Mapping[str, float]) -> None:
    for name, value in values_of(row).items():
        add(name, value, int(row["update"]))


def values_of(row: Mapping[str, float]) -> dict[str, float]:
    """What is shown at an update."""
    return {name: value for name, value in row.items() if name != "update"}
