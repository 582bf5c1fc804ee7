"""The battery: what holds for every model, whatever it is."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backbone.interface import Model, SequenceModel
from tests.toys import CHOICES, MISSION, POINT, SCREEN, SMALL, random_observations, small, walk
from training.checkpoint import load_model, save_model
from training.registry import find_named, shows
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories

LENGTHS = (12, 1, 7, 12, 3)
MODELS = (
    *SMALL,
    "tests.gru:GRU",
)  # the last as anybody's own: pytest tests/test_models.py --model my_package.mine:Mine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every model on every kind of observation that it says it reads; to learn, every one that is trained."""
    if "case" in metafunc.fixturenames:
        own = metafunc.config.getoption("--model")
        cases = [(name, spec) for spec in (POINT, CHOICES, SCREEN, MISSION) for name in ([own] if own else MODELS)]
        cases = [(name, spec) for name, spec in cases if reads(name, spec)]
        if "trained" in metafunc.fixturenames:
            cases = [(name, spec) for name, spec in cases if find_named(name, spec).trained]
        metafunc.parametrize("case", cases, ids=[f"{name}-{spec.name}" for name, spec in cases], indirect=True)


def reads(name: str, spec: Spec) -> bool:
    """Whether a model takes such observations; one that cannot be imported is an error."""
    return shows(spec) in find_named(name, None if ":" in name else spec).model.reads


@pytest.fixture
def case(request: pytest.FixtureRequest) -> tuple[str, Spec]:
    return request.param


@pytest.fixture
def name(case: tuple[str, Spec]) -> str:
    return case[0]


@pytest.fixture
def data(case: tuple[str, Spec]) -> Trajectories:
    return walk(LENGTHS, spec=case[1])


@pytest.fixture
def model(name: str, data: Trajectories) -> Model:
    torch.manual_seed(0)
    return small(name, data)


@pytest.fixture
def trained(model: Model) -> SequenceModel:
    assert isinstance(model, SequenceModel)
    return model


def played(model: Model, observations: np.ndarray, lives: np.ndarray | None = None) -> np.ndarray:
    """Actions (steps, E, *act) on given observations (steps, E, *obs); `lives` (steps, E) says who still plays."""
    steps, episodes = observations.shape[:2]
    lives = np.ones((steps, episodes), bool) if lives is None else lives
    player = model.player(episodes, 5.0)
    rewards = np.linspace(0, 1, episodes)
    return np.stack([player.act(now, rewards, live) for now, live in zip(observations, lives, strict=True)])


@pytest.fixture
def observations(case: tuple[str, Spec]) -> np.ndarray:
    spec = case[1]
    return random_observations(np.random.default_rng(1), spec, (6, 4, *spec.observation_shape))


def spoilt(observations: np.ndarray, *where: tuple[slice, int]) -> np.ndarray:
    """The same with something useless at some steps of some episodes."""
    others = observations.copy()
    for steps, episode in where:
        others[steps, episode] = np.nan if others.dtype == np.float32 else 255
    return others


def test_actions_are_legal_numbers_one_for_each_episode(model: Model, observations: np.ndarray) -> None:
    actions = played(model, observations)
    assert actions.shape == (6, 4, *model.spec.action_shape)
    assert actions.dtype == model.spec.action_dtype
    assert np.isfinite(actions).all()
    if model.spec.actions is None:
        assert np.abs(actions).max() <= 1
    else:
        assert actions.min() >= 0
        assert actions.max() < model.spec.actions


def test_an_episode_is_played_the_same_whatever_happens_in_the_others(model: Model, observations: np.ndarray) -> None:
    together = played(model, observations)
    lives = np.ones((6, 4), bool)
    lives[2:, 0] = False
    lives[4:, 3] = False
    others = spoilt(observations, (slice(2, None), 0), (slice(4, None), 3))
    np.testing.assert_allclose(played(model, others, lives)[:, 1:3], together[:, 1:3], atol=1e-5)


def test_a_finished_episode_gets_zeros_which_change_nothing(model: Model, observations: np.ndarray) -> None:
    lives = np.ones((6, 4), bool)
    lives[3:, 1] = False
    actions = played(model, spoilt(observations, (slice(3, None), 1)), lives)
    assert not actions[3:, 1].any()
    assert np.isfinite(actions).all()


def test_weights_alone_give_the_same_actions(name: str, model: Model, observations: np.ndarray, tmp_path: Path) -> None:
    save_model(tmp_path, name, model)
    torch.manual_seed(99)
    again = load_model(tmp_path, model_name=name if ":" in name else None)
    np.testing.assert_array_equal(played(again, observations), played(model, observations))


def test_the_loss_does_not_read_padding(trained: SequenceModel, data: Trajectories) -> None:
    batch = trained.sample(data, np.random.default_rng(0))
    assert not batch.mask.all()
    torch.manual_seed(0)
    clean = trained.loss(batch)["total"]
    torch.manual_seed(0)
    assert torch.equal(trained.loss(smudged(batch, data))["total"], clean)


def smudged(batch: Batch, data: Trajectories) -> Batch:
    """The same batch with other numbers where there is padding; of parts those of a recorded step."""
    padding = ~batch.mask
    columns = {}
    for name in ("observations", "actions", "rewards", "returns_to_go"):
        column = getattr(batch, name).clone()
        column[padding] = 0.5 if column.is_floating_point() else 1
        columns[name] = column
    if data.spec.parts:
        columns["observations"][padding] = torch.from_numpy(data.observations[0])
    timesteps = batch.timesteps.clone()
    timesteps[padding] = 3
    return replace(batch, **columns, timesteps=timesteps)


def test_every_parameter_learns(trained: SequenceModel, data: Trajectories) -> None:
    trained.train()
    trained.loss(trained.sample(data, np.random.default_rng(0)))["total"].backward()  # type: ignore[no-untyped-call]
    learning = [(key, value.grad) for key, value in trained.named_parameters() if value.requires_grad]
    assert [key for key, gradient in learning if gradient is None or not gradient.any()] == []


def test_only_the_given_generator_decides_the_batch(trained: SequenceModel, data: Trajectories) -> None:
    one, other = (trained.sample(data, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.observations, other.observations)
    assert not torch.equal(one.observations, trained.sample(data, np.random.default_rng(8)).observations)


def without_dropout(name: str, spec: Spec) -> dict[str, float]:
    """The setting that turns dropout off, of a model that has any."""
    names = {field.name for field in fields(find_named(name, spec).config)}
    return {"dropout": 0.0} if "dropout" in names else {}


@pytest.mark.usefixtures("trained")
def test_a_few_steps_are_memorized_in_a_few_hundred_updates(case: tuple[str, Spec]) -> None:
    name, spec = case
    data = walk((5, 5), spec=spec)
    torch.manual_seed(0)
    model = small(name, data, **without_dropout(name, spec))
    rate = 1e-3 if spec == SCREEN and name in ("bc", "gato") else 3e-3  # their convolutions take small steps
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(150):
        loss = model.loss(model.sample(data, rng))["total"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.2 * losses[0]
