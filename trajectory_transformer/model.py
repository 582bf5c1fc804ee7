"""Trajectory Transformer: learn how trajectories go on, then search for one that goes on well.

Paper    Janner et al. 2021, arXiv:2106.02039; code github.com/jannerm/trajectory-transformer at 8834a6e
Tokens   every number of a transition is one: observation, action, reward, value, each binned by its own dimension
         (discretizer.py); value is the discounted return from the next step on
Learns   the next token, whatever it is, by cross-entropy; those of actions weigh five times
Acts     by beam search (planner.py): candidates are drawn from the model, and kept for the reward and value it expects
Differs  windows start at any step, the last of an episode too; the loss is a mean over the target tokens, not
         over those that lie past the time limit, of which theirs learns one stop token; the learning rate's cosine
         spans the whole run (theirs is down at epoch 20 of 50, and goes up again: README.md)

Shapes   B windows, T transitions, D tokens of a transition
"""

import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, device

from backbone.flatten import Flatten
from backbone.interface import SequenceModel
from backbone.weight_decay import matrices_only
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Spec, Trajectories
from trajectories.windows import DeviceTrajectories, cut, to_device
from trajectory_transformer.config import Config
from trajectory_transformer.discretizer import Audit, Discretizer, table
from trajectory_transformer.network import Network
from trajectory_transformer.player import BeamPlayer
from trajectory_transformer.search import SamplingFilter, Search
from trajectory_transformer.values import penalized, values

# ant's contact forces are zero in the data, the kitchen's goal never changes
OBSERVED_PREFIX = {"ant": 27, "kitchen": 30}
MOST_NUMBERS = 256  # in an observation; images would need another tokenizer
PIECE = 32  # windows that a CPU's caches hold; larger pieces are slower, and the sums are the same
FITTED = 2**20  # steps from which bins are fitted at least


@dataclass(frozen=True, kw_only=True)
class TrajectoryBatch(Batch):
    """A batch whose rewards carry the penalty, with what else a trajectory's tokens need."""

    values: Float[Tensor, "B T"]
    stops: Int[Tensor, "B"]  # transitions of stop tokens to be learned after the window's last step

    def to(self, where: device | str) -> "TrajectoryBatch":
        columns: dict[str, Any] = vars(super().to(where))
        return TrajectoryBatch(**columns, values=self.values.to(where), stops=self.stops.to(where))


class TrajectoryTransformer(SequenceModel):
    """A GPT over binned trajectories, and a beam search over what it predicts.

    Args:
        config: its settings (config.py), of training and of the planner.
        spec: the task: observations are vectors of at most 256 numbers, actions continuous or discrete.

    Raises:
        UserError: settings that cannot work, or too many numbers in an observation.
    """

    config: Config
    NUMERICS = 1
    reads = frozenset({"vectors", "parts"})

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__()
        self.flatten = Flatten(spec)
        self.static_shapes = self.flatten.static_shapes
        check(config, spec, self.flatten.size)
        self.config, self.spec = config, spec
        self.observation_size = config.kept_observations or OBSERVED_PREFIX.get(spec.name, self.flatten.size)
        self.tokens_per_step = self.observation_size + spec.action_size + 2
        self.network = Network(
            config.context, self.tokens_per_step, config.bins, config.width, config.layers, config.heads, config.dropout
        )
        self.discretizer = Discretizer(self.tokens_per_step, config.bins)
        self.choices = {} if spec.actions is None else {self.observation_size: spec.actions}  # dimensions of choices
        self.audit: list[Audit] = []  # filled by calibrate
        self._columns: tuple[Trajectories, Trajectories, Tensor] | None = None

    def columns(self, data: Trajectories) -> tuple[Trajectories, Float[Tensor, "N"]]:
        """The data with penalized rewards, and the value of every step, (N,); computed once for a data set."""
        if self._columns is None or self._columns[0] is not data:
            host = data.host if isinstance(data, DeviceTrajectories) else data
            rewards = penalized(host.rewards, host.terminated, self.config.termination_penalty)
            values_of = torch.from_numpy(values(rewards, host.starts, self.config.discount))
            penalized_data = replace(host, rewards=rewards)
            if isinstance(data, DeviceTrajectories):
                where: Any = data.rewards.device
                penalized_data, values_of = to_device(penalized_data, where), values_of.to(where)
            self._columns = data, penalized_data, values_of
        return self._columns[1:]

    def calibrate(self, data: Trajectories) -> None:
        """Fit every dimension's bins to its column, one column in memory at a time; of more than two million steps, to
        some million of them, evenly spread."""
        penalized_data, values_of = self.columns(data)
        spread = slice(None, None, 1 if len(data) <= 2 * FITTED else -(-len(data) // FITTED))
        self.flatten.calibrate(penalized_data.observations)
        observations = self.flatten.rows(penalized_data.observations[spread])
        actions = penalized_data.actions.reshape(len(penalized_data), -1)[spread]
        columns = [(f"observation {i}", observations[:, i]) for i in range(self.observation_size)]
        columns += [(f"action {i}", actions[:, i]) for i in range(actions.shape[1])]
        columns += [("reward", penalized_data.rewards[spread]), ("value", values_of.numpy()[spread])]
        self.audit = []
        for dimension, (name, column) in enumerate(columns):
            if dimension in self.choices:
                self.discretizer.fit_choices(dimension, self.choices[dimension])
            else:
                lowest = self.lowest(penalized_data) if name == "reward" else None
                self.discretizer.fit(dimension, np.asarray(column), self.config.discretizer, lowest)
            self.audit.append(self.discretizer.audit(dimension, column, name))
        print(f"discretizer audit, {self.config.bins} bins each:\n{table(self.audit)}", file=sys.stderr)

    def lowest(self, penalized_data: Trajectories) -> float | None:
        """The penalty, where it is to have a bin for itself and any step of the data earns it.

        Raises:
            UserError: it is not below all rewards, or there are no bins for these.
        """
        if not self.config.penalty_bin or not penalized_data.terminated.any():
            return None
        penalty, others = self.config.termination_penalty, penalized_data.rewards[~penalized_data.terminated]
        if self.config.bins < 2 or not len(others) or others.min() <= penalty:
            least = f"{others.min():g}" if len(others) else "none"
            raise UserError(
                f"--penalty-bin: the penalty is {penalty:g}, and the lowest of the other rewards {least}: lower "
                f"--termination-penalty, or leave --penalty-bin out."
            )
        return penalty

    def metadata(self) -> dict[str, Any]:
        return {"discretizer audit": [asdict(row) for row in self.audit], **self.flatten.left_out()}

    def sample(self, data: Trajectories, rng: np.random.Generator) -> TrajectoryBatch:
        """Windows that begin at steps drawn uniformly, and may run beyond the end of their episode."""
        penalized_data, values_of = self.columns(data)
        length = self.config.context
        begin = rng.integers(len(data), size=self.config.batch_size)
        episode = data.episode_of(begin)
        last = np.minimum(begin + length, data.starts[episode + 1]) - 1
        batch = cut(penalized_data, begin, last, length)
        where = batch.mask.device
        passed = torch.from_numpy(begin - data.starts[episode])[:, None].to(where, non_blocking=True)
        rows = torch.from_numpy(np.maximum(last[:, None] + np.arange(1 - length, 1), 0)).to(where)  # (B, T)
        to_limit = torch.from_numpy(self.spec.max_episode_steps - 1 - (last - data.starts[episode])).to(where)
        columns = vars(batch) | {"timesteps": (batch.timesteps + passed) * batch.mask}
        return TrajectoryBatch(
            **columns,
            values=values_of[rows] * batch.mask,
            stops=torch.minimum(length - batch.mask.sum(1), to_limit).clamp(min=0),
        )

    def tokenize(self, batch: TrajectoryBatch) -> tuple[Int[Tensor, "B T D"], Bool[Tensor, "B T"]]:
        """Tokens of the windows, their real steps first and stop tokens after, and which transitions are learned."""
        windows, length = batch.mask.shape
        numbers = torch.cat(
            [
                self.flatten(batch.observations)[..., : self.observation_size],
                batch.actions.reshape(windows, length, -1),
                batch.rewards[..., None],
                batch.values[..., None],
            ],
            dim=-1,
        )
        tokens = self.discretizer.encode(numbers).masked_fill(~batch.mask[..., None], self.config.bins)
        places = torch.arange(length, device=tokens.device)
        real = batch.mask.sum(1, keepdim=True)
        turned = (places - real) % length  # the window's padding goes from before its steps to after them
        tokens = tokens.gather(1, turned[..., None].expand_as(tokens))
        return tokens, places < real + batch.stops[:, None]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(batch, TrajectoryBatch), "a Trajectory Transformer learns from batches of its own sample()"
        tokens, target_mask = self.tokenize(batch)
        piece = PIECE if tokens.device.type == "cpu" else len(tokens)
        pieces = zip(torch.split(tokens, piece), torch.split(target_mask, piece), strict=True)
        by_dimension = torch.stack([self.nll_by_dimension(*part) for part in pieces]).sum(0)  # (D,)
        counts = target_mask.sum().repeat(self.tokens_per_step)
        counts[0] -= len(target_mask)  # a window's first token is given
        observations, actions = self.observation_size, self.spec.action_size
        parts = {"observation": (observations, 1.0), "action": (actions, self.config.action_weight)}
        parts |= {"reward": (1, self.config.reward_weight), "value": (1, self.config.value_weight)}
        total, losses, first = torch.zeros((), device=tokens.device), {}, 0
        for name, (size, weight) in parts.items():
            nll_by_dimension = by_dimension[first : first + size].sum()
            losses[name] = (nll_by_dimension / counts[first : first + size].sum()).detach()
            total, first = total + weight * nll_by_dimension, first + size
        return {"total": total / counts.sum(), **losses}

    def loss_weight(self, batch: Batch) -> int:
        assert isinstance(batch, TrajectoryBatch), "a Trajectory Transformer learns from batches of its own sample()"
        target_mask = self.tokenize(batch)[1]
        return int(target_mask.sum()) * self.tokens_per_step - len(target_mask)

    def nll_by_dimension(self, tokens: Int[Tensor, "B T D"], target_mask: Bool[Tensor, "B T"]) -> Float[Tensor, "D"]:
        """Cross-entropy of each dimension, summed over its target tokens."""
        logits = self.network.logits(self.network(tokens.flatten(1)))[:, :-1]  # (B, T D - 1, N)
        entropy = F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(1)[:, 1:].flatten(), reduction="none")
        entropy = F.pad(entropy.view(len(tokens), -1), (1, 0)).view(tokens.shape)
        return (entropy * target_mask[..., None]).sum((0, 1))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay for matrices only: not for biases, norms, embeddings and places, as in the authors' code."""
        return matrices_only(self, self.network.heads)

    def search(self) -> Search:
        """The planner's settings."""
        config = self.config
        return Search(
            observation_size=self.observation_size,
            action_size=self.spec.action_size,
            horizon=config.horizon,
            beam_width=config.beam_width,
            expand=config.expand,
            past=min(config.planning_context, config.context) - 1,
            discount=config.discount,
            observations=SamplingFilter(config.top_observations, config.cdf_observations),
            actions=SamplingFilter(config.top_actions, config.cdf_actions),
            percentile=config.percentile,
        )

    def player(self, episodes: int, target_return: float = 0.0, seed: int = 0) -> BeamPlayer:
        """Plans for the highest return that the model thinks possible: a target return is ignored."""
        return BeamPlayer(self, episodes, seed)


def check(config: Config, spec: Spec, size: int) -> None:
    """Refuse settings that do not fit together or do not fit the task, whose observations are `size` numbers.

    Raises:
        UserError: in one sentence.
    """
    if size > MOST_NUMBERS:
        raise UserError(
            f"A Trajectory Transformer makes a token of each of the {size} numbers {spec.name} shows, "
            f"and can take {MOST_NUMBERS}: choose --model dt or gato."
        )
    if min(config.planning_context, config.context) < 2:
        raise UserError(
            f"A plan needs the transition before the one being planned, and --planning-context is "
            f"{config.planning_context} and --context {config.context}: raise both to 2 or more."
        )
    if config.kept_observations > size:
        raise UserError(f"--kept-observations is {config.kept_observations}, but {spec.name} has {size}: lower it.")
