"""Acting: the prompt is encoded once, and a step costs its own new tokens only.

`Rolling` keeps keys and values. Nothing in them depends on where a token stands in the episode, so the cache is a ring
of `context` steps less the prompt's, the same number of steps that a training sequence sees; the prompt stays in front
of it. Until the ring is full the actions are exactly those of a full recomputation. After that a kept key still knows
the steps that its token saw and that have since left the ring: the paper's Transformer-XL memory, which reaches back up
to `layers` times the window. `Recomputing` has no such memory: it sees its window and nothing else, as in training, at
the cost of the whole window for every token. It also serves sequence models that cannot cache.

Shapes   E episodes, R of them still going, K tokens of a timestep, A tokens of an action, S slots, D width, V ids
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gato.model import Gato
from gato.prompts import columns, join
from gato.stream import ACTION_POSITION, TokenSequence, TokenType, build
from gato.tokens import from_bins
from gato.transformer import Caches
from trajectories.windows import History


class Decoder:
    """What both players share: the choice of a token among the legal ids, and actions from tokens."""

    def __init__(self, model: Gato, task: int, episodes: int, seed: int) -> None:
        self.model, self.spec, self.episodes = model, model.tasks[task], episodes
        self.legal = model.legal(self.spec)
        self.decoding = model.decoding(task)
        self.window = model.config.context - model.config.prompt_steps  # steps, as in a prompted training sequence
        self.prompt = model.demonstration(task).choose(model.config.prompt, episodes, seed)
        if self.prompt is None:
            self.window = model.config.context
        self.random = [np.random.default_rng(seed + episode) for episode in range(episodes)]

    @property
    def device(self) -> torch.device:
        return self.model.embedding.table.values.device

    def choose(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """One legal id for each row of (R, D) hidden states: drawn, the most likely, or in the middle.

        Every episode draws from a stream of its own, so that what it does never depends on how many others there are.
        """
        logits = self.model.logits(hidden, self.legal).float()  # (R, V)
        if self.decoding == "sampled":
            drawn = torch.tensor([self.random[row].random() for row in rows.tolist()], device=logits.device)
            return self.bin_at(logits / self.model.config.temperature, drawn[:, None])
        if self.decoding == "median" and not self.spec.discrete:  # discrete actions have no middle
            return self.bin_at(logits, 0.5)
        return self.legal.start + logits.argmax(dim=1)

    def bin_at(self, logits: Tensor, share: Tensor | float) -> Tensor:
        """The id, for each row of logits, below which this share of the probability lies."""
        below = logits.softmax(dim=1).cumsum(dim=1) < share  # (R, V)
        return self.legal.start + below[:, :-1].sum(dim=1)  # the sum may end a little below 1

    def actions(self, ids: Tensor, rows: np.ndarray) -> np.ndarray:
        """(R, A) ids as (E, *act) actions; zeros for the episodes that are over."""
        bins = ids - self.legal.start
        values = bins if self.spec.discrete else from_bins(bins, squeezed=False)
        actions = np.zeros((self.episodes, *self.spec.action_shape), self.spec.action_dtype)
        actions[rows] = values.cpu().numpy().reshape(len(rows), *self.spec.action_shape)
        return actions


class Rolling(Decoder):
    """Keys and values kept across the steps of all episodes."""

    def __init__(self, model: Gato, task: int, episodes: int, seed: int) -> None:
        super().__init__(model, task, episodes, seed)
        assert isinstance(model.core, Caches)
        self.core: Caches = model.core
        self.rows = torch.arange(episodes, device=self.device)  # the episodes that the cache holds
        self.steps = 0
        self.per_step = 0  # K, known with the first observation
        self.pending: tuple[Tensor, Tensor] | None = None  # the last action token, embedded, and its slot

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        """See backbone.interface.Player."""
        self.forget(live)
        shown = torch.as_tensor(observations[self.rows.cpu().numpy()], device=self.device)[:, None]
        ones = torch.ones(len(shown), 1, dtype=torch.bool, device=self.device)
        stream = build(self.model.observe(shown), ones, torch.full_like(ones, self.steps, dtype=torch.long))
        if self.steps == 0:
            self.begin(stream.ids.shape[1] + self.spec.action_size)
        slots = self.open_step()
        seen = stream.ids.shape[1]
        hidden = self.extend(self.model.embedding(stream), slots[:seen])
        chosen = []
        for index in range(self.spec.action_size):
            if index > 0:
                hidden = self.extend(*self.take_pending())
            chosen.append(self.choose(hidden, self.rows))
            self.pending = (self.embed_action(chosen[-1], seen + index), slots[seen + index : seen + index + 1])
        self.steps += 1
        return self.actions(torch.stack(chosen, dim=1), self.rows.cpu().numpy())

    def begin(self, per_step: int) -> None:
        """Make the cache, and encode each prompt once however many episodes share it."""
        self.per_step = per_step
        prompt = None
        if self.prompt is not None:
            pieces, which = self.prompt
            prompt = self.model.stream(pieces)
        self.front = 0 if prompt is None else prompt.ids.shape[1]
        total = self.front + self.window * per_step
        self.filled = torch.zeros(1, total, dtype=torch.bool, device=self.device)
        self.cache = self.core.cache(self.episodes, total)
        if prompt is None:
            return
        slots = torch.arange(self.front, device=self.device)
        encoded = self.core.cache(len(prompt.ids), self.front)
        distance = (slots[:, None] - slots)[None, None]
        self.core.extend(self.model.embedding(prompt), encoded, slots, distance >= 0, distance)
        which = which.to(self.device)
        for kept, new in zip(self.cache.keys + self.cache.values, encoded.keys + encoded.values, strict=True):
            kept[:, :, : self.front] = new[which]
        if bool(prompt.real.all()):
            self.filled[:, : self.front] = True
        else:  # prompts of several lengths
            self.filled = self.filled.repeat(self.episodes, 1)
            self.filled[:, : self.front] = prompt.real[which]
        if self.filled.shape[0] > 1 or len(self.rows) < self.episodes:
            self.keep(self.rows)

    def forget(self, live: np.ndarray) -> None:
        """Drop the episodes that are over."""
        going = torch.as_tensor(live, device=self.device)[self.rows]
        if bool(going.all()):
            return
        kept = going.nonzero().squeeze(1)
        self.rows = self.rows[kept]
        if self.steps > 0:
            self.keep(kept)

    def keep(self, kept: Tensor) -> None:
        """Go on with some rows of the cache."""
        self.cache.keep(kept)
        if self.filled.shape[0] > 1:
            self.filled = self.filled[kept]
        if self.pending is not None:
            self.pending = (self.pending[0][kept], self.pending[1])

    def open_step(self) -> Tensor:
        """The slots of this step's tokens, (K,); the step that had them is forgotten."""
        begin = self.front + self.steps % self.window * self.per_step
        slots = torch.arange(begin, begin + self.per_step, device=self.device)
        self.filled[:, slots] = False
        return slots

    def take_pending(self) -> tuple[Tensor, Tensor]:
        assert self.pending is not None
        pending, self.pending = self.pending, None
        return pending

    def embed_action(self, ids: Tensor, place: int) -> Tensor:
        """One action token of every row, (R, 1, D)."""
        own = self.model.config.action_positions == "own"
        single = torch.ones_like(ids[:, None])
        stream = TokenSequence(
            ids=ids[:, None],
            token_types=single[:1] * TokenType.ACTION,
            local=single[:1] * (place if own else ACTION_POSITION),
            timesteps=single * self.steps,
            real=single.bool(),
        )
        return self.model.embedding(stream)

    def extend(self, x: Tensor, slots: Tensor) -> Tensor:
        """Take in new tokens, (R, n, D), behind the one left over from before; the last one's hidden state, (R, D)."""
        if self.pending is not None:
            before, slot = self.take_pending()
            x, slots = torch.cat([before, x], dim=1), torch.cat([slot, slots])
        count = len(slots)
        used = min(self.front + (self.steps + 1) * self.per_step, self.filled.shape[1])
        sees = self.filled[:, None, None, :used].repeat(1, 1, count, 1)  # (1 or R, 1, n, S)
        sees[..., slots] = torch.ones(count, count, dtype=torch.bool, device=x.device).tril()
        self.filled[:, slots] = True
        return self.core.extend(x, self.cache, slots, sees, self.distance(slots, used))[:, -1]

    def distance(self, slots: Tensor, used: int) -> Tensor:
        """How many tokens ago each used slot was, (1 or R, 1, n, S), as in the sequence that a window would make.

        Where a step stands in the ring says nothing; how many steps ago it was does. Prompts that are shorter than
        the longest end that much nearer to the first step.
        """
        step = (torch.arange(self.window, device=self.device) - self.steps - 1) % self.window  # oldest: 0
        held = min(self.steps + 1, self.window)
        step = step - (self.window - held)
        place = torch.arange(self.per_step, device=self.device)
        ring = self.front + (step[:, None] * self.per_step + place).flatten()
        places = torch.cat([torch.arange(self.front, device=self.device), ring])  # (S,)
        lengths = self.filled[:, : self.front].sum(dim=1, keepdim=True)  # (1 or R, 1)
        shift = (torch.arange(used, device=self.device) >= self.front) * (self.front - lengths)
        kept = places[:used] - shift
        return (kept[:, slots, None] - kept[:, None, :])[:, None]


class Recomputing(Decoder):
    """The whole window again for every token: the reference, and what any causal sequence model can do."""

    def __init__(self, model: Gato, task: int, episodes: int, seed: int) -> None:
        super().__init__(model, task, episodes, seed)
        self.history = History(self.spec, episodes, 0.0, longest=self.window)

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        """See backbone.interface.Player."""
        rows = np.flatnonzero(live)
        self.history.observe(observations, rewards, live)
        batch = self.history.window(self.window, live).to(self.device)
        if self.prompt is not None:
            pieces, which = self.prompt
            chosen_pieces = which[rows].to(self.device)
            batch = replace(batch, prompt=columns(pieces, lambda column: column[chosen_pieces]))
        stream = self.model.stream(join(batch))
        last = stream.real.sum(dim=1)  # (R,): one past the last real token, which is the last one of this step's action
        width = self.spec.action_size
        each, chosen = torch.arange(len(rows), device=self.device), []
        for index in range(width):
            place = last - width + index  # what stands here is chosen from what the position before it says
            hidden = self.model.core(self.model.embedding(stream))[each, place - 1]
            chosen.append(self.choose(hidden, torch.as_tensor(rows)))
            stream.ids[each, place] = chosen[-1]
        actions = self.actions(torch.stack(chosen, dim=1), rows)
        self.history.record(actions[rows], live)
        return actions
