"""Which of a data set's recorded episodes a run learns from, and what is done to them."""

from sources.description import unscored
from training.settings import Run
from trajectories.catalog import dataset
from trajectories.errors import UserError
from trajectories.mixture import Task
from trajectories.types import Trajectories


def select(data: Task, run: Run, name: str) -> Task:
    """The data as the run learns from them; a line is printed for every choice among their episodes.

    Args:
        name: of the data set, for messages.

    Raises:
        UserError: something is chosen that cannot be done to these data, or no episode is left.
    """
    if run.fraction_of_expert:
        data = good_enough(data, run, name)
    if not isinstance(data, Trajectories):
        check_untreated(run, name)
        return data
    if run.fraction_best < 1:
        data = data.best(run.fraction_best)
        print(f"Of these, the best {size(data)} are used for training.")
    if run.demonstrations:
        data = data.drawn(run.demonstrations, run.data_seed)
        print(f"Of these, {size(data)} are used for training.")
    return data.delayed() if run.delayed_reward else data


def good_enough(data: Task, run: Run, name: str) -> Task:
    """The episodes that earn this share of the expert's return, as Gato's paper chooses its own.

    Returns may be negative, so that the share is of the way from random actions to the expert. Where a run has several
    data sets, all episodes of one without such a score are kept.

    Raises:
        UserError: the run's only data set has no such score, or no episode earns as much.
    """
    share = f"--fraction-of-expert {run.fraction_of_expert:g}"
    if why := unranked(data):
        if len(run.env) == 1:
            raise UserError(f"{share}: {name} {why}: leave it out.")
        print(f"All of {name} is used: it {why}.")
        return data
    assert isinstance(data, Trajectories)
    row = dataset(data.origin.name).environment
    span = row.expert_score - row.random_score
    least, best = row.random_score + run.fraction_of_expert * span, data.finished_returns.max()
    if best < least:
        score = f"best of {name} earns {best:.4g}, {(best - row.random_score) / span:.0%} of the expert's"
        raise UserError(f"{share}: the {score}: give a lower share, or other data.")
    data = data.earning(least)
    print(f"Of these, {size(data)} with {run.fraction_of_expert:.0%} of the expert's return are used for training.")
    return data


def unranked(data: Task) -> str:
    """Why the episodes of data cannot be compared with the expert's; "" where they can."""
    if not isinstance(data, Trajectories):
        return "has no episodes"
    if not dataset(data.origin.name).environment.has_reference_scores:
        return "has no expert whose return is known"
    reason = unscored(data)
    return f"has returns {reason}, which cannot be compared with the expert's" if reason else ""


def size(data: Trajectories) -> str:
    return f"{data.episodes:,} episodes ({len(data):,} steps)"


def check_untreated(run: Run, name: str) -> None:
    """Refuse what is done to episodes, where there are none.

    Raises:
        UserError: it is chosen.
    """
    usual = Run()
    for option in ("fraction_best", "demonstrations", "delayed_reward"):
        if getattr(run, option) != getattr(usual, option):
            raise UserError(f"--{option.replace('_', '-')} is for episodes, and {name} has none: leave it out.")
