"""A data set in the lines that a run prints: its size and returns, beside what is published about it."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from trajectories.catalog import dataset
from trajectories.errors import DatasetError, UserError
from trajectories.rows import DatasetRow, dataset_rows
from trajectories.statistics import moments
from trajectories.types import Trajectories

# Published deviations between means of states. D4RL's files of one environment are at most 4.2 from each other, those
# of two environments with the same shapes (halfcheetah, walker2d) at least 10.
FAR = 1.0  # from which on a caveat says that the states are not the published ones
FOREIGN = 8.0  # from which on they are refused as another environment's
TOLERANCE = 0.02  # of a published deviation: what the unfinished last episode, which others drop, may change


def describe(data: Trajectories) -> str:
    """A line about the data, then D4RL's own file where its figures are published, and caveats."""
    origin, returns = data.origin, data.finished_returns
    details = origin.details
    made = ", ".join(f"{key} {details[key]}" for key in ("physics", "seed") if key in details)
    lines = [
        f"Data: {origin.name} from {origin.source} ({made or details.get('file', 'memory')}): {len(data):,} steps in "
        f"{data.episodes:,} episodes{_unfinished(data)}, "
        f"return {returns.mean():.4g} ± {returns.std():.4g}, best {returns.max():.4g}."
    ]
    if read_as := details.get("read_as"):
        lines.append(f"      Read as: {'; '.join(read_as)}.")
    if origin.source != "collected" and (beside := published(data)):
        lines.append(f"      {beside}")
    if data.spec.clipped_rewards:
        lines.append("      Its rewards are clipped to [-1, 1], and its returns are their sums; scores are not.")
    if "after_success" in details:
        cut = details["after_success"]
        lines.append(f"      Its episodes end {cut} steps after they first succeed; those that are played do not.")
    if "actions" in details:
        lines.append(f"      Its actions are {details['actions']}, and back in play.")
    caveats = [*filter(None, [details.get("differs")]), *details.get("caveats", ())]
    away = details.get("against_published", {}).get("mean", 0)
    if away >= FAR:
        caveats.append(f"Its states are not those of D4RL's own file: means are up to {away:.2g} deviations away.")
    if not data.finished.any():
        caveats.append("No episode is finished: all of them count where episodes are ranked or averaged.")
    return "\n".join([*lines, *(f"      Beware: {caveat}" for caveat in caveats)])


def unscored(data: Trajectories) -> str:
    """Why recorded returns have no score; "" where they are what an episode that is played may earn, too."""
    if data.spec.clipped_rewards:
        return "of clipped rewards"
    older = data.origin.source == "jat" and data.spec.name.startswith("metaworld-")  # and of 100 steps
    return "of other episodes or rewards" if older or "after_success" in data.origin.details else ""


def _unfinished(data: Trajectories) -> str:
    """A note on episodes that are not finished, behind the number of all."""
    count = int((~data.finished).sum())
    if count == 1 and data.unfinished_steps:
        return f" (the last one unfinished, {data.unfinished_steps} steps)"
    return f" ({count:,} of them unfinished)" if count else ""


def published(data: Trajectories) -> str:
    """The published figures of D4RL's own file, and the distance of this data's states; "" without any."""
    try:
        row = dataset(data.origin.name)
    except UserError:  # the user's own data
        return ""
    facts = [f"{row.steps:,} steps"] if row.steps else []
    facts += [f"{row.episodes:,} episodes"] if row.episodes else []
    facts += [f"return {row.mean_return:.4g}"] if row.mean_return is not None else []
    if away := data.origin.details.get("against_published"):
        facts.append(
            f"its states' means at most {away['mean']:.2g} deviations from these, "
            f"its deviations at most {away['deviation']:.1%}"
        )
    return f"D4RL's own file, as published: {', '.join(facts)}." if facts else ""


def against_published(data: Trajectories, row: DatasetRow) -> dict[str, Any]:
    """How far the states' statistics are from the published ones, at the worst of S dimensions; {} if none are.

    Returns:
        under "against_published", `mean`: difference of means in published deviations; `deviation`: relative one. Where
        nothing is published of the data set but of another in its environment, that under "against_similar".
    """
    own = row.state_mean is not None
    known = row if own else next((other for other in _published_rows() if other.env == row.env), None)
    if known is None or data.spec.observation_shape != np.array(known.state_mean).shape:
        return {}
    mean, std = moments(data.observations)
    known_mean, known_std = np.array(known.state_mean), np.array(known.state_std)
    away = {"mean": np.abs(mean - known_mean) / known_std, "deviation": np.abs(std / known_std - 1)}
    rounded: dict[str, Any] = {key: round(float(values.max()), 4) for key, values in away.items()}
    return {"against_published": rounded} if own else {"against_similar": {"data_set": known.name, **rounded}}


def compared(data: Trajectories, row: DatasetRow) -> Trajectories:
    """The data with the distance from the published statistics and known problems in their details."""
    details = data.origin.details
    facts = against_published(data, row) if data.origin.source != "collected" else {}
    caveats = [*row.caveats, *details.get("caveats", ())]
    details = {**details, **facts, **({"caveats": caveats} if caveats else {})}
    return replace(data, origin=replace(data.origin, details=details))


def check_environment(data: Trajectories, row: DatasetRow) -> None:
    """Refuse data of another environment with the same shapes. Minari's data name their own environment.

    Raises:
        DatasetError: the states' statistics are that far from those of D4RL's own files.
    """
    details = data.origin.details
    away = _away(details) or _away(against_published(data, row))
    if away.get("mean", 0) < FOREIGN or data.origin.source == "minari":
        return
    mean, _ = moments(data.observations)
    near = [one for one in _published_rows() if np.array(one.state_mean).shape == mean.shape]
    nearest = min(near, key=lambda one: float((np.abs(mean - one.state_mean) / np.array(one.state_std)).max()))
    known, near_to = away.get("data_set", row.name), f" (nearest is {nearest.name})" if nearest.env != row.env else ""
    raise DatasetError(
        f"{details.get('file', data.origin.name)} is hardly a recording of {row.env}: means of its states are up to "
        f"{away['mean']:.3g} deviations from those of {known}{near_to}: name the data set that it belongs to, or add "
        f"--allow-mismatch."
    )


def _away(details: dict[str, Any]) -> dict[str, Any]:
    """What `against_published` found."""
    return details.get("against_published") or details.get("against_similar") or {}


@cache
def _published_rows() -> tuple[DatasetRow, ...]:
    """The data sets whose states' statistics are published."""
    return tuple(row for row in dataset_rows().values() if row.state_mean is not None)


def is_published(data: Trajectories, row: DatasetRow) -> bool:
    """Whether the data are D4RL's own, as far as anything is published."""
    away = against_published(data, row).get("against_published", {})
    right_length = row.steps is None or row.steps == len(data)
    return right_length and all(value <= TOLERANCE for value in away.values())
