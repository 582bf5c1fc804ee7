"""Tasks of one shape that differ in their actions alone, as two games do: each batch names its own."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from gato import Config, Gato, MixedBatch, Mixture
from gato.prompts import read_demonstration
from tests.toys import SCREEN, SMALL, SMALL_ON_IMAGES, random_observations, small, walk
from training.checkpoint import load_model, save_model
from training.step import rows_of
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Trajectories

ACTIONS = {"breakout": 4, "pong": 6}
ORDERS = [("breakout", "pong"), ("pong", "breakout")]


def game(name: str) -> Trajectories:
    data = walk((12, 7, 12, 9), spec=replace(SCREEN, name=name, actions=ACTIONS[name]))
    data.actions[: ACTIONS[name]] = np.arange(ACTIONS[name])  # each of them is done
    return data


def gato(mixture: Mixture) -> Gato:
    torch.manual_seed(0)
    config = Config(**{**SMALL["gato"], **SMALL_ON_IMAGES["gato"], "prompt_share": 0.5})  # type: ignore[arg-type]
    model = Gato(config, mixture.spec)
    model.calibrate(mixture)
    return model.eval()


def parts(model: Gato, mixture: Mixture) -> dict[str, Batch]:
    batch = model.sample(mixture, np.random.default_rng(0))
    assert isinstance(batch, MixedBatch)
    return {part.task: part for part in batch.parts if isinstance(part, Batch)}


@pytest.mark.parametrize("names", ORDERS)
def test_each_game_is_learned_over_its_own_actions_in_any_order(names: tuple[str, str]) -> None:
    mixture = Mixture(tuple(map(game, names)))
    model = gato(mixture)
    torch.nn.init.zeros_(model.embedding.table.values)  # every action is as likely as any other
    for name, part in parts(model, mixture).items():
        assert model.loss(part)["total"].item() == pytest.approx(log(ACTIONS[name]))
        assert model.loss_weight(part) == int(part.mask.sum()) + (int(part.prompt.mask.sum()) if part.prompt else 0)


@pytest.mark.parametrize("decoding", ["sampled", "likely"])
@pytest.mark.parametrize("memory", ["rolling", "recompute"])
@pytest.mark.parametrize("names", ORDERS)
def test_each_game_is_played_with_its_own_actions_whichever_comes_first(
    names: tuple[str, str], memory: str, decoding: str
) -> None:
    model = gato(Mixture(tuple(map(game, names))))
    model.config = replace(model.config, memory=memory, decoding=decoding, temperature=100.0)
    ones = torch.ones_like(model.embedding.table.values[:6])
    model.embedding.table.values.data[1024 : 1024 + 6] = ones * torch.arange(6.0)[:, None]  # the last are preferred
    done: dict[str, set[int]] = {}
    for name in names:
        player = model.player(16, task=name)
        screens = random_observations(np.random.default_rng(1), SCREEN, (4, 16, *SCREEN.observation_shape))
        done[name] = {int(a) for now in screens for a in player.act(now, np.zeros(16), np.ones(16, bool))}
    for name in names:
        assert done[name] <= set(range(ACTIONS[name]))
    if decoding == "sampled":
        assert done == {name: set(range(ACTIONS[name])) for name in names}


def test_a_batch_names_its_data_set_through_prompts_devices_shares_and_checkpoints(tmp_path: Path) -> None:
    one, other = walk((12, 7, 12, 9)), walk((12, 9, 12), seed=1)  # recorded in one environment
    named = [
        replace(data, origin=replace(data.origin, name=name))
        for data, name in ((one, "point-medium"), (other, "point-expert"))
    ]
    mixture = Mixture(tuple(named))
    assert [spec.name for spec in mixture.spec] == ["point-medium", "point-expert"]
    save_model(tmp_path, "gato", gato(mixture))
    model = load_model(tmp_path)
    assert isinstance(model, Gato)
    batch = model.sample(mixture, np.random.default_rng(0)).to("cpu")
    for rank in range(2):
        share = rows_of(batch, slice(rank, None, 2))
        assert [part.task for part in share.parts] == ["point-medium", "point-expert"]
        assert {part.prompt.task for part in share.parts if part.prompt} <= {"point-medium", "point-expert"}
        assert torch.isfinite(model.loss(share)["total"])


@pytest.mark.parametrize("model", [name for name in SMALL if name != "nearest"])
def test_every_models_batches_name_the_task_of_their_data(model: str) -> None:
    data = walk((12, 7, 12))
    batch = small(model, data).sample(data, np.random.default_rng(0))
    assert batch.task == batch.to("cpu").task == data.spec.name


def test_a_batch_of_an_unknown_task_is_refused_whatever_its_shape() -> None:
    mixture = Mixture((game("breakout"), game("pong")))
    model = gato(mixture)
    for part in parts(model, mixture).values():
        with pytest.raises(UserError, match=r"no task called 'qbert', only breakout, pong"):
            model.loss(replace(part, task="qbert"))


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="Two tasks are called 'screen'"):
        Gato(Config(), (SCREEN, SCREEN))


def test_a_demonstration_with_actions_that_the_game_does_not_have_is_refused(tmp_path: Path) -> None:
    data, path = game("pong"), tmp_path / "pong.npz"
    screens = random_observations(np.random.default_rng(0), SCREEN, (6, *SCREEN.observation_shape))
    np.savez(path, observations=screens, actions=data.actions[:6])
    assert read_demonstration(path, data.spec)[1].tolist() == list(range(6))
    with pytest.raises(UserError, match="holds actions 0 to 5, but breakout has 0 to 3"):
        read_demonstration(path, game("breakout").spec)


def test_weights_saved_under_the_transformer_s_old_name_are_loaded():
    model = Gato(Config(), SCREEN)
    saved = {name.replace("transformer.", "core.", 1): value for name, value in model.state_dict().items()}
    assert saved.keys() != model.state_dict().keys()
    Gato(Config(), SCREEN).load_state_dict(saved)
