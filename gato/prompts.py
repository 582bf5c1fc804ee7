"""Prompts: steps of another episode of the same task, put before a sequence as an example of what to do.

Paper    Reed et al. 2022, arXiv:2205.06175, section 2.3: a quarter of the training sequences are prompted, half of
         these with the end of an episode, half with a uniform piece of one; acting begins with a demonstration
Differs  a sequence has `context` steps with its prompt or without it, as in the paper, but the prompt's length is fixed
         in steps (`prompt_steps`); while acting the prompt stays in sight instead of rolling out of the memory

Shapes   B sequences, T steps of a window, P steps of a prompt, E episodes, R demonstrations kept
"""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor, nn

from gato.config import Config
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.store import drop_pages
from trajectories.types import Spec, Trajectories
from trajectories.windows import cut

COLUMNS = ("observations", "actions", "rewards", "returns_to_go", "timesteps", "mask")  # of a Batch
DEMONSTRATIONS = 16  # pieces of each kind that a checkpoint carries


def sample(data: Trajectories, rng: np.random.Generator, size: int, config: Config) -> Batch:
    """Windows that end at uniform steps, a share of them prompted from another episode.

    A prompted window gives up its oldest `prompt_steps` steps, so that every sequence has at most `context` steps.
    """
    batch = _sample(data, rng, size, config)
    drop_pages(data.observations, data.actions, data.rewards, data.returns_to_go)
    return batch


def _sample(data: Trajectories, rng: np.random.Generator, size: int, config: Config) -> Batch:
    last = rng.integers(len(data), size=size)
    episodes = data.episode_of(last)
    batch = cut(data, data.starts[episodes], last, config.context)
    prompted = rng.random(size) < config.prompt_share
    alike = config.prompt_from == "alike"
    candidates = len(data.finished_episodes) if alike else data.episodes
    if config.prompt_steps == 0 or candidates < 2 or not prompted.any():
        return batch
    others = other_episodes(data, episodes, rng, alike)
    at_end = rng.random(size) < config.prompt_end_share
    prompt = cut(
        data, data.starts[others], last_rows(data, others, at_end, rng, config.prompt_steps), config.prompt_steps
    )
    room = torch.from_numpy(prompted)[:, None] & (torch.arange(config.context) < config.prompt_steps)
    return replace(_blank(batch, room), prompt=_blank(prompt, torch.from_numpy(~prompted)[:, None]))


def other_episodes(data: Trajectories, episodes: np.ndarray, rng: np.random.Generator, alike: bool) -> np.ndarray:
    """For each episode another one, (B,): any, or one whose return ranks near its own, within a twentieth of them all.

    The paper's prompts come from the same agent as their sequence. A data set of one policy has no other agents; one of
    many does not say who acted; episodes of similar return are the closest substitute, and only then does a prompt show
    how well to play. An unfinished episode is like no other: it gets any finished one.
    """
    if not alike:
        return (episodes + rng.integers(1, data.episodes, size=len(episodes))) % data.episodes
    order = data.finished_episodes[np.argsort(data.finished_returns, kind="stable")]
    rank = np.full(data.episodes, len(order))
    rank[order] = np.arange(len(order))
    own, reach = rank[episodes], max(1, len(order) // 20)
    ranked = own < len(order)
    lowest = np.where(ranked, np.maximum(own - reach, 0), 0)
    highest = np.where(ranked, np.minimum(own + reach, len(order) - 1), len(order))
    drawn = rng.integers(lowest, highest)  # of the ranks in reach, its own left out
    return order[drawn + (drawn >= own)]


def last_rows(
    data: Trajectories, episodes: np.ndarray, at_end: np.ndarray, rng: np.random.Generator, steps: int
) -> np.ndarray:
    """The rows where pieces of `steps` steps end, (B,): an episode's last row, or a uniform one that leaves room.

    An unfinished episode has no end to show: it gives a uniform piece.
    """
    ends = data.starts[episodes + 1] - 1
    earliest = np.minimum(data.starts[episodes] + steps - 1, ends)
    has_end = data.finished[episodes] | (not data.finished.any())
    return np.where(at_end & has_end, ends, rng.integers(earliest, ends + 1))


def columns(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """A batch with every column changed."""
    changed: dict[str, Any] = {name: change(getattr(batch, name)) for name in COLUMNS}
    return Batch(**changed, task=batch.task)


def _blank(batch: Batch, where: Bool[Tensor, "B #T"]) -> Batch:
    """Make steps padding."""
    return columns(batch, lambda column: column.masked_fill(_widen(where, column), 0))


def _widen(steps: Tensor, column: Tensor) -> Tensor:
    return steps.reshape(*steps.shape, *[1] * (column.ndim - 2))


def join(batch: Batch) -> Batch:
    """Prompt and window as one, real steps first: whatever is padding lies where causality hides it."""
    whole = batch
    if batch.prompt is not None:
        pairs = {name: [getattr(part, name) for part in (batch.prompt, batch)] for name in COLUMNS}
        columns_of_both: dict[str, Any] = {name: torch.cat(pair, dim=1) for name, pair in pairs.items()}
        whole = Batch(**columns_of_both, task=batch.task)
    length = int(whole.mask.sum(dim=1).max())
    order = torch.argsort((~whole.mask).to(torch.uint8), dim=1, stable=True)[:, :length]
    rows = torch.arange(len(order), device=order.device)[:, None]
    return columns(whole, lambda column: column[rows, order])


class Demonstrations(nn.Module):
    """The pieces of the training data that a checkpoint carries to prompt itself with, P steps each.

    Row 0 is the end of the best finished episode; then ends of episodes drawn uniformly, then uniform pieces of such.
    """

    observations: Tensor  # (R, P, *obs)
    actions: Tensor  # (R, P, *act)
    timesteps: Tensor  # (R, P)
    mask: Tensor  # (R, P)

    def __init__(self, spec: Spec, steps: int) -> None:
        super().__init__()
        self.spec, self.steps = spec, steps
        shape = (1 + 2 * DEMONSTRATIONS, steps)
        observed, acted = getattr(torch, spec.observation_dtype), getattr(torch, spec.action_dtype)
        self.register_buffer("observations", torch.zeros(*shape, *spec.observation_shape, dtype=observed))
        self.register_buffer("actions", torch.zeros(*shape, *spec.action_shape, dtype=acted))
        self.register_buffer("timesteps", torch.zeros(shape, dtype=torch.long))
        self.register_buffer("mask", torch.zeros(shape, dtype=torch.bool))

    def collect(self, data: Trajectories) -> None:
        """Choose the pieces; the same data give the same ones."""
        if self.steps == 0:
            return
        rng = np.random.default_rng(0)
        drawn = rng.integers(data.episodes, size=2 * DEMONSTRATIONS)
        best = data.finished_episodes[np.argmax(data.finished_returns)]
        episodes = np.concatenate([[best], drawn])
        at_end = np.arange(len(episodes)) <= DEMONSTRATIONS
        self._keep(cut(data, data.starts[episodes], last_rows(data, episodes, at_end, rng, self.steps), self.steps))

    def _keep(self, pieces: Batch) -> None:
        for name in ("observations", "actions", "timesteps", "mask"):
            getattr(self, name).copy_(getattr(pieces, name))

    def choose(
        self, prompt: str, episodes: int, seed: int, steps: int | None = None
    ) -> tuple[Batch, Int[Tensor, "E"]] | None:
        """The pieces that `prompt` (none, end, uniform, best, or a file) means, and which of them each episode gets.

        Args:
            steps: of a piece its last so many; None: all that are kept.
        """
        steps = self.steps if steps is None else steps
        if prompt == "none" or steps == 0:
            return None
        pieces, which = self._choose(prompt, episodes, seed)
        return columns(pieces, lambda column: column[:, -steps:]), which

    def _choose(self, prompt: str, episodes: int, seed: int) -> tuple[Batch, Int[Tensor, "E"]]:
        first = {"best": 0, "end": 1, "uniform": 1 + DEMONSTRATIONS}
        if prompt == "best" or prompt not in first:
            pieces = self._pieces(slice(0, 1)) if prompt == "best" else self._read(Path(prompt))
            return pieces, torch.zeros(episodes, dtype=torch.long)
        pieces = self._pieces(slice(first[prompt], first[prompt] + DEMONSTRATIONS))
        drawn = [int(np.random.default_rng(seed + episode).integers(DEMONSTRATIONS)) for episode in range(episodes)]
        return pieces, torch.tensor(drawn)

    def _pieces(self, rows: slice) -> Batch:
        mask = self.mask[rows]
        if not bool(mask.any()):
            raise UserError("This Gato has no demonstrations: calibrate it on data, or act with --prompt none.")
        nothing = torch.zeros(mask.shape, device=mask.device)
        columns = (self.observations[rows], self.actions[rows], nothing, nothing, self.timesteps[rows], mask)
        return Batch(*columns, task=self.spec.name)

    def _read(self, path: Path) -> Batch:
        observations, actions = read_demonstration(path, self.spec)
        observations, actions = observations[-self.steps :][None], actions[-self.steps :][None]
        where = self.mask.device
        nothing = torch.zeros(observations.shape[:2], device=where)
        steps = torch.arange(observations.shape[1], device=where)[None]
        columns = (observations.to(where), actions.to(where), nothing, nothing, steps, steps >= 0)
        return Batch(*columns, task=self.spec.name)


def read_demonstration(path: Path, spec: Spec) -> tuple[Shaped[Tensor, "n *obs"], Shaped[Tensor, "n *act"]]:
    """A demonstration from an .npz file with the arrays `observations` and `actions`, one row a step.

    Raises:
        UserError: no such file or prompt, an array is missing, or shapes or actions are not the environment's.
    """
    if not path.is_file():
        raise UserError(f"Prompt {str(path)!r} is no file: give none, end, uniform, best or the path of an .npz file.")
    try:
        with np.load(path, allow_pickle=False) as file:
            observations = np.asarray(file["observations"], spec.observation_dtype)
            actions = np.asarray(file["actions"], spec.action_dtype)
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no demonstration ({error}): store arrays `observations` and `actions`.") from error
    shapes = (observations.shape[1:], actions.shape[1:])
    if shapes != (spec.observation_shape, spec.action_shape) or not 0 < len(observations) == len(actions):
        raise UserError(
            f"{path} holds observations {observations.shape} and actions {actions.shape}, but {spec.name} has "
            f"{spec.observation_shape} and {spec.action_shape} a step: give a demonstration of this task."
        )
    if spec.actions is not None and not ((actions >= 0) & (actions < spec.actions)).all():
        raise UserError(
            f"{path} holds actions {actions.min()} to {actions.max()}, but {spec.name} has 0 to {spec.actions - 1}: "
            f"give a demonstration of this task."
        )
    return torch.from_numpy(observations), torch.from_numpy(actions)
