"""A finished run's episodes played again by its model, whatever changed in how it acts (prompts.py, plan.py)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from backbone.interface import Model
from environments.make import make
from report.store import Evaluation, Record
from training.evaluate import evaluate
from training.evaluation_log import EvaluationLog


class Replay:
    """Plays the first of a run's own episodes: episode e begins from the same seed each time, and in its record.

    Args:
        record: of the run, or of one of its data sets.
        model: its own, which may act otherwise each time.
        episodes: how many.
    """

    def __init__(self, record: Record, model: Model, episodes: int) -> None:
        self.record, self.model = record, model
        self.environments = make(record.env, episodes, record.protocol.physics)

    def play(self, doing: str, log: EvaluationLog | None = None, name: str = "") -> Evaluation:
        """The episodes as the model plays them now.

        Args:
            doing: what the bar says.
            log: keeps what a killed process has played of the episodes called `name`.
        """
        record, run = self.record, self.record.config["run"]
        task = record.dataset if len(record.tasks) > 1 else None
        target = next(iter(record.protocol.target_returns), None)
        how = (run.get("delayed_reward", False), run.get("precision", "fp32"))
        playing = partial(evaluate, self.model, self.environments, target, doing, task, *how, log)
        played = log.keep(name, playing) if log else playing()
        score = float(record.protocol.score(played.returns).mean())
        return Evaluation.of(target, played.returns, played.lengths, score, played.success)


@contextmanager
def replay(record: Record, model: Model, episodes: int) -> Iterator[Replay]:
    """See `Replay`; its environments are closed afterwards."""
    again = Replay(record, model, episodes)
    try:
        yield again
    finally:
        again.environments.close()
