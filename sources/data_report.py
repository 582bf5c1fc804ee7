"""What `data.py` prints of one data set: its numbers."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from environments.scores import normalized
from sources.description import TOLERANCE, against_published, is_published, unscored
from trajectories.catalog import dataset
from trajectories.errors import UserError
from trajectories.parts import to_text, view
from trajectories.rows import DatasetRow
from trajectories.statistics import blocks, extremes, moments
from trajectories.types import Trajectories

BINS, BAR = 12, 40  # of the histogram
NUMBER = 9  # characters of a number
SHOWN = 8  # texts


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of numbers, to the right, as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.rjust, cells, widths)).rstrip() for cells in lines]


def short(number: float) -> str:
    """A number with five digits, or as many as `NUMBER` characters hold."""
    texts = [f"{number:.{digits}g}" for digits in (5, 4, 3, 2, 1)]
    return next((text for text in texts if len(text) <= NUMBER), texts[-1])


def print_summary(data: Trajectories) -> None:
    """Episodes, lengths and returns of finished ones, how these are spread, and what is wrong with the steps."""
    returns, lengths = data.finished_returns, data.lengths[data.finished_episodes]
    quantiles = np.quantile(returns, [0, 0.25, 0.5, 0.75, 1])
    ended = int(data.terminated[data.starts[1:] - 1].sum())
    lines = [
        ("steps", f"{len(data):,}"),
        ("episodes", f"{data.episodes:,}, of which {ended:,} ended by themselves"),
        ("unfinished", f"{(~data.finished).sum():,} episodes, left out of what follows"),
        ("lengths", f"{lengths.mean():.1f} ± {lengths.std():.1f}, {lengths.min()} to {lengths.max()}"),
        ("returns", f"{returns.mean():.5g} ± {returns.std():.4g}{score(data)}"),
        ("quartiles", "  ".join(f"{value:.5g}" for value in quantiles)),
        *success(data),
        ("sha256", data.origin.digest),
        ("not finite", f"{not_finite(data)} numbers"),
        ("duplicates", f"{duplicates(data):,} steps are the same as an earlier one"),
    ]
    for name, text in lines:
        print(f"{name:<10} {text}")
    print("\n".join([*histogram(returns), *texts(data)]))


def success(data: Trajectories) -> list[tuple[str, str]]:
    """A line on how many demonstrations succeeded, where their file says so."""
    rate = data.origin.details.get("metadata", {}).get("success_rate")
    return [("success", f"{rate:.1%} of the episodes")] if isinstance(rate, int | float) else []


def texts(data: Trajectories) -> list[str]:
    """Of each text that is observed how many there are, and those with which episodes begin the most often."""
    lines = []
    for part in data.spec.parts:
        if part.kind == "text":
            first = view(data.observations, data.spec.parts)[part.name][data.starts[:-1]]
            counts = Counter(map(to_text, first))
            longest = max(map(len, counts))
            lines.append(f"{part.name}: {len(counts):,} begin an episode, of up to {longest} characters; the commonest")
            lines += [f"{count:>10,} {text}" for text, count in counts.most_common(SHOWN)]
    return lines


def score(data: Trajectories) -> str:
    """The mean return's, behind it, or why it has none."""
    if reason := unscored(data):
        return f", {reason}"
    return f", normalized {normalized(data.spec.name, data.finished_returns).mean():.1f}"


def histogram(values: np.ndarray) -> list[str]:
    """Lines of a histogram, each with its lower edge, its bar and its count."""
    values = values.astype(np.float64)  # between two of float32 there may be less room than bins
    counts, edges = np.histogram(values, BINS if np.ptp(values) > 0 else 1)
    longest = counts.max()
    return [
        f"{edge:>10.5g} {'█' * round(BAR * count / longest) or ('▏' if count else ''):<{BAR}} {count:,}"
        for edge, count in zip(edges, counts, strict=False)
    ]


def print_dimensions(data: Trajectories) -> None:
    """Range, mean and deviation of every number, the states' beside D4RL's published ones where these are known."""
    row = row_of(data)
    known = row is not None and row.state_mean is not None and data.origin.source != "minari"
    lines = [["", "min", "max", "mean", "std", *(["D4RL mean", "D4RL std", "away"] if known else [])]]
    titles = {}  # of the parts of the table, by the line that they stand above
    for kind, values in (*observed(data).items(), ("action", data.actions), ("reward", data.rewards)):
        mean, std, low, high = statistics(values)
        titles[len(lines)] = kind
        for place in range(len(mean)):
            cells = [short(number) for number in (low[place], high[place], mean[place], std[place])]
            cells[3] = "constant" if low[place] == high[place] else cells[3]
            if known:
                cells += published_cells(row, place, mean[place]) if kind == "observation" else ["", "", ""]
            lines.append([f"  {place}" if len(mean) > 1 else "", *cells])
    for place, line in enumerate(aligned(lines)):
        print(f"{titles[place]}\n{line}" if place in titles else line)
    if known:
        print("away: difference of the means, in D4RL's published deviations")


def observed(data: Trajectories) -> dict[str, np.ndarray]:
    """What has numbers in the observations, by its name: all of them, or each part that is no text."""
    if not data.spec.parts:
        return {"observation": data.observations}
    columns = view(data.observations, data.spec.parts)
    return {f"observation, {part.name}": columns[part.name] for part in data.spec.parts if part.kind != "text"}


def statistics(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean, deviation, smallest and largest of each number of a column, or of an image's pixels together."""
    flat = values.reshape(len(values), -1)
    mean, std = moments(flat, next(blocks(flat)).stop)
    low, high = extremes(flat)
    if values.ndim < 3:
        return mean, std, low, high
    whole = mean.mean()
    deviation = np.sqrt((std**2 + mean**2).mean() - whole**2)
    return tuple(np.array([value]) for value in (whole, deviation, low.min(), high.max()))


def published_cells(row: DatasetRow | None, place: int, mean: float) -> list[str]:
    assert row is not None
    assert row.state_mean is not None
    assert row.state_std is not None
    there, spread = row.state_mean[place], row.state_std[place]
    away = (mean - there) / spread
    return [short(there), short(spread), f"{away:+.3f}" if abs(away) < 100 else f"{away:+.0e}"]


def verdict(data: Trajectories) -> str:
    """Whether the data are what is published, in a sentence."""
    row = row_of(data)
    away = against_published(data, row).get("against_published") if row else None
    if row is None or (away is None and row.steps is None):
        return "Nothing is published about it to compare it with."
    facts = f"means at most {away['mean']:.3g} deviations away, deviations {away['deviation']:.1%}" if away else ""
    steps = f"{len(data):,} steps, published {row.steps:,}" if row.steps else ""
    same = "It is D4RL's own" if is_published(data, row) else "It is not D4RL's own file"
    return f"{same}, as far as is published ({'; '.join(filter(None, (steps, facts)))}; allowed {TOLERANCE})."


def row_of(data: Trajectories) -> DatasetRow | None:
    """The catalog's row; data of one's own and Minari's have none."""
    try:
        return None if {"@", "/"} & set(data.origin.name) else dataset(data.origin.name)
    except UserError:
        return None


def not_finite(data: Trajectories) -> int:
    """How many numbers of the columns are NaN or infinite; block by block, for columns may be larger than memory."""
    columns = [*observed(data).values(), data.actions, data.rewards]
    return sum(
        int(np.count_nonzero(~np.isfinite(column[rows])))
        for column in columns
        if column.dtype.kind == "f"
        for rows in blocks(column)
    )


def duplicates(data: Trajectories) -> int:
    """Steps whose observation, action and reward are all those of an earlier step."""
    draw = np.random.default_rng(0)
    width = sum(4 * -(-column[:1].nbytes // 4) for column in (data.observations, data.actions, data.rewards)) // 4
    weights = draw.integers(1 << 63, size=width, dtype=np.uint64) * 2 + 1
    keys = np.zeros(len(data), np.uint64)  # a hash of each step's bytes
    for rows in blocks(data.observations):
        parts = [column[rows] for column in (data.observations, data.actions, data.rewards)]
        keys[rows] = (np.concatenate([_words(part) for part in parts], 1) * weights).sum(1)
    return len(keys) - len(np.unique(keys))


def _words(values: np.ndarray) -> np.ndarray:
    """Rows as whole numbers of four bytes each, the last one filled up with zeros."""
    raw = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    filled = np.pad(raw, ((0, 0), (0, -raw.shape[1] % 4)))
    return filled.view(np.uint32).astype(np.uint64)
