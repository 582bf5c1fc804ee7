"""What the Decision Transformer reads, and that it reaches its target return."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from backbone.transformer import Dropout, Transformer, causal
from decision_transformer.config import Config
from decision_transformer.model import HIGHEST, DecisionTransformer
from environments.interface import Environments, Step
from environments.make import make
from sources.loading import Request, load
from tests.toys import POINT, SCREEN, small, walk
from training.evaluate import evaluate
from training.settings import Run, parse
from training.train import Progress, adamw, update
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories
from trajectories.windows import cut


@pytest.fixture(scope="module")
def batch() -> Batch:
    data = walk((12, 7))
    return cut(data, first=np.array([0, 12, 12]), last=np.array([9, 18, 13]), length=4)


@pytest.fixture(scope="module")
def model() -> DecisionTransformer:
    torch.manual_seed(0)
    found = small("dt", walk((12, 7)))
    assert isinstance(found, DecisionTransformer)
    return found


@pytest.mark.parametrize("column", ["actions", "rewards"])
def test_it_does_not_read_its_own_last_action_or_reward(model: DecisionTransformer, batch: Batch, column: str) -> None:
    changed = getattr(batch, column).clone()
    changed[:, -1] = 0.9
    assert torch.equal(model(replace(batch, **{column: changed})), model(batch))


@pytest.mark.parametrize("column", ["observations", "actions", "returns_to_go"])
def test_it_reads_nothing_of_the_future(model: DecisionTransformer, batch: Batch, column: str) -> None:
    changed = getattr(batch, column).clone()
    changed[:, -1] += 5
    before = slice(None, -1)
    assert torch.equal(model(replace(batch, **{column: changed}))[:, before], model(batch)[:, before])


@pytest.mark.parametrize("column", ["observations", "actions", "returns_to_go", "timesteps"])
def test_it_reads_all_that_came_before(model: DecisionTransformer, batch: Batch, column: str) -> None:
    changed = getattr(batch, column).clone()
    changed[:, -2] = changed[:, -2] + 2
    assert not torch.equal(model(replace(batch, **{column: changed}))[:2, -1], model(batch)[:2, -1])


def test_a_padded_window_is_judged_like_the_short_window_itself(model: DecisionTransformer) -> None:
    data = walk((12, 7))
    first, last = np.array([12]), np.array([13])
    padded, exact = cut(data, first, last, 4), cut(data, first, last, 2)
    torch.testing.assert_close(model(padded)[:, -2:], model(exact))


def test_the_latest_action_alone_is_the_last_of_all_actions(model: DecisionTransformer, batch: Batch) -> None:
    torch.testing.assert_close(model(batch, latest_only=True), model(batch)[:, -1:])


def test_the_last_block_gives_the_chosen_outputs_of_the_whole() -> None:
    torch.manual_seed(0)
    transformer = Transformer(16, layers=2, heads=2, dropout=0.0).eval()
    x, real = torch.randn(2, 6, 16), torch.tensor([[False] * 2 + [True] * 4, [True] * 6])
    positions = slice(1, None, 3)
    torch.testing.assert_close(transformer(x, real, positions), transformer(x, real)[:, positions])


def test_attention_with_dropout_switched_on_at_rate_zero_equals_the_fused_kernel():
    torch.manual_seed(0)
    block = Transformer(16, layers=1, heads=2, dropout=0.0).blocks[0]
    query, key, value = torch.randn(3, 2, 2, 5, 8)
    visible = causal(torch.ones(2, 5, dtype=torch.bool))
    fused = block.attend(query, key, value, visible)
    block.attention_dropout.rate = 1e-9
    torch.testing.assert_close(block.train().attend(query, key, value, visible), fused)


def test_dropout_keeps_the_mean_and_drops_the_given_share() -> None:
    torch.manual_seed(0)
    dropped = Dropout(0.1).train()(torch.ones(1_000_001))
    assert abs((dropped == 0).float().mean().item() - 0.1) < 1e-3
    assert abs(dropped.mean().item() - 1) < 2e-3
    assert torch.equal(Dropout(0.1).eval()(torch.ones(5)), torch.ones(5))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    return load(Request(name="toy-medium", source="collected", steps=4_000, data_dir=tmp_path_factory.mktemp("data")))


def taught(name: str, toy: Trajectories, updates: int, **changes: object) -> DecisionTransformer:
    run = Run(updates=updates)
    torch.manual_seed(0)
    model = small(name, toy, learning_rate=1e-3, batch_size=32, **changes)
    model.train()
    optimizer, done = adamw(model), Progress()
    for _ in range(updates):
        update(model, toy, optimizer, run, done)
    return model  # type: ignore[return-value]


class Paid:
    """An environment whose rewards are multiplied."""

    def __init__(self, environments: Environments, factor: float) -> None:
        self.environments, self.factor = environments, factor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.environments, name)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        step = self.environments.step(actions, live)
        return step._replace(rewards=step.rewards * self.factor)


def scaled(data: Trajectories, factor: float) -> Trajectories:
    size = np.float32(factor)
    return replace(data, rewards=data.rewards * size, returns_to_go=data.returns_to_go * size)


def test_target_returns_are_reached_though_returns_are_small(toy: Trajectories) -> None:
    model = taught("dt", scaled(toy, 0.05), updates=400, return_scale=Config.return_scale)
    environments: Any = Paid(make("toy", 20), 0.05)
    slow, fast = (evaluate(model, environments, target).returns for target in (0.3, 0.9))
    assert abs(slow.mean() - 0.3) < 0.1
    assert abs(fast.mean() - 0.9) < 0.1


@pytest.mark.parametrize("spec", [POINT, SCREEN])
def test_the_scale_of_the_datas_returns_does_not_change_learning(spec: Spec) -> None:
    losses = []
    for factor in (2.0**-5, 1.0, 2.0**15):
        data = scaled(walk((12, 7, 12), spec=spec), factor)
        torch.manual_seed(0)
        model = small("dt", data, return_scale=Config.return_scale)
        losses.append(model.loss(model.sample(data, np.random.default_rng(0)))["total"].item())
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("spec", [POINT, SCREEN])
def test_the_record_says_what_returns_are_divided_by(spec: Spec) -> None:
    data = walk((12, 7, 12), spec=spec)
    highest = float(np.abs(data.returns_to_go).max())
    assert small("dt", data, return_scale=0.0).metadata() == {"return_scale": pytest.approx(highest / HIGHEST)}
    assert small("dt", data, return_scale=7.0).metadata() == {"return_scale": 7.0}
    nothing = replace(data, returns_to_go=data.returns_to_go * 0)
    assert small("dt", nothing, return_scale=0.0).metadata() == {"return_scale": 1.0}


@pytest.mark.parametrize(
    ("words", "scale"),
    [
        ("--env hopper-medium", 1000),
        ("--env walker2d-medium-replay-v1", 1000),
        ("--env ant-expert --preset smoke", 1000),
        ("--env mine@halfcheetah", 1000),
        ("--env hopper-medium --return-scale 5", 5),
        ("--env hopper-medium --return-scale 0", 0),
        ("--env toy-medium --preset paper", 1000),
        ("--env breakout --preset paper", 0),
        *((f"--env {name}", 0) for name in ("toy-medium", "breakout", "antmaze-umaze", "kitchen-mixed", "pen-human")),
    ],
)
def test_returns_are_divided_by_1000_on_the_robots_and_else_by_the_data(words: str, scale: float) -> None:
    assert parse(words.split()).config.return_scale == scale  # type: ignore[attr-defined]


def test_cloning_does_what_the_data_did(toy: Trajectories) -> None:
    expert = toy.best(0.4)  # the fast half
    model = taught("bc", expert, updates=300)
    assert abs(evaluate(model, make("toy", 20), None).returns.mean() - expert.returns.mean()) < 1
