"""Pairs for Gato: a question and a picture are a timestep's observation, and the answer takes an action's place.

Paper    Reed et al. 2022, arXiv:2205.06175: five pairs of a picture and a text make an episode
Order    question, patches, separator, answer; an answer ends with the tokenizer's last id
Targets  the answer alone. Questions are read and not learned

Questions have room for the longest of the data's, so that patches have the same positions in every batch; an answer
may have any length.

Shapes   B sequences, T pairs of a sequence, q and a tokens of the longest question and answer, N pictures, C answers
         to each, L tokens, D width, S slots of a cache
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, device

from gato.stream import TokenBlock, TokenSequence, TokenType
from gato.text import Text
from gato.transformer import Caches
from trajectories.errors import UserError
from trajectories.pairs import EPISODE, Pairs
from trajectories.progress import progress

QUESTION, ANSWER = 128, 128  # tokens at most; what is longer is cut
ROWS = 128  # pictures that are read at once


@dataclass(frozen=True)
class PairBatch:
    """B sequences of T pairs of one task. Padding of questions and answers is zero."""

    images: UInt8[Tensor, "B T H W 3"]
    questions: Int[Tensor, "B T q"]
    answers: Int[Tensor, "B T a"]
    question_lengths: Int[Tensor, "B T"]
    answer_lengths: Int[Tensor, "B T"]
    task: str

    @property
    def mask(self) -> Bool[Tensor, "B T"]:
        """Where there is a pair: everywhere."""
        return torch.ones_like(self.answer_lengths, dtype=torch.bool)

    def count_tokens(self, patch: int) -> Int[Tensor, ""]:
        """Tokens of questions, patches, separators and answers."""
        height, width = self.images.shape[2:4]
        observed = -(-height // patch) * -(-width // patch) + 1
        return self.question_lengths.sum() + self.mask.sum() * observed + self.answer_lengths.sum()

    def loss_weight(self) -> int:
        """Target tokens: those of the answers."""
        return int(self.answer_lengths.sum())

    def without_answers(self) -> "PairBatch":
        """The same, to be answered."""
        return replace(self, answers=self.answers[:, :, :0], answer_lengths=torch.zeros_like(self.answer_lengths))

    def to(self, where: device | str) -> "PairBatch":
        columns = (each.name for each in fields(self) if each.name != "task")
        return replace(self, **{name: getattr(self, name).to(where, non_blocking=True) for name in columns})


def sample(data: Pairs, rng: np.random.Generator, size: int, text: Text, room: int) -> PairBatch:
    """Episodes of five pairs, each drawn uniformly from those to learn from."""
    places = data.learned[rng.integers(len(data.learned), size=(size, EPISODE))]
    questions, answers = (
        [data.texts[place] for place in column[places.reshape(-1)]] for column in (data.questions, data.answers)
    )
    images = data.images[data.which[places]]
    return batch_of(images, questions, answers, text, room, data.spec.name)


def batch_of(
    images: np.ndarray, questions: Sequence[str], answers: Sequence[str], text: Text, room: int, task: str
) -> PairBatch:
    """(B, T, H, W, 3) images and B T texts as a batch.

    Args:
        room: tokens of a question.
    """
    shape = images.shape[:2]
    of_questions, question_lengths = _padded([text.encode(each)[:room] for each in questions], room)
    of_answers, answer_lengths = _padded([answer_ids(each, text) for each in answers])
    return PairBatch(
        torch.from_numpy(np.ascontiguousarray(images)),
        of_questions.reshape(*shape, -1),
        of_answers.reshape(*shape, -1),
        question_lengths.reshape(shape),
        answer_lengths.reshape(shape),
        task,
    )


def answer_ids(answer: str, text: Text) -> list[int]:
    """An answer's tokens, the last id behind them."""
    return [*text.encode(answer)[:ANSWER], text.end]


def question_room(data: Pairs, text: Text) -> int:
    """Tokens of the longest question to learn from."""
    of_questions = np.unique(data.questions[data.learned])
    return min(QUESTION, max(len(text.encode(data.texts[place])) for place in of_questions))


def blocks(batch: PairBatch, image: Sequence[TokenBlock], separator: TokenBlock) -> list[TokenBlock]:
    """A batch's blocks in their order; `image` and `separator` are of its images."""
    of_questions = TokenBlock(TokenType.INSTRUCTION, batch.questions, _within(batch.questions, batch.question_lengths))
    answered = TokenBlock(TokenType.TEXT, batch.answers, _within(batch.answers, batch.answer_lengths))
    return [*([of_questions] if batch.questions.shape[2] else []), *image, separator, answered]


def _padded(rows: list[list[int]], room: int | None = None) -> tuple[Int[Tensor, "n k"], Int[Tensor, "n"]]:
    longest = max(map(len, rows), default=0) if room is None else room
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], dtype=torch.long)
    return ids.reshape(len(rows), longest), torch.tensor([len(row) for row in rows])


def _within(ids: Int[Tensor, "B T n"], lengths: Int[Tensor, "B T"]) -> Bool[Tensor, "B T n"]:
    return torch.arange(ids.shape[2], device=ids.device) < lengths[:, :, None]


# ---- measuring and answering ----------------------------------------------------------------------------------------


@runtime_checkable
class PairModel(Protocol):
    """What answering needs of the model; `Gato` documents each."""

    embedding: Any
    transformer: Any

    def stream(self, batch: PairBatch) -> TokenSequence: ...
    def logits(self, hidden: Tensor, ids: slice) -> Tensor: ...


class Reader:
    """Reads N questions and pictures once, and then any number of answers to each.

    Args:
        batch: of sequences of one pair each, whose answers are empty.
        ids: that an answer's tokens can be.

    Raises:
        UserError: the sequence model has no cache.
    """

    def __init__(self, model: PairModel, batch: PairBatch, ids: slice, longest: int) -> None:
        if not isinstance(model.transformer, Caches):
            raise UserError("Answers are read behind kept keys and values: use Gato's own transformer.")
        self.model, self.ids, self.task = model, ids, batch.task
        self.transformer: Caches = model.transformer
        self.stream = stream = model.stream(batch)
        self.lengths = stream.valid.sum(dim=1)  # (N,)
        self.front = stream.ids.shape[1]
        self.first = int(batch.questions.shape[2]) + self._observed(stream)  # the position of an answer's first token
        where = stream.ids.device
        self.cache = self.transformer.cache(len(stream.ids), self.front + longest)
        slots = torch.arange(self.front, device=where)
        distance = (slots[:, None] - slots)[None, None]
        hidden = self.transformer.extend(model.embedding(stream), self.cache, slots, distance >= 0, distance)
        self.last = hidden[torch.arange(len(hidden), device=where), self.lengths - 1]  # (N, D)

    @staticmethod
    def _observed(stream: TokenSequence) -> int:
        """Patches and separator."""
        kinds = stream.token_types.expand(stream.ids.shape)[0]
        return int(((kinds == TokenType.PATCH) | (kinds == TokenType.SEPARATOR)).sum())

    def log_probabilities(self, answers: Int[Tensor, "N a"], lengths: Int[Tensor, "N"]) -> Float[Tensor, "N"]:
        """How likely each answer is, in nats: the sum over its tokens."""
        hidden = torch.cat([self.last[:, None], self.read(answers[:, :-1])], dim=1)  # (N, a, D)
        scores = self.model.logits(hidden, self.ids).float().log_softmax(dim=2)
        found = scores.gather(2, answers[:, :, None] - self.ids.start).squeeze(2)
        inside = torch.arange(answers.shape[1], device=answers.device) < lengths[:, None]
        return (found * inside).sum(dim=1)

    def read(self, ids: Int[Tensor, "N n"]) -> Float[Tensor, "N n D"]:
        """Hidden states at the first tokens of answers, which take the place of those that were read before."""
        count, where = ids.shape[1], ids.device
        if count == 0:
            return self.last[:, None][:, :0]
        new = torch.arange(count, device=where)
        slots = torch.cat([torch.arange(self.front, device=where), self.front + new])
        own = self.lengths[:, None, None] + new[:, None]  # (N, n, 1): a new token's place in its sequence
        ends = self.lengths[:, None]
        places = torch.where(slots < self.front, slots, slots - self.front + ends)[:, None]  # (N, 1, S)
        sees = ((slots >= self.front) | (slots < ends))[:, None] & (places <= own)
        stream = TokenSequence(
            ids=ids,
            token_types=torch.full_like(ids[:1], TokenType.TEXT),
            position=(self.first + new)[None],
            timesteps=torch.zeros_like(ids),
            valid=torch.ones_like(ids, dtype=torch.bool),
        )
        x = self.model.embedding(stream)
        return self.transformer.extend(x, self.cache, self.front + new, sees[:, None], (own - places)[:, None])


def log_probabilities(
    read: Callable[[np.ndarray, Sequence[str], int], Reader],
    text: Text,
    images: np.ndarray,
    questions: Sequence[str],
    answers: Sequence[Sequence[str]],
) -> Float[np.ndarray, "N C"]:
    """How likely each of C answers to each of N questions is, in nats.

    Args:
        read: makes the reader of some pictures and questions, with room for so many tokens of an answer.
    """
    found = np.zeros((len(images), len(answers[0])))
    with progress(len(images), "answering", "pictures") as bar:
        for first in range(0, len(images), ROWS):
            some = slice(first, first + ROWS)
            rows = [[answer_ids(answer, text) for answer in row] for row in answers[some]]
            longest = max(len(ids) for row in rows for ids in row)
            reader = read(images[some], questions[some], longest)
            for column in range(found.shape[1]):
                ids, lengths = _padded([row[column] for row in rows])
                where = reader.last.device
                found[some, column] = reader.log_probabilities(ids.to(where), lengths.to(where)).double().cpu().numpy()
            bar.update(len(rows))
    return found


def answer(reader: Reader, text: Text, longest: int) -> list[str]:
    """The likeliest tokens one after another, up to the last id or `longest` of them."""
    ids = torch.zeros(len(reader.lengths), 0, dtype=torch.long, device=reader.last.device)
    for _ in range(longest):
        hidden = torch.cat([reader.last[:, None], reader.read(ids)], dim=1)[:, -1]
        ids = torch.cat([ids, reader.ids.start + reader.model.logits(hidden, reader.ids).argmax(dim=1)[:, None]], dim=1)
        if bool((ids == text.end).any(dim=1).all()):
            break
    rows = ids.tolist()
    return [text.decode(row[: row.index(text.end)] if text.end in row else row) for row in rows]
