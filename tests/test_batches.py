"""Batches drawn ahead of their update by a thread (training/batches.py), as on a GPU."""

from dataclasses import fields, is_dataclass
from functools import partial

import numpy as np
import pytest
import torch

from experiments import run
from gato.multitask import MixedBatch
from tests.test_training import SIZES, outcome, words
from tests.toys import MISSION, POINT, small, walk
from training import train
from training.batches import Ahead, batches, drawn, pinned
from training.settings import Run
from trajectories.mixture import Mixture


def tensors(batch):
    """All tensors of a nested batch, in their order."""
    if isinstance(batch, torch.Tensor):
        return [batch]
    if isinstance(batch, tuple):
        return [tensor for part in batch for tensor in tensors(part)]
    return tensors(tuple(getattr(batch, each.name) for each in fields(batch))) if is_dataclass(batch) else []


def mixture():
    return Mixture((walk((12, 7, 9)), walk((5, 12), spec=MISSION)))


@pytest.mark.parametrize("name", ["bc", "dt", "tt", "gato", "gato of several tasks"])
def test_batches_drawn_ahead_are_those_drawn_for_their_update(name):
    data = mixture() if "several" in name else walk((12, 7, 9), spec=POINT)
    model = small(name.partition(" ")[0], data)
    now = partial(drawn, model, data, Run(seed=3))
    ahead = Ahead(now)
    for number in (5, 6, 7, 3, 4):  # a run that goes on begins anywhere
        for found, usual in zip(tensors(ahead(number)), tensors(now(number)), strict=True):
            assert torch.equal(found, usual)


def test_a_run_whose_batches_are_drawn_ahead_ends_the_same(tmp_path, monkeypatch):
    run.main(words("gato", tmp_path / "now", *SIZES["gato"]))
    monkeypatch.setattr(train, "batches", lambda *arguments: Ahead(partial(drawn, *arguments)))
    run.main(words("gato", tmp_path / "ahead", *SIZES["gato"]))
    assert outcome(tmp_path / "ahead") == outcome(tmp_path / "now")


def test_what_a_thread_cannot_draw_is_raised_by_its_update():
    def refuse(number):
        raise ValueError(f"no batch {number}")

    with pytest.raises(ValueError, match="no batch 8"):
        Ahead(refuse)(8)


def test_without_a_gpu_nothing_is_drawn_ahead():
    data = walk((12, 7, 9))
    assert not isinstance(batches(small("dt", data), data, Run()), Ahead)


def test_every_tensor_of_a_nested_batch_is_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 0 if self.dtype != torch.bool else self.clone())
    model = small("gato", mixture(), prompt_share=1.0)
    batch = model.sample(mixture(), np.random.default_rng(0))
    assert isinstance(batch, MixedBatch)
    moved = pinned(batch)
    assert [part.task for part in moved.parts] == [part.task for part in batch.parts]
    pairs = list(zip(tensors(moved), tensors(batch), strict=True))
    assert len(pairs) > 2 * len(batch.parts)
    assert all(torch.equal(*pair) and pair[0] is not pair[1] for pair in pairs)
