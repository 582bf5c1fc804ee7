"""How Gato learns many tasks at once: few tasks an update, sequences of equal length, no task drowned by another."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gato import Config, Gato, MixedBatch, Mixture
from gato.multitask import sequences
from gato.player import Rolling
from gato.reading import alike
from tests.toys import POINT, SMALL, walk
from training.train import Losses
from trajectories.types import Spec, Trajectories

WIDE = replace(POINT, name="wide", observation_shape=(9,), action_shape=(6,))


def named(name: str, spec: Spec = POINT) -> Trajectories:
    data = walk((12, 7, 12, 9), spec=replace(spec, name=name))
    return replace(data, origin=replace(data.origin, name=name))


MIXTURE = Mixture((named("narrow"), named("wide", WIDE), named("third")), weights=(1.0, 2.0, 1.0))


def gato(**changes: Any) -> Gato:
    torch.manual_seed(0)
    model = Gato(Config(**{**SMALL["gato"], **changes}), MIXTURE.spec)  # type: ignore[arg-type]
    model.calibrate(MIXTURE)
    return model.eval()


def tasks_of(batch: Any) -> list[str]:
    assert isinstance(batch, MixedBatch)
    return [part.task for part in batch.parts]  # type: ignore[union-attr]


def test_an_update_has_as_many_tasks_as_are_drawn_and_all_its_sequences() -> None:
    model = gato(tasks_per_update=2, batch_size=9)
    for seed in range(20):
        batch = model.sample(MIXTURE, np.random.default_rng(seed))
        assert 1 <= len(tasks_of(batch)) <= 2
        assert isinstance(batch, MixedBatch)
        assert sum(map(sequences, batch.parts)) == 9


def test_every_task_gets_its_share_in_the_long_run() -> None:
    rng, found = np.random.default_rng(0), Counter[int]()
    for _ in range(2_000):
        found.update(dict(enumerate(MIXTURE.counts(rng, 12, draws=2))))
    shares = np.array([found[place] for place in range(3)]) / (12 * 2_000)
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_counts_without_draws_are_as_they_always_were() -> None:
    counts = MIXTURE.counts(np.random.default_rng(3), 32)
    assert counts.tolist() == np.random.default_rng(3).multinomial(32, [0.25, 0.5, 0.25]).tolist()


def test_sequences_of_all_tasks_have_about_as_many_tokens() -> None:
    model = gato(context_tokens=64, prompt_steps=1)
    for task in model.tasks:
        tokens = model.task_config(task).context * model.step_tokens(task)
        assert 64 - model.step_tokens(task) < tokens <= 64
    for part in model.sample(MIXTURE, np.random.default_rng(0)).parts:  # type: ignore[union-attr]
        assert part.mask.shape[1] == model.task_config(model.task(part.task)).context  # type: ignore[union-attr]


def test_a_prompt_leaves_room_for_a_step_where_sequences_are_short() -> None:
    model = gato(context_tokens=20, prompt_steps=1)
    wide = model.task("wide")  # 16 tokens a step
    assert (model.task_config(wide).context, model.task_config(wide).prompt_steps) == (1, 0)
    player = model.player(2, task="wide")
    assert isinstance(player, Rolling)
    assert (player.prompt, player.window) == (None, 1)


@pytest.mark.parametrize("memory", ["rolling", "recompute"])
def test_a_task_is_played_with_its_own_window(memory: str) -> None:
    model = gato(context_tokens=40, prompt_steps=1, memory=memory)
    for task in model.tasks:
        player, rng = model.player(3, task=task.name), np.random.default_rng(0)
        assert player.window + 1 == model.task_config(task).context  # type: ignore[attr-defined]
        for _ in range(12):
            actions = player.act(rng.normal(size=(3, *task.observation_shape)), np.zeros(3), np.ones(3, bool))
            assert actions.shape == (3, *task.action_shape)


def test_a_loss_by_task_weighs_no_task_by_the_length_of_its_actions() -> None:
    model = gato(loss_by="task")
    batch = model.sample(MIXTURE, np.random.default_rng(1))
    assert isinstance(batch, MixedBatch)
    means = {part.task: model.loss(part)["total"].item() for part in batch.parts}  # type: ignore[union-attr]
    sizes = {part.task: len(part.mask) for part in batch.parts}  # type: ignore[union-attr]
    expected = sum(means[name] * sizes[name] for name in means) / sum(sizes.values())
    assert model.loss(batch)["total"].item() == pytest.approx(expected, rel=1e-5)
    assert model.loss_weight(batch) == sum(sizes.values())
    assert gato().loss(batch)["total"].item() != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("changes", [{}, {"alibi": False}, {"loss_by": "task"}])
def test_tasks_read_together_are_judged_as_each_alone(changes: dict[str, Any]) -> None:
    model = gato(**changes)
    batch = model.sample(MIXTURE, np.random.default_rng(1))
    assert isinstance(batch, MixedBatch)
    assert len({model.stream(part).ids.shape[1] for part in batch.parts}) > 1  # type: ignore[arg-type]
    together, alone = model.scores(batch.parts), [model.scores([part])[0] for part in batch.parts]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_another_sequence_model_reads_tasks_together_too() -> None:
    class Sums(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.cumsum(1)

    model = gato()
    model.transformer = Sums()
    batch = model.sample(MIXTURE, np.random.default_rng(1))
    assert isinstance(batch, MixedBatch)
    for one, other in zip(model.scores(batch.parts), [model.scores([part])[0] for part in batch.parts], strict=True):
        torch.testing.assert_close(one, other)


def test_only_streams_of_similar_length_are_read_together() -> None:
    assert alike([100, 512, 90, 400, 10]) == [[1, 3], [0, 2], [4]]


def test_the_curve_has_each_tasks_loss_where_it_was_drawn() -> None:
    losses = Losses()
    for one in (1.0, 3.0):
        losses.add({"total": torch.tensor(one), "walk": torch.tensor(one), "run": torch.tensor(torch.nan)})
    assert losses.average(2) == {"loss/total": 2.0, "loss/walk": 2.0}
    model = gato(tasks_per_update=1)
    loss = model.loss(model.sample(MIXTURE, np.random.default_rng(0)))
    assert {"narrow", "wide", "third"} <= set(loss)
    assert sum(bool(loss[name].isnan()) for name in ("narrow", "wide", "third")) == 2


def test_a_loss_that_is_no_number_is_still_an_error() -> None:
    losses = Losses()
    for one in (1.0, float("nan")):
        losses.add({"total": torch.tensor(one)})
    with pytest.raises(Exception, match="The loss is nan"):
        losses.average(2)
