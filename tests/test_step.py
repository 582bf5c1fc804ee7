"""One update's step: by pieces, with activations computed twice, and from columns that lie elsewhere."""

from collections.abc import Iterator
from dataclasses import fields
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from backbone.interface import SequenceModel
from gato import scores
from tests.toys import SCREEN, small, walk
from training import train
from training.settings import Run, parse
from training.step import GradientStep, copy_of, refill
from trajectories.errors import UserError
from trajectories.windows import sample_windows, to_device

LENGTHS = (12, 1, 7, 12, 3)
CPU = torch.device("cpu")


def gradients(model: SequenceModel, batch: object, micro_batch: int = 0) -> dict[str, Tensor]:
    step = GradientStep(model, train.adamw(model), "fp32", micro_batch)
    if step.pieces == 1:
        step.backward(batch)
    else:
        step.backward_by_pieces(batch)
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("name", ["bc", "dt", "tt", "gato"])
def test_gradients_of_pieces_add_up_to_those_of_the_whole_batch(name: str) -> None:
    data = walk(LENGTHS)
    model = small(name, data, dropout=0.0)
    batch = model.sample(data, np.random.default_rng(0))
    whole = gradients(model, batch)
    model.zero_grad()
    pieces = gradients(model, batch, micro_batch=3)
    assert whole.keys() == pieces.keys()
    for parameter, gradient in whole.items():
        torch.testing.assert_close(pieces[parameter], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["bc", "dt", "tt"])
def test_a_run_by_pieces_reports_the_loss_of_the_whole_batch(name: str) -> None:
    data = walk(LENGTHS)
    losses = []
    for micro_batch in (0, 3):
        torch.manual_seed(0)
        model = small(name, data, dropout=0.0)
        step = train.make_step(model, "fp32", micro_batch=micro_batch)
        losses.append(train.update(model, data, step.optimizer, Run(), train.Progress(), step))
    assert losses[1]["total"].item() == pytest.approx(losses[0]["total"].item(), rel=1e-5)


def same(first: object, second: object) -> Iterator[bool]:
    for field in fields(first):  # type: ignore[arg-type]
        one, other = getattr(first, field.name), getattr(second, field.name)
        yield torch.equal(one, other) if isinstance(one, Tensor) else one == other


@pytest.mark.parametrize("spec", [None, SCREEN])
def test_windows_of_columns_on_a_device_are_those_of_columns_in_memory(spec: object) -> None:
    data = walk(LENGTHS) if spec is None else walk(LENGTHS, spec=spec)
    moved = to_device(data, CPU)
    windows = [sample_windows(each, np.random.default_rng(3), 16, 5) for each in (data, moved)]
    assert all(same(*windows))


def test_trajectory_transformer_reads_the_same_from_columns_on_a_device() -> None:
    data = walk(LENGTHS)
    model = small("tt", data)
    batches = [model.sample(each, np.random.default_rng(3)) for each in (data, to_device(data, CPU))]
    assert all(same(*batches))


def test_a_refilled_batch_is_the_new_one_and_shares_no_memory_with_it() -> None:
    data = walk(LENGTHS)
    first, second = (sample_windows(data, np.random.default_rng(seed), 8, 4) for seed in (0, 1))
    batch = copy_of(first)
    refill(batch, second)
    assert all(same(batch, second))
    second.rewards[:] = -1
    assert not torch.equal(batch.rewards, second.rewards)


def test_gato_learns_the_same_with_logits_in_pieces_and_blocks_computed_twice() -> None:
    data = walk(LENGTHS)
    model = small("gato", data).train()
    batch = model.sample(data, np.random.default_rng(0))
    plain = gradients(model, batch)
    model.zero_grad()
    setattr(model.transformer, "recompute", True)  # noqa: B010
    with mock.patch.object(scores, "MOST_LOGITS", 4096):
        again = gradients(model, batch)
    for parameter, gradient in plain.items():
        torch.testing.assert_close(again[parameter], gradient, rtol=1e-4, atol=1e-6)


def test_columns_stay_in_memory_where_a_model_is_not_on_a_gpu() -> None:
    data = walk(LENGTHS)
    model = small("dt", data)
    assert train.to_gpu(data, model) is data


def test_pieces_are_refused_where_torchrun_shares_the_batch_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.distributed, "size", lambda: 2)
    with pytest.raises(UserError, match=r"--micro-batch is 4.*leave it out"):
        train.make_step(small("dt", walk(LENGTHS)), "fp32", micro_batch=4)


def test_recompute_is_refused_for_a_model_that_would_ignore_it() -> None:
    assert parse(["--model", "gato", "--recompute"]).machine.recompute
    with pytest.raises(UserError, match="--recompute is Gato's, and dt"):
        parse(["--model", "dt", "--recompute"])
