"""Training the Trajectory Transformer: windows of ten hopper transitions, 159 tokens each, 256 of them as in the paper.

Peer     the same network and loss as the authors' code runs it: float32, all windows at once, PyTorch's own dropout
Ceiling  the floating-point operations of the products in our step, over those of a 2048-cube bfloat16 product a second
"""

from collections.abc import Callable

import torch
from torch import nn

from backbone.transformer import Dropout
from benchmarks import operations
from benchmarks.made_up import noise
from benchmarks.timing import matmul_ceiling, paired
from training.cli import exit_on_user_error
from training.settings import Precision, Run
from training.train import Progress, adamw, update
from trajectories.types import Trajectories
from trajectory_transformer import model
from trajectory_transformer.config import Config
from trajectory_transformer.model import TrajectoryTransformer

STEPS = 20_000  # of made-up data: a step's time does not depend on how many there are


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    data = noise(STEPS)
    ceiling = matmul_ceiling(torch.bfloat16)
    paper, preset = Config(), Config(batch_size=32, dropout=0.0)
    return [
        compare(data, paper, ceiling, "paper's sizes: 256 windows, dropout 0.1", pairs=2),
        compare(data, preset, ceiling, "default preset: 32 windows, no dropout", pairs=5),
    ]


def compare(data: Trajectories, config: Config, ceiling: float, what: str, pairs: int) -> dict[str, object]:
    """A training step, ours and plain ones in turn."""
    ours, peer, ratio = paired(our_step(data, config), plain_step(data, config), pairs=pairs, warm=1)
    tokens = config.batch_size * (10 * 16 - 1)  # read in an update
    share = operations.trajectory_transformer(config) / ours / ceiling
    return {
        "what": f"TT: a training step with its batch, {what}",
        "ours": f"{tokens / ours:,.0f} tokens/s",
        "peer": f"{tokens / peer:,.0f} tokens/s",
        "ratio": ratio,
        "note": f"peer: float32 in one piece; ours bfloat16, {share:.0%} of a product's {ceiling / 1e9:,.0f} GFLOP/s",
    }


def our_step(data: Trajectories, config: Config, precision: Precision = "bf16") -> Callable[[], object]:
    learner = TrajectoryTransformer(config, data.spec)
    learner.calibrate(data)
    optimizer, run, done = adamw(learner), Run(updates=10**6, precision=precision), Progress()
    return lambda: update(learner, data, optimizer, run, done)


def plain_step(data: Trajectories, config: Config) -> Callable[[], object]:
    """Our step without what makes it fast."""
    learner = TrajectoryTransformer(config, data.spec)
    learner.calibrate(data)
    for parent in list(learner.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Dropout):
                setattr(parent, name, nn.Dropout(child.rate))
    optimizer, run, done = adamw(learner), Run(updates=10**6, precision="fp32"), Progress()

    def step() -> None:
        piece, model.PIECE = model.PIECE, 256
        try:
            update(learner, data, optimizer, run, done)
        finally:
            model.PIECE = piece

    return step


if __name__ == "__main__":
    with exit_on_user_error():
        for row in measure():
            print(row)
