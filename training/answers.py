"""Measures of what is answered and not played, on the part of a data set that is held out.

questions   the share that is answered rightly, an answer being the likeliest of the set's own. Beside it the blind
            line: to each question the answer that most often follows it in what is learned from
captions    the share whose own picture makes them likelier than nine others do; chance is a tenth
text        bits for each byte of whole documents, whatever their tokens are. Beside it gzip's, document by document,
            and what a document takes if its pieces are drawn by their frequency alone

An evaluation has a number for each picture or document, as one of episodes has for each episode: its mean over so many
questions, captions or bytes. A score is the mean over all of these.

Shapes   E pictures or documents
"""

import gzip
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from backbone.interface import Answers
from training.evaluate import Played
from trajectories.answered import BYTE
from trajectories.pairs import Pairs
from trajectories.text import Text

PICTURES = 10  # among which a caption's own is to be found
MOST_ANSWERS = 100  # that a question may have: the most frequent ones
SEED = 0  # of the order in which pictures and documents are measured, and of the pictures beside a caption's own
COUNTED = 1 << 22  # bytes whose pieces are counted


@dataclass(frozen=True)
class Reference:
    """What is to be beaten, on the same pictures or documents."""

    name: str
    values: np.ndarray  # (E,)
    counts: np.ndarray  # (E,), over how many questions, captions or bytes each is the mean

    @property
    def total(self) -> float:
        return float(np.average(self.values, weights=self.counts))


def measure(model: Answers, data: Pairs | Text, episodes: int) -> Played:
    """The measure of a data set.

    Args:
        episodes: pictures or documents at most, in a fixed order.
    """
    if isinstance(data, Text):
        return bits_per_byte(model, data, episodes)
    return (questions if data.has_questions else captions)(model, data, episodes)


def references(model: Answers, data: Pairs | Text, episodes: int) -> tuple[Reference, ...]:
    """What the measure of a data set stands beside; the first is the one to be named beside it."""
    if isinstance(data, Text):
        return compressed(data, episodes), unigram(model, data, episodes)
    return (blind(data, episodes) if data.has_questions else chance(data, episodes),)


def name_of(data: Pairs | Text) -> str:
    """questions, captions or text."""
    return "text" if isinstance(data, Text) else "questions" if data.has_questions else "captions"


# ---- questions ------------------------------------------------------------------------------------------------------


def questions(model: Answers, data: Pairs, episodes: int) -> Played:
    """The share of right answers to the questions about each picture."""
    pairs, picture = measured(data, episodes)
    answers = candidates(data)
    texts = [data.texts[place] for place in answers]
    about = [data.texts[place] for place in data.questions[pairs]]
    found = model.log_probabilities(data.origin.name, data.images[data.which[pairs]], about, [texts] * len(pairs))
    return by_unit(answers[found.argmax(axis=1)] == data.answers[pairs], picture)


def blind(data: Pairs, episodes: int) -> Reference:
    """The same of an answer that never looks: to each question its most frequent one, or the most frequent of all."""
    counts: dict[int, Counter[int]] = {}
    everything: Counter[int] = Counter()
    for question, answer in zip(data.questions[data.learned], data.answers[data.learned], strict=True):
        counts.setdefault(int(question), Counter())[int(answer)] += 1
        everything[int(answer)] += 1
    pairs, picture = measured(data, episodes)
    guesses = [counts.get(int(question), everything).most_common(1)[0][0] for question in data.questions[pairs]]
    played = by_unit(np.array(guesses) == data.answers[pairs], picture)
    return Reference("blind", played.returns, played.lengths)


def candidates(data: Pairs) -> np.ndarray:
    """The answers that are chosen from, as numbers of texts: all that are learned, or the most frequent of these."""
    answers, counts = np.unique(data.answers[data.learned], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return np.asarray(answers[order[:MOST_ANSWERS]])


# ---- captions -------------------------------------------------------------------------------------------------------


def captions(model: Answers, data: Pairs, episodes: int) -> Played:
    """The share of each picture's captions that find it among ten."""
    pairs, picture = measured(data, episodes)
    shown = np.stack([lineup(data, int(pair)) for pair in pairs])  # (n, PICTURES), its own first
    texts = [[data.texts[place]] for place in np.repeat(data.answers[pairs], shown.shape[1])]
    found = model.log_probabilities(data.origin.name, data.images[shown.reshape(-1)], [""] * len(texts), texts)
    found = found.reshape(shown.shape)
    return by_unit(found[:, 0] > found[:, 1:].max(axis=1), picture)


def lineup(data: Pairs, pair: int) -> np.ndarray:
    """A caption's own picture, then nine others that are held out and have other captions."""
    same = data.which[data.answers == data.answers[pair]]
    others = np.setdiff1d(data.which[data.measured], same)
    drawn = np.random.default_rng([SEED, pair]).permutation(others)[: PICTURES - 1]
    return np.concatenate([[data.which[pair]], drawn])


def chance(data: Pairs, episodes: int) -> Reference:
    """The same of one picture at random."""
    pairs, picture = measured(data, episodes)
    played = by_unit(np.full(len(pairs), 1 / len(lineup(data, int(pairs[0])))), picture)
    return Reference("chance", played.returns, played.lengths)


# ---- text -----------------------------------------------------------------------------------------------------------


def bits_per_byte(model: Answers, data: Text, episodes: int) -> Played:
    """The bits that each document takes, by its bytes."""
    places = documents(data, episodes)
    sizes = data.documents.sizes[places]
    return Played(model.nats([data.documents[place] for place in places]) / math.log(2) / sizes, sizes)


def compressed(data: Text, episodes: int) -> Reference:
    """The same of gzip at its best."""
    places = documents(data, episodes)
    sizes = data.documents.sizes[places]
    bits = [BYTE * len(gzip.compress(data.documents.bytes(place), 9, mtime=0)) for place in places]
    return Reference("gzip", np.array(bits) / sizes, sizes)


def unigram(model: Answers, data: Text, episodes: int) -> Reference:
    """The same where each piece is as likely as it is frequent in what is learned from, one added to each count."""
    counts: Counter[int] = Counter()
    every = -(-len(data) // COUNTED)
    for place in np.flatnonzero(~data.held_out)[::every]:
        counts.update(model.encode(data.documents[place]))
    places = documents(data, episodes)
    sizes = data.documents.sizes[places]
    rows = [model.encode(data.documents[place]) for place in places]
    kinds = len(counts.keys() | {piece for row in rows for piece in row})
    total = counts.total() + kinds
    bits = [sum(-math.log2((counts[piece] + 1) / total) for piece in row) for row in rows]
    return Reference("unigram", np.array(bits) / sizes, sizes)


# ---- what is measured -----------------------------------------------------------------------------------------------


def measured(data: Pairs, episodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that are held out of at most so many pictures, and the place of each one's picture among these."""
    pictures = shuffled(np.unique(data.which[data.measured]))[:episodes]
    place = np.full(len(data.images), -1)
    place[pictures] = np.arange(len(pictures))
    pairs = data.measured[place[data.which[data.measured]] >= 0]
    return pairs, place[data.which[pairs]]


def documents(data: Text, episodes: int) -> np.ndarray:
    """At most so many documents that are held out."""
    return shuffled(np.flatnonzero(data.held_out))[:episodes]


def count(data: Pairs | Text, episodes: int) -> int:
    """How many pictures or documents are measured."""
    held_out = int(data.held_out.sum()) if isinstance(data, Text) else len(np.unique(data.which[data.measured]))
    return min(episodes, held_out)


def shuffled(places: np.ndarray) -> np.ndarray:
    return np.random.default_rng(SEED).permutation(places)


def by_unit(values: np.ndarray, unit: np.ndarray) -> Played:
    """The mean of the values of each picture, and how many it has."""
    counts = np.bincount(unit)
    return Played(np.bincount(unit, values.astype(np.float64)) / counts, counts)


def total(played: Played) -> float:
    """The mean over all questions, captions or bytes."""
    return float(np.average(played.returns, weights=played.lengths))
