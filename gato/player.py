"""Acting: the prompt is encoded once, and each step encodes its new tokens only.

`Rolling` caches keys and values. They do not depend on a token's position in the episode, so the cache is a ring buffer
of `context` steps less the prompt's, as many as a prompted training sequence has; the prompt stays in front of it.
Until the ring is full, the actions equal those of a full recomputation. After that, a cached key still depends on
steps that have left the ring: the paper's Transformer-XL memory, which reaches back up to `layers` times the window.
`Recomputing` has no such memory: as in training, each token attends to its window only, at the cost of encoding the
whole window at every step. It also serves sequence models without a cache, at every token.

Shapes   E episodes, R of them live, K tokens of a timestep, A tokens of an action, S slots, D width, V ids
"""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from gato.config import Config
from gato.embedding import Embedding
from gato.prompts import Demonstrations, columns, join
from gato.stream import ACTION_POSITION, TokenBlock, TokenSequence, TokenType, build
from gato.tokens import from_bins
from gato.transformer import Caches
from trajectories.batch import Batch
from trajectories.types import Spec
from trajectories.windows import History


@runtime_checkable
class TokenModel(Protocol):
    """What a player needs of the model; `Gato` documents each."""

    config: Config
    tasks: tuple[Spec, ...]
    embedding: Embedding
    transformer: nn.Module

    def task_config(self, task: Spec) -> Config: ...
    def decoding(self, task: int) -> str: ...
    def demonstration(self, task: int) -> Demonstrations: ...
    def legal(self, task: Spec) -> slice: ...
    def observe(self, observations: Tensor, task: Spec) -> list[TokenBlock]: ...
    def stream(self, batch: Batch) -> TokenSequence: ...
    def logits(self, hidden: Tensor, ids: slice) -> Tensor: ...


class Decoder:
    """Base of both players: chooses tokens among the legal ids, and turns them into actions."""

    def __init__(self, model: TokenModel, task: int, episodes: int, seed: int) -> None:
        self.model, self.spec, self.episodes = model, model.tasks[task], episodes
        self.legal = model.legal(self.spec)
        self.decoding = model.decoding(task)
        config = model.task_config(self.spec)
        self.prompt = model.demonstration(task).choose(config.prompt, episodes, seed, config.prompt_steps)
        prompted = config.prompt_steps if self.prompt is not None else 0
        self.window = config.context - prompted  # steps, as in a training sequence
        self.random = [np.random.default_rng(seed + episode) for episode in range(episodes)]

    @property
    def device(self) -> torch.device:
        return self.model.embedding.table.values.device

    def choose(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """One legal id for each row of (R, D) hidden states: sampled, the most likely, or the median.

        Every episode has its own random generator, so that its actions do not depend on the other episodes.
        """
        logits = self.model.logits(hidden, self.legal).float()  # (R, V)
        if self.decoding == "sampled":
            drawn = torch.tensor([self.random[row].random() for row in rows.tolist()], device=logits.device)
            return self.bin_at(logits / self.model.config.temperature, drawn[:, None])
        if self.decoding == "median" and not self.spec.discrete:  # discrete actions have no middle
            return self.bin_at(logits, 0.5)
        return self.legal.start + logits.argmax(dim=1)

    def bin_at(self, logits: Tensor, share: Tensor | float) -> Tensor:
        """For each row of logits, the id at this quantile."""
        below = logits.softmax(dim=1).cumsum(dim=1) < share  # (R, V)
        return self.legal.start + below[:, :-1].sum(dim=1)  # a float's cumulative sum may end slightly below 1

    def actions(self, ids: Tensor, rows: np.ndarray) -> np.ndarray:
        """(R, A) ids as (E, *act) actions; zeros for finished episodes."""
        bins = ids - self.legal.start
        values = bins if self.spec.discrete else from_bins(bins, squeezed=False)
        actions = np.zeros((self.episodes, *self.spec.action_shape), self.spec.action_dtype)
        actions[rows] = values.cpu().numpy().reshape(len(rows), *self.spec.action_shape)
        return actions


class Rolling(Decoder):
    """Acts with a cache of keys and values."""

    def __init__(self, model: TokenModel, task: int, episodes: int, seed: int) -> None:
        super().__init__(model, task, episodes, seed)
        assert isinstance(model.transformer, Caches)
        self.transformer: Caches = model.transformer
        self.rows = torch.arange(episodes, device=self.device)  # the live episodes, one row of the cache each
        self.steps = 0
        self.per_step = 0  # K, known at the first observation
        self.pending: tuple[Tensor, Tensor] | None = None  # the last action token's embedding and slot, not yet encoded

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        """See backbone.interface.Player."""
        self.drop_finished(live)
        observed = torch.as_tensor(observations[self.rows.cpu().numpy()], device=self.device)[:, None]
        ones = torch.ones(len(observed), 1, dtype=torch.bool, device=self.device)
        stream = build(
            self.model.observe(observed, self.spec), ones, torch.full_like(ones, self.steps, dtype=torch.long)
        )
        if self.steps == 0:
            self.begin(stream.ids.shape[1] + self.spec.action_size)
        slots = self.open_step()
        first = stream.ids.shape[1]  # the place of the first action token
        hidden = self.extend(self.model.embedding(stream), slots[:first])
        chosen = []
        for index in range(self.spec.action_size):
            if index > 0:
                hidden = self.extend(*self.take_pending())
            chosen.append(self.choose(hidden, self.rows))
            self.pending = (self.embed_action(chosen[-1], first + index), slots[first + index : first + index + 1])
        self.steps += 1
        return self.actions(torch.stack(chosen, dim=1), self.rows.cpu().numpy())

    def begin(self, per_step: int) -> None:
        """Make the cache, and encode each distinct prompt once."""
        self.per_step = per_step
        prompt = None
        if self.prompt is not None:
            pieces, piece_index = self.prompt
            prompt = self.model.stream(pieces)
        self.front = 0 if prompt is None else prompt.ids.shape[1]
        total = self.front + self.window * per_step
        self.filled = torch.zeros(1, total, dtype=torch.bool, device=self.device)
        self.cache = self.transformer.cache(self.episodes, total)
        if prompt is None:
            return
        slots = torch.arange(self.front, device=self.device)
        encoded = self.transformer.cache(len(prompt.ids), self.front)
        distance = (slots[:, None] - slots)[None, None]
        self.transformer.extend(self.model.embedding(prompt), encoded, slots, distance >= 0, distance)
        piece_index = piece_index.to(self.device)
        for kept, new in zip(self.cache.keys + self.cache.values, encoded.keys + encoded.values, strict=True):
            kept[:, :, : self.front] = new[piece_index]
        if bool(prompt.valid.all()):
            self.filled[:, : self.front] = True
        else:  # prompts of several lengths
            self.filled = self.filled.repeat(self.episodes, 1)
            self.filled[:, : self.front] = prompt.valid[piece_index]
        if self.filled.shape[0] > 1 or len(self.rows) < self.episodes:
            self.keep(self.rows)

    def drop_finished(self, live: np.ndarray) -> None:
        """Drop the cache rows of finished episodes."""
        going = torch.as_tensor(live, device=self.device)[self.rows]
        if bool(going.all()):
            return
        kept = going.nonzero().squeeze(1)
        self.rows = self.rows[kept]
        if self.steps > 0:
            self.keep(kept)

    def keep(self, kept: Tensor) -> None:
        """Keep some rows of the cache."""
        self.cache.keep(kept)
        if self.filled.shape[0] > 1:
            self.filled = self.filled[kept]
        if self.pending is not None:
            self.pending = (self.pending[0][kept], self.pending[1])

    def open_step(self) -> Tensor:
        """The slots of this step's tokens, (K,); the step that held them leaves the cache."""
        begin = self.front + self.steps % self.window * self.per_step
        slots = torch.arange(begin, begin + self.per_step, device=self.device)
        self.filled[:, slots] = False
        return slots

    def take_pending(self) -> tuple[Tensor, Tensor]:
        assert self.pending is not None
        pending, self.pending = self.pending, None
        return pending

    def embed_action(self, ids: Tensor, place: int) -> Tensor:
        """Embeddings of one action token of every row, (R, 1, D)."""
        own = self.model.config.action_positions == "own"
        single = torch.ones_like(ids[:, None])
        stream = TokenSequence(
            ids=ids[:, None],
            token_types=single[:1] * TokenType.ACTION,
            position=single[:1] * (place if own else ACTION_POSITION),
            timesteps=single * self.steps,
            valid=single.bool(),
        )
        return self.model.embedding(stream)

    def extend(self, x: Tensor, slots: Tensor) -> Tensor:
        """Encode the pending token and new ones, (R, n, D), into the cache; return the last hidden state, (R, D)."""
        if self.pending is not None:
            before, slot = self.take_pending()
            x, slots = torch.cat([before, x], dim=1), torch.cat([slot, slots])
        count = len(slots)
        used = min(self.front + (self.steps + 1) * self.per_step, self.filled.shape[1])
        mask = self.filled[:, None, None, :used].repeat(1, 1, count, 1)  # (1 or R, 1, n, S)
        mask[..., slots] = torch.ones(count, count, dtype=torch.bool, device=x.device).tril()
        self.filled[:, slots] = True
        return self.transformer.extend(x, self.cache, slots, mask, self.distance(slots, used))[:, -1]

    def distance(self, slots: Tensor, used: int) -> Tensor:
        """Distance in tokens from each new slot to each used one, (1 or R, 1, n, S), as in a window's sequence.

        A step's age determines the distance, not its place in the ring. A prompt shorter than the longest one is
        padded at its end, and the padding does not count.
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
    """Encodes the whole window for every token: the reference, and possible for any causal sequence model."""

    def __init__(self, model: TokenModel, task: int, episodes: int, seed: int) -> None:
        super().__init__(model, task, episodes, seed)
        self.history = History(self.spec, episodes, 0.0, longest=self.window)

    @torch.inference_mode()
    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        """See backbone.interface.Player."""
        rows = np.flatnonzero(live)
        self.history.observe(observations, rewards, live)
        batch = self.history.window(self.window, live).to(self.device)
        if self.prompt is not None:
            pieces, piece_index = self.prompt
            own = piece_index[rows].to(self.device)
            batch = replace(batch, prompt=columns(pieces, lambda column: column[own]))
        stream = self.model.stream(join(batch))
        last = stream.valid.sum(dim=1)  # (R,): one past this step's last action token
        if self.spec.action_size > 1 and isinstance(self.model.transformer, Caches) and bool((last == last[0]).all()):
            chosen = self.encode_once(self.model.transformer, stream, int(last[0]), torch.as_tensor(rows))
        else:
            chosen = self.encode_each(stream, last, torch.as_tensor(rows))
        actions = self.actions(torch.stack(chosen, dim=1), rows)
        self.history.record(actions[rows], live)
        return actions

    def encode_once(self, transformer: Caches, stream: TokenSequence, last: int, rows: Tensor) -> list[Tensor]:
        """The action's A ids, (R,) each: the window is encoded once, then each chosen token, as with a whole pass."""
        first, places = last - self.spec.action_size, torch.arange(last, device=self.device)
        distance = (places[:, None] - places)[None, None]
        cache, begin, chosen = transformer.cache(len(rows), last), 0, []
        x = self.model.embedding(stream)[:, :first]
        for place in range(first, last):
            apart = distance[:, :, begin:place, :place]
            hidden = transformer.extend(x, cache, places[begin:place], apart >= 0, apart)
            chosen.append(self.choose(hidden[:, -1], rows))
            stream.ids[:, place] = chosen[-1]
            begin, x = place, self.model.embedding(stream.token(place))
        return chosen

    def encode_each(self, stream: TokenSequence, last: Tensor, rows: Tensor) -> list[Tensor]:
        """Likewise, by a whole pass for each id: for models without a cache, and windows of several lengths."""
        each, chosen = torch.arange(len(rows), device=self.device), []
        for index in range(self.spec.action_size):
            place = last - self.spec.action_size + index  # predicted at the position before it
            hidden = self.model.transformer(self.model.embedding(stream))[each, place - 1]
            chosen.append(self.choose(hidden, rows))
            stream.ids[each, place] = chosen[-1]
        return chosen
