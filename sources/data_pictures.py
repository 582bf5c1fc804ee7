"""A data set as a picture: how finished episodes' returns are spread, how long they are, and both together."""

from pathlib import Path

from sources.data_report import row_of
from trajectories.atomic import atomic_file, disk_errors
from trajectories.errors import UserError
from trajectories.types import Trajectories


def draw(data: Trajectories, file: Path) -> None:
    """Write the picture.

    Raises:
        UserError: the file's name ends in no kind of picture, or the disk is full.
    """
    if file.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--picture {file}: name it .png, .svg or .pdf.")
    from matplotlib.figure import Figure  # without pyplot: nothing is opened, and nothing global is changed

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    spread, lengths, both = figure.subplots(1, 3)
    returns, steps = data.finished_returns, data.lengths[data.finished_episodes]
    spread.hist(returns, 40, color="#4477aa")
    spread.axvline(returns.mean(), color="#cc3311", label=f"mean {returns.mean():.4g}")
    row = row_of(data)
    if row is not None and row.mean_return is not None and data.origin.source != "collected":
        spread.axvline(row.mean_return, color="#000000", ls="--", label=f"D4RL's {row.mean_return:.4g}")
    spread.legend(frameon=False)
    spread.set(xlabel="return", ylabel="episodes")
    lengths.hist(steps, 40, color="#4477aa")
    lengths.set(xlabel="steps of an episode", ylabel="episodes")
    both.plot(steps, returns, ".", ms=2, color="#4477aa", alpha=0.5)
    both.set(xlabel="steps of an episode", ylabel="return")
    for axes in (spread, lengths, both):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{data.origin.name} from {data.origin.source}: {len(data):,} steps in {data.episodes:,} episodes")
    with disk_errors(file.absolute().parent, option="--picture"), atomic_file(file) as fresh:
        figure.savefig(fresh, format=file.suffix[1:], dpi=120)
