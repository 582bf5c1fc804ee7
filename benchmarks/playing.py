"""Playing against the clock: many episodes together against a few of them one after the other, scaled up to as many."""

from collections.abc import Callable, Mapping, Sequence

from backbone.interface import SequenceModel
from benchmarks.timing import paired
from environments.interface import Environments
from training.evaluate import begin, play


def played(model: SequenceModel, environments: Environments, target: float, seeds: Sequence[int]) -> None:
    """An episode for each seed, as many at once as there are environments, in bf16, as a run does by default."""
    count = environments.count
    for first in range(0, len(seeds), count):
        player = begin(model, count, target, seeds[first], precision="bf16")
        play(player, environments, seeds[first : first + count])


def together(
    what: str,
    ours: Callable[[], object],
    peers: Mapping[str, Callable[[], object]],
    episodes: int,
    steps: int,
    alone: int,
) -> list[dict[str, object]]:
    """A row of the table for each peer, by its name.

    Args:
        ours: plays all `episodes`, each of so many `steps`.
        peers: each plays `alone` of them.
    """
    rows: list[dict[str, object]] = []
    for name, peer in peers.items():
        mine, other, ratio = paired(ours, peer, pairs=3, warm=1)
        scale = episodes / alone
        rows.append(
            {
                "what": f"{what}, against {name}",
                "ours": f"{mine:.2f} s",
                "peer": f"{other * scale:.2f} s",
                "ratio": ratio * scale,
                "note": f"ours together: {mine / episodes / steps * 1e3:.2f} ms a step",
            }
        )
    return rows
