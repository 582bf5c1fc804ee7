"""One training step of the Decision Transformer, its batch included, against the port of the authors' model.

Peer     transformers' DecisionTransformerModel, at the paper's sizes, fed by a loop over samples as in kzl's
         gym/experiment.py get_batch, in float32 with dropout, AdamW and clipping: what its users run
Ceiling  the floating-point operations of the matrix products that our step needs, over the time of a 2048-cube product
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from benchmarks import operations
from benchmarks.made_up import noise
from benchmarks.timing import matmul_ceiling, paired
from decision_transformer.config import Config
from decision_transformer.model import DecisionTransformer
from training.settings import Precision, Run
from training.train import Progress, adamw, update
from trajectories.types import Spec, Trajectories


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    data = noise(1_000_000)
    rows = []
    precisions: tuple[Precision, ...] = ("bf16", "fp32")
    for precision in precisions:
        ours, peer, ratio = paired(our_step(data, precision), peer_step(data), pairs=15)
        flops = operations.decision_transformer(Config())
        ceiling = matmul_ceiling(torch.bfloat16 if precision == "bf16" else torch.float32)
        rows.append(
            {
                "what": f"DT: a training step with its batch, paper's sizes, {precision}",
                "ours": f"{ours * 1e3:.0f} ms",
                "peer": f"{peer * 1e3:.0f} ms",
                "ratio": ratio,
                "note": f"transformers' port, fp32; {flops / ours / ceiling:.0%} of the product ceiling",
            }
        )
    return rows


def our_step(data: Trajectories, precision: Precision) -> Callable[[], object]:
    model = DecisionTransformer(Config(), data.spec)
    model.calibrate(data)
    optimizer, run, done = adamw(model), Run(updates=10**6, precision=precision), Progress()
    return lambda: update(model, data, optimizer, run, done)


def port(spec: Spec) -> DecisionTransformerModel:
    """transformers' model at the paper's sizes."""
    config = DecisionTransformerConfig(
        state_dim=spec.observation_size, act_dim=spec.action_size, hidden_size=128,
        max_ep_len=spec.max_episode_steps, n_layer=3, n_head=1, n_inner=512, n_positions=1024,
        activation_function="relu", resid_pdrop=0.1, attn_pdrop=0.1, embd_pdrop=0.1,
    )  # fmt: skip
    return DecisionTransformerModel(config)


def peer_step(data: Trajectories) -> Callable[[], object]:
    model = port(data.spec).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4)
    episodes = [
        {
            "observations": data.observations[first:last],
            "actions": data.actions[first:last],
            "rewards": data.rewards[first:last],
        }
        for first, last in zip(data.starts[:-1], data.starts[1:], strict=True)
    ]
    share = data.lengths / len(data)

    def step() -> None:
        states, actions, returns, timesteps, mask = per_sample_batch(episodes, share)
        predicted = model(
            states=states, actions=actions, rewards=torch.zeros_like(returns), returns_to_go=returns,
            timesteps=timesteps, attention_mask=mask,
        ).action_preds  # fmt: skip
        loss = (predicted - actions)[mask > 0].square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return step


def per_sample_batch(episodes: list[dict[str, np.ndarray]], share: np.ndarray, size: int = 64) -> tuple[Tensor, ...]:
    """64 windows of 20 steps, cut and padded one by one."""
    columns: tuple[list[np.ndarray], ...] = ([], [], [], [], [])
    for index in np.random.choice(len(episodes), size, p=share):  # noqa: NPY002  as its users write it
        episode = episodes[index]
        start = np.random.randint(len(episode["rewards"]))  # noqa: NPY002
        window = slice(start, start + 20)
        length = len(episode["rewards"][window])
        missing = 20 - length
        to_go = np.cumsum(episode["rewards"][start:][::-1])[::-1][:length] / 1000
        for column, values in zip(
            columns,
            (
                np.pad((episode["observations"][window] - 0.1) / 0.9, ((missing, 0), (0, 0))),
                np.pad(episode["actions"][window], ((missing, 0), (0, 0)), constant_values=-10),
                np.pad(to_go[:, None], ((missing, 0), (0, 0))),
                np.pad(np.arange(start, start + length), (missing, 0)),
                np.pad(np.ones(length), (missing, 0)),
            ),
            strict=True,
        ):
            column.append(values)
    states, actions, returns = (torch.from_numpy(np.stack(column)).float() for column in columns[:3])
    return states, actions, returns, *(torch.from_numpy(np.stack(column)).long() for column in columns[3:])
