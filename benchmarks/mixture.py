"""Gato: one set of weights for many tasks, in tokens a second, beside each of these tasks alone.

Peer     the same settings (the suite `generalist`'s) on one task, the mean over the tasks; noise of their shapes, since
         what is recorded does not decide how long an update takes
Tokens   real ones, padding not counted
"""

import statistics
from dataclasses import dataclass, replace

from benchmarks.made_up import noise_of
from benchmarks.timing import seconds
from gato import Config, Gato, Mixture
from training.cli import exit_on_user_error
from training.settings import Run, parse
from training.train import Progress, adamw, update
from trajectories.catalog import dataset
from trajectories.types import Trajectories

TASKS = (  # one of each family, and of D4RL's robots two
    *("hopper-medium", "walker2d-medium", "babyai-go-to-local", "metaworld-reach", "dmc-reacher-easy"),
    *("manipulation-reach-site", "fetch-reach", "ogbench-cube-single", "sokoban-7x7"),
)
STEPS = 5_000  # of a task
ROUNDS, UPDATES = 5, 4  # of the mixture in a round; of each task one


@dataclass
class Training:
    """A model under training, and what it takes."""

    model: Gato
    data: Trajectories | Mixture

    def __post_init__(self) -> None:
        self.model.calibrate(self.data)
        self.optimizer, self.done = adamw(self.model), Progress()
        self.run = Run(updates=10_000, precision="bf16")
        self.rate(2)  # what is slow for the first time only

    def rate(self, updates: int) -> float:
        """Tokens a second of so many updates, their batches included."""
        before = int(self.done.tokens)
        spent = seconds(lambda: self.update(updates))
        return (int(self.done.tokens) - before) / spent

    def update(self, updates: int) -> None:
        for _ in range(updates):
            update(self.model, self.data, self.optimizer, self.run, self.done)


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    config = parse(["--model", "gato", "--suite", "generalist"]).config
    assert isinstance(config, Config)
    data = [noise_of(replace(dataset(name).environment.spec(), name=name), STEPS) for name in TASKS]
    alone = [Training(Gato(config, each.spec), each) for each in data]
    draws = (config.tasks_per_update, 0)
    return [row(replace(config, tasks_per_update=each), data, alone, ROUNDS) for each in draws]


def row(config: Config, data: list[Trajectories], alone: list[Training], rounds: int) -> dict[str, object]:
    """The mixture by turns with each of its tasks."""
    together = Mixture(tuple(data))
    mixed = Training(Gato(config, together.spec), together)
    both = [(mixed.rate(UPDATES), statistics.fmean(each.rate(1) for each in alone)) for _ in range(rounds)]
    ours, peer = (statistics.median(column) for column in zip(*both, strict=True))
    drawn = f"{config.tasks_per_update} draws of a task" if config.tasks_per_update else "each sequence's task drawn"
    return {
        "what": f"Gato: training on {len(data)} tasks at once, {drawn} an update",
        "ours": f"{ours:,.0f} tokens/s",
        "peer": f"{peer:,.0f} tokens/s",
        "ratio": statistics.median(mine / theirs for mine, theirs in both),
        "note": "the mean of the tasks alone, in the same settings",
    }


if __name__ == "__main__":
    with exit_on_user_error():
        for each in measure():
            print(each)
