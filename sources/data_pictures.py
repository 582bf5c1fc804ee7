"""A data set as a picture: how finished episodes' returns are spread, how long they are, and both together.

Where observations have parts, a frame stands beside these: a recorded image, or else what the environment draws of the
episode that begins from seed 0.
"""

from pathlib import Path
from textwrap import fill

import numpy as np

from environments.make import make
from sources.data_report import row_of
from trajectories.atomic import atomic_file, disk_errors
from trajectories.errors import UserError
from trajectories.parts import to_text, view
from trajectories.types import Trajectories


def frame(data: Trajectories) -> tuple[np.ndarray, str] | None:
    """An image of observations with parts, (H, W, 3) uint8, and the text beside it; None where nothing can be drawn."""
    parts = data.spec.parts
    rows, what = data.observations[:1], "the first step"
    picture = next((view(rows, parts)[part.name][0] for part in parts if part.kind == "image"), None)
    if parts and picture is None:
        try:
            copies = make(data.spec.name, 1, render_mode="rgb_array")
            rows, what = copies.reset([0]), "the start from seed 0"
            picture = copies.render(0)
            copies.close()
        except UserError:  # its package is missing, or it cannot be drawn here
            return None
    texts = [to_text(view(rows, parts)[part.name][0]) for part in parts if part.kind == "text"]
    return None if picture is None else (picture, ": ".join([what, *texts]))


def draw(data: Trajectories, file: Path) -> None:
    """Write the picture.

    Raises:
        UserError: the file's name ends in no kind of picture, or the disk is full.
    """
    if file.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--picture {file}: name it .png, .svg or .pdf.")
    from matplotlib.figure import Figure  # without pyplot: nothing is opened, and nothing global is changed

    shown = frame(data)
    figure = Figure(figsize=(10 if shown is None else 13.3, 3.2), layout="constrained")
    spread, lengths, both, *last = figure.subplots(1, 3 if shown is None else 4)
    if shown is not None:
        last[0].imshow(shown[0])
        last[0].set_title(fill(shown[1], 40), fontsize="small")
        last[0].set_axis_off()
    returns, steps = data.finished_returns.astype(np.float64), data.lengths[data.finished_episodes]
    spread.hist(returns, 40, color="#0072b2")
    spread.axvline(returns.mean(), color="#d55e00", label=f"mean {returns.mean():.4g}")
    row = row_of(data)
    if row is not None and row.mean_return is not None and data.origin.source != "collected":
        spread.axvline(row.mean_return, color="#000000", ls="--", label=f"D4RL's {row.mean_return:.4g}")
    spread.legend(frameon=False)
    spread.set(xlabel="return", ylabel="episodes")
    lengths.hist(steps, 40, color="#0072b2")
    lengths.set(xlabel="steps of an episode", ylabel="episodes")
    both.plot(steps, returns, ".", ms=2, color="#0072b2", alpha=0.5)
    both.set(xlabel="steps of an episode", ylabel="return")
    for axes in (spread, lengths, both):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{data.origin.name} from {data.origin.source}: {len(data):,} steps in {data.episodes:,} episodes")
    with disk_errors(file.absolute().parent, option="--picture"), atomic_file(file) as fresh:
        figure.savefig(fresh, format=file.suffix[1:], dpi=120)
