"""What Gato offers where a task is answered and not played: how likely answers and documents are, and its own answers.

Shapes   N pictures, C answers to each, D documents
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from gato import answers, language
from gato.answers import Reader
from gato.embedding import Embedding
from gato.scores import score_each
from gato.stream import TokenSequence
from gato.tokenizing import Tokenizing
from trajectories.types import Spec


class Answering(Tokenizing):
    """The part of `Gato` that is backbone.interface.Answers; the rest of it is in model.py."""

    embedding: Embedding
    transformer: nn.Module

    @abstractmethod
    def legal(self, task: Spec) -> slice: ...
    @abstractmethod
    def hidden(self, stream: TokenSequence, queries: Int[Tensor, "R"]) -> Float[Tensor, "B R D"]: ...
    @abstractmethod
    def logits(self, hidden: Float[Tensor, "*n D"], ids: slice) -> Float[Tensor, "*n V"]: ...

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Text's rows that another run has learned stand for its pieces."""
        rows, model = weights.get("embedding.table.text"), weights.get("texts.pieces.model")
        if self.texts.pieces is None or rows is None or model is None:
            return
        if rows.shape == self.embedding.table.pieces.shape:
            self.texts.pieces.keep(model)

    @torch.inference_mode()
    def log_probabilities(
        self,
        task: str,
        images: UInt8[np.ndarray, "N H W 3"],
        questions: Sequence[str],
        candidates: Sequence[Sequence[str]],
    ) -> Float[np.ndarray, "N C"]:
        """See backbone.interface.Answers."""

        def read(images: np.ndarray, questions: Sequence[str], longest: int) -> Reader:
            return self.reader(task, images, questions, longest)

        return answers.log_probabilities(read, self.texts.tokenizer, images, questions, candidates)

    @torch.inference_mode()
    def answer(self, task: str, images: np.ndarray, questions: Sequence[str], longest: int = 32) -> list[str]:
        """See backbone.interface.Answers."""
        return answers.answer(self.reader(task, images, questions, longest), self.texts.tokenizer, longest)

    def reader(self, task: str, images: np.ndarray, questions: Sequence[str], longest: int) -> Reader:
        """Has read questions and pictures of a task, and has room for so many tokens of an answer."""
        nothing = [""] * len(images)
        batch = answers.batch_of(images[:, None], questions, nothing, self.texts.tokenizer, self.room(task), task)
        batch = batch.to(self.embedding.table.values.device).without_answers()
        return Reader(self, batch, self.legal(self.task(task)), longest)

    @torch.inference_mode()
    def nats(self, documents: Sequence[str]) -> Float[np.ndarray, "D"]:
        """See backbone.interface.Answers."""

        def score(rows: TokenSequence, counted: Tensor) -> Tensor:
            where, ids = self.embedding.table.values.device, self.text_ids
            rows, counted = rows.to(where), counted.to(where)[:, 1:] & rows.valid.to(where)[:, 1:]
            queries = counted.any(dim=0).nonzero().squeeze(1)
            found = torch.zeros(len(counted), device=where)
            if not len(queries):
                return found
            rest = counted[:, queries]
            hidden, targets = self.hidden(rows, queries)[rest], rows.ids[:, 1:][:, queries][rest]
            losses = score_each(hidden, targets - ids.start, self.embedding.table.rows(ids))
            return found.index_add(0, rest.nonzero()[:, 0], losses)

        return language.nats(documents, self.texts.tokenizer, self.longest(), score)

    @torch.inference_mode()
    def go_on(self, text: str, tokens: int, seed: int = 0) -> str:
        """See backbone.interface.Answers."""
        where, pieces = self.embedding.table.values.device, self.texts.tokenizer
        written, rng = pieces.encode(text), np.random.default_rng(seed)
        known = len(written)
        for _ in range(tokens):
            rows = language.sequence([[pieces.begin, *written[1 - self.longest() :]]]).to(where)
            last = torch.tensor([rows.ids.shape[1] - 1], device=where)
            logits = self.logits(self.hidden(rows, last), self.text_ids).flatten().float() / self.config.temperature
            chosen = (logits.softmax(0).cumsum(0) < rng.random()).sum()
            written.append(min(int(chosen), len(pieces) - 1))
        return pieces.decode(written[known:])

    def encode(self, text: str) -> list[int]:
        """See backbone.interface.Answers."""
        return self.texts.tokenizer.encode(text)
