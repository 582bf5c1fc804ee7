"""A trained model's network as a program for other tools: its inputs, its outputs, and how actions follow from these.

What is exported is what the model computes of a window of steps. Raw in, as everywhere: observations and actions in the
environment's units, normalization and bins inside. Keeping the window, drawing among logits and planning are left to
the program that uses it. All of it is float32.

Cloning and Decision Transformer   the next action, or its logits where actions are discrete
Gato                               the logits of each token of the last step's action, given those before it
Trajectory Transformer             the logits of the token that follows each token

Shapes   B windows, T steps, S numbers of an observation, A of an action, D tokens of a transition, V ids or bins
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backbone.interface import Model, Player
from baselines.behavior_cloning import Cloning
from decision_transformer.atari import AtariDecisionTransformer
from decision_transformer.model import DecisionTransformer
from gato.model import Gato
from gato.player import Decoder
from gato.stream import ACTION_POSITION, TokenSequence, TokenType
from gato.tokens import BINS, bins_of, from_bins
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Spec
from trajectories.windows import History
from trajectory_transformer.model import TrajectoryTransformer
from trajectory_transformer.player import BeamPlayer

Run = Callable[..., Tensor]  # the program, as it was read back from its file


@dataclass(frozen=True)
class Port:
    """An input or an output. A letter in its shape stands for any size."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    meaning: str

    def example(self, sizes: Mapping[str, int]) -> Tensor:
        """An episode's first steps: ones of this shape, and nothing is padding."""
        shape = [sizes[size] if isinstance(size, str) else size for size in self.shape]
        ones = torch.ones(shape, dtype=getattr(torch, self.dtype))
        return ones.cumsum(1) - 1 if self.name == "timesteps" else ones


class Program(nn.Module):
    """What is exported of a model; derived classes compute its one output from tensors."""

    steps: int  # T at most
    inputs: tuple[Port, ...]
    output: Port
    greedy: Mapping[str, Any] = {}  # settings with which the model acts as `action` does

    def describe(self) -> dict[str, Any]:
        """The inputs and the output, as JSON."""
        return {"inputs": [asdict(each) for each in self.inputs], "outputs": [asdict(self.output)]}

    @abstractmethod
    def action(self, run: Run, player: Player, observations: np.ndarray, history: History) -> np.ndarray:
        """The likeliest action by the program, of one episode, (*act,), for the step at which `player` has just acted.

        Args:
            observations: (1, *obs), the present one.
            history: what came before and the present observation, the action not yet.
        """


class WindowProgram(Program):
    """Cloning and Decision Transformers: a padded window to the next action."""

    NEEDED = ("observations", "actions", "returns_to_go", "timesteps", "mask")

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        spec: Spec = model.spec
        self.model, self.steps = model, model.config.context
        length = "T" if names == self.NEEDED and self.steps > 1 else self.steps
        ports = (
            Port("observations", spec.observation_dtype, ("B", length, *spec.observation_shape),
                 "the environment's, oldest first; padding, on the left, is 0 everywhere"),
            Port("actions", spec.action_dtype, ("B", length, *spec.action_shape), "in the environment's units, "
                 "or [-1, 1] between the spec's action_low and action_high; of the last step not read"),
            Port("returns_to_go", "float32", ("B", length), "the return still to be earned, in its units"),
            Port("timesteps", "int64", ("B", length), "steps since the episode began"),
            Port("mask", "bool", ("B", length), "true where the step is no padding"),
        )  # fmt: skip
        self.inputs = tuple(port for port in ports if port.name in names)
        if spec.discrete:
            self.greedy = {"temperature": 0.0}
            self.output = Port("logits", "float32", ("B", spec.actions or 0), "of the next action")
        else:
            self.output = Port("action", "float32", ("B", spec.action_size), "the next action, in [-1, 1]")

    def forward(self, *inputs: Tensor) -> Tensor:
        given = dict(zip((port.name for port in self.inputs), inputs, strict=True))
        one = given["observations"]
        blank = one.new_zeros(one.shape[:2], dtype=torch.float32)
        columns: dict[str, Any] = {
            "actions": blank, "returns_to_go": blank, "timesteps": blank.long(), "mask": blank == 0, **given
        }  # fmt: skip
        return self.model.choose(Batch(**columns, rewards=blank, task=self.model.spec.name))

    def action(self, run: Run, player: Player, observations: np.ndarray, history: History) -> np.ndarray:
        window = history.window(self.steps, np.ones(1, bool))
        output = run(*(getattr(window, port.name) for port in self.inputs))[0]
        spec: Spec = self.model.spec
        chosen = output.argmax() if spec.discrete else output
        return chosen.numpy().reshape(spec.action_shape).astype(spec.action_dtype)


class GatoProgram(Program):
    """Whole steps, a prompt's first, to the logits of the last action's tokens."""

    greedy: Mapping[str, Any] = {"decoding": "likely", "memory": "recompute"}
    position: Tensor

    def __init__(self, model: Gato, task: Spec) -> None:
        super().__init__()
        self.model, self.task, self.steps = model, task, model.task_config(task).context
        self.ids, size = model.legal(task), task.action_size
        position = torch.arange(model.step_tokens(task))
        if model.config.action_positions != "own":
            position[-size:] = ACTION_POSITION
        self.register_buffer("position", position)
        self.inputs = (
            Port("observations", task.observation_dtype, ("B", "T", *task.observation_shape),
                 "the environment's, oldest first, without padding; the prompt's before the episode's"),
            Port("actions", task.action_dtype, ("B", "T", *task.action_shape),
                 "in [-1, 1], or discrete; what is not chosen yet of the last is not read"),
            Port("timesteps", "int64", ("B", "T"), "steps since the episode began"),
        )  # fmt: skip
        bins = f"bin v is {2 / BINS:g} (v + 0.5) - 1" if task.actions is None else "bin v is action v"
        meaning = f"of the last step's action, each number's given those before it: {bins}"
        self.output = Port("logits", "float32", ("B", size, self.ids.stop - self.ids.start), meaning)

    def forward(self, *inputs: Tensor) -> Tensor:
        observations, actions, timesteps = inputs
        model, layout, embedding = self.model, self.model.layout, self.model.embedding
        windows, steps = timesteps.shape
        done = bins_of(actions.flatten(2) if self.task.action_shape else actions[..., None], squeeze=False)
        separator = torch.full_like(done[..., :1], layout.separator)
        own = embedding.table(torch.cat([separator, layout.actions + done], dim=2).flatten(1), text=False)
        x = torch.cat([self.observed(observations.flatten(2)), own.unflatten(1, (steps, -1))], dim=2).flatten(1, 2)
        size, length = self.task.action_size, len(self.position)
        types = torch.full_like(self.position, TokenType.TENSOR)
        types[-size:] = TokenType.ACTION
        stream = TokenSequence(
            ids=torch.zeros_like(x[..., 0], dtype=torch.long),
            token_types=types.repeat(steps)[None],
            position=self.position.repeat(steps)[None],
            timesteps=timesteps.repeat_interleave(length, dim=1),
            valid=torch.ones_like(x[..., 0], dtype=torch.bool),
        )
        x = x + embedding.positions(stream)
        x = x if embedding.timestep is None else x + embedding.timestep(stream.timesteps)
        hidden = model.transformer(x).view(windows, steps, length, -1)
        return model.logits(hidden[:, -1, -size - 1 : -1], self.ids)

    def observed(self, observations: Tensor) -> Tensor:
        """(B, T, S) observations as (B, T, n, D): a token for each number, or one for all."""
        embedding = self.model.embedding
        if embedding.vectors is not None and observations.is_floating_point():
            return embedding.vectors((observations.flatten(0, 1),)).unflatten(0, (*observations.shape[:2], 1))
        ids = self.model.layout.observations + bins_of(observations, squeeze=True)
        return embedding.table(ids.flatten(1), text=False).unflatten(1, (observations.shape[1], -1))

    def describe(self) -> dict[str, Any]:
        """The prompt of the first episode, too: what each input begins with."""
        player = self.model.player(1, task=self.task.name)
        assert isinstance(player, Decoder)
        return {**super().describe(), "prompt": {name: steps.tolist() for name, steps in self.prompt(player).items()}}

    def prompt(self, player: Decoder) -> dict[str, Tensor]:
        """The steps that come first, for each input, (P, ...); nothing if none do."""
        if player.prompt is None:
            return {}
        pieces, which = player.prompt
        real = pieces.mask[which[0]]
        return {port.name: getattr(pieces, port.name)[which[0], real] for port in self.inputs}

    def action(self, run: Run, player: Player, observations: np.ndarray, history: History) -> np.ndarray:
        assert isinstance(player, Decoder)
        window = history.window(player.window, np.ones(1, bool))
        columns = [getattr(window, port.name)[:, window.mask[0]] for port in self.inputs]
        if prompt := self.prompt(player).values():
            columns = [torch.cat([first[None], then], dim=1) for first, then in zip(prompt, columns, strict=True)]
        last = columns[1][0, -1:].view(1, -1)
        for place in range(self.task.action_size):
            chosen = run(*columns)[0, place].argmax()
            last[0, place] = chosen if self.task.discrete else from_bins(chosen, squeezed=False)
        return last.numpy().reshape(self.task.action_shape)


class TrajectoryProgram(Program):
    """Tokens of whole transitions to the logits of the token that follows each."""

    greedy: Mapping[str, Any] = {
        **{"horizon": 1, "beam_width": 1, "expand": 1, "top_actions": 1, "cdf_actions": 0.0, "plan_every": 1},
        **{"prefix_context": True, "plan_seconds": 0.0},
    }

    def __init__(self, model: TrajectoryTransformer) -> None:
        super().__init__()
        self.model, self.steps = model, model.config.context
        self.network, self.bins = model.network, model.config.bins
        tokens = model.tokens_per_step
        numbers = f"{model.observation_size} of the observation, {model.spec.action_size} of the action, reward, value"
        self.inputs = (
            Port("tokens", "int64", ("B", "T", tokens), f"transitions: {numbers}. Token v of a number lies between "
                 f"places v and v + 1 of its row of `edges`, {self.bins} is the stop token; none reads later ones"),
        )  # fmt: skip
        meaning = "of the token after each: [:, t, d] is of number d + 1, the last of the next transition's first"
        self.output = Port("logits", "float32", ("B", "T", tokens, self.bins + 1), meaning)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "edges": self.model.discretizer.edges.tolist()}

    def forward(self, *inputs: Tensor) -> Tensor:
        (tokens,) = inputs
        outputs = self.network(tokens.flatten(1)).view(*tokens.shape, 1, -1)
        return (outputs @ self.network.heads.mT).squeeze(-2)

    def action(self, run: Run, player: Player, observations: np.ndarray, history: History) -> np.ndarray:
        assert isinstance(player, BeamPlayer)
        size, first = self.model.spec.action_size, player.search.observation_size
        now = torch.full((1, self.model.tokens_per_step), self.bins)
        now[:, :first] = player.encode(player.numbers(observations), 0)
        tokens = torch.stack([*player.past, now], dim=1)
        for place in range(first, first + size):
            tokens[:, -1, place] = run(tokens)[:, -1, place - 1].argmax(-1)
        chosen = self.model.discretizer.decode(tokens[:, -1, first : first + size], first)
        return player.fit(chosen.numpy())[0]


def program_of(model: Model, task: Spec) -> Program:
    """What is exported of a model, for one of its tasks.

    Raises:
        UserError: such a model cannot be exported.
    """
    name, images = type(model).__name__, task.observation_dtype == "uint8"
    if task.parts or task.kind:
        raise UserError(
            f"{name} of {task.name} cannot be exported: text and parts are made numbers outside its network."
        )
    if isinstance(model, Cloning):
        return WindowProgram(model, ("observations",) if images else ("observations", "mask")).eval()
    if isinstance(model, DecisionTransformer | AtariDecisionTransformer):
        return WindowProgram(model, WindowProgram.NEEDED).eval()
    if isinstance(model, Gato | TrajectoryTransformer) and images:
        raise UserError(f"{name} of {task.name} cannot be exported: images are made tokens outside its network.")
    if isinstance(model, Gato):
        return GatoProgram(model, task).eval()
    if isinstance(model, TrajectoryTransformer):
        return TrajectoryProgram(model).eval()
    raise UserError(f"{name} cannot be exported: it is no network, or none of this repository's.")
