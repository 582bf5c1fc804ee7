"""Gato around the Decision Transformer's blocks: `--core dt`."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone import transformer
from gato import Config, Gato
from report import migration
from tests.toys import POINT, small, walk
from training.settings import parse
from trajectories.errors import UserError
from trajectories.types import Spec

LENGTHS = (12, 7, 12, 9)


def test_its_blocks_are_the_decision_transformer_s() -> None:
    usual, dt = small("gato", walk(LENGTHS)), small("gato", walk(LENGTHS), core="dt")
    kinds = [any(isinstance(part, transformer.Block) for part in model.modules()) for model in (usual, dt)]
    assert kinds == [False, True]


def test_it_looks_at_no_later_token() -> None:
    torch.manual_seed(0)
    core = Gato(Config(core="dt", width=32, heads=2, hidden=64), POINT).eval().transformer
    tokens = torch.randn(2, 9, 32)
    changed = tokens.clone()
    changed[:, 6:] = 0
    torch.testing.assert_close(core(changed)[:, :6], core(tokens)[:, :6])
    assert not torch.allclose(core(changed)[:, 6:], core(tokens)[:, 6:])


def test_it_learns_and_acts() -> None:
    torch.manual_seed(0)
    data = walk([12] * 30)
    data = replace(data, actions=np.sign(data.observations[:, :2]) * 0.5)
    model = small("gato", data, core="dt", width=64, prompt_share=0.0, batch_size=32)
    optimizer = torch.optim.AdamW(model.parameter_groups(), 3e-3)
    losses = []
    for update in range(30):
        loss = model.train().loss(model.sample(data, np.random.default_rng(update)))["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 2
    player, live = model.player(3, 0.0), np.ones(3, bool)
    for _ in range(3):
        actions = player.act(np.zeros((3, *POINT.observation_shape), np.float32), np.zeros(3), live)
    assert actions.shape == (3, *POINT.action_shape)


def test_runs_recorded_before_it_was_there_keep_their_names() -> None:
    config: dict[str, dict[str, object]] = {"run": {"model": "gato"}, "model": {"width": 128}}
    for core, same in (("gato", True), ("dt", False)):
        with_core = {**config, "model": {**config["model"], "core": core}}
        assert (migration.original("gato", with_core) == migration.original("gato", config)) is same


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(UserError, match="width is 128, and heads 3"):
        parse(["--model", "gato", "--core", "dt", "--heads", "3", "--env", "toy-medium"])
    Config(heads=3)  # Gato's own have a width of their own


def test_what_is_answered_is_refused_before_anything_is_learned() -> None:
    answered = Spec("captions", (16, 16, 3), (), max_episode_steps=5, observation_dtype="uint8", kind="pairs")
    with pytest.raises(UserError, match="captions is answered"):
        Gato(Config(core="dt"), (POINT, answered))
