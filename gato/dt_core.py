"""The Decision Transformer's own blocks as Gato's sequence model: `--core dt`, as the unofficial Gato has it.

    python experiments/run.py --model gato --core dt --layers 3 --heads 1 --timestep-positions --prompt-end-share 1 \
        --env hopper-medium

Source   LAS1520/Gato-A-Generalist-Agent: Gato's tokens before GPT-2 as kzl's Decision Transformer has it, prompted with
         ends of episodes
Differs  actions are tokens, predicted from what comes before them; there they are regressed from outputs that read them
Settings width, layers, heads, hidden and dropout are as everywhere; head_width (the width by heads), alibi, feedforward
         (ReLU), stochastic_depth and initializer_range (0.02) are what the Decision Transformer has

Tokens know nothing of their order but causality, unless --timestep-positions. There is no cache: each step in play
reads its window again.

Shapes   B sequences, L tokens, D width
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbone.transformer import Transformer
from gato.config import Config


class DecisionCore(nn.Module):
    """Blocks of backbone/transformer.py, the Decision Transformer's; a `SequenceCore`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.transformer = Transformer(config.width, config.layers, config.heads, config.dropout, hidden=config.hidden)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return self.transformer(x, real).to(x.dtype)
