"""Actions: scaled by the environment's bounds or else the data's range, with a note, and scaled back in play."""

from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

from environments.make import make
from sources import export
from sources.loading import Request, describe, load
from tests.toys import small
from training.evaluate import OwnRangePlayer, begin, evaluate
from trajectories import minari_folders
from trajectories.catalog import environment
from trajectories.types import Spec, Trajectories

SPACES = {  # lowest and highest actions
    "Free": ((-np.inf,), (np.inf,)),
    "Huge": ((-np.finfo(np.float32).max,), (np.finfo(np.float32).max,)),
    "Half": ((0.0,), (np.inf,)),
    "Stuck": ((0.0, 3.0), (1.0, 3.0)),
    "Unit": ((-1.0,), (1.0,)),
    "Wide": ((-2.0,), (2.0,)),
}


class Push(gymnasium.Env):
    """Earns its action, as it is."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, low: tuple[float, ...], high: tuple[float, ...], render_mode: str | None = None) -> None:
        self.action_space = gymnasium.spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
        self.observations: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.observations.append(action.copy())
        return np.ones(1, np.float32), float(action[0]), False, False, {}


@pytest.fixture(autouse=True)
def spaces() -> None:
    for name, (low, high) in SPACES.items():
        if f"Push{name}-v0" not in gymnasium.registry:
            gymnasium.register(f"Push{name}-v0", Push, max_episode_steps=10, kwargs={"low": low, "high": high})


def recorded(folder: Path, name: str, highest: float) -> tuple[Trajectories, np.ndarray]:
    """Data of 20 episodes, and the actions in their file."""
    steps, size = 200, len(SPACES[name][0])
    actions = np.random.default_rng(0).uniform(0, highest, (steps, size)).astype(np.float32)
    if name == "Stuck":
        actions[:, 1] = 3
    path = folder / f"{name}.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"], file["actions"], file["rewards"] = np.ones((steps, 1)), actions, actions[:, 0]
        file["terminals"], file["timeouts"] = np.zeros(steps, bool), np.arange(steps) % 10 == 9
    return load(Request(f"push@Push{name}-v0", path=path)), actions


class Repeats:
    """Acts as the data do, from their first step on."""

    def __init__(self, data: Trajectories) -> None:
        self.actions, self.step = data.actions, 0

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        self.step += 1
        return self.actions[self.step - 1][None]


@pytest.mark.parametrize(
    ("name", "highest", "message"),
    [
        ("Free", 10, "scaled from {low:.4g} to {high:.4g} (the data's own range, for want of bounds) to [-1, 1]"),
        ("Huge", 10, "scaled from {low:.4g} to {high:.4g} (the data's own range, for want of bounds) to [-1, 1]"),
        ("Half", 10, "scaled from 0 to {high:.4g} (the data's own range, for want of bounds) to [-1, 1]"),
        ("Stuck", 1, "scaled from 0 to 1, 3 to 3 (the environment's bounds) to [-1, 1]"),
        ("Wide", 2, "scaled from -2 to 2 (the environment's bounds) to [-1, 1]"),
        ("Unit", 1, ""),
    ],
)
def test_an_action_earns_in_play_what_it_earned_in_the_file(
    tmp_path: Path, name: str, highest: float, message: str
) -> None:
    data, actions = recorded(tmp_path, name, highest)
    assert np.isfinite(data.actions).all()
    assert np.abs(data.actions).max() <= 1
    if message:
        message = message.format(low=actions.min(), high=actions.max())
        assert f"Its actions are {message}, and back in play." in describe(data)
    else:
        assert "scaled" not in describe(data)
        np.testing.assert_array_equal(data.actions, actions)
    copies = make(data.spec.name, 1)
    copies.reset([0])
    player = Repeats(data) if not data.spec.action_low else OwnRangePlayer(Repeats(data), data.spec)
    earned = [copies.step(player.act(*[np.ones(1)] * 3), np.ones(1, bool)).rewards[0] for _ in range(5)]
    np.testing.assert_allclose(earned, actions[:5, 0], rtol=1e-5)


def test_a_number_that_cannot_move_is_zero_for_models_and_itself_in_play(tmp_path: Path) -> None:
    data, _ = recorded(tmp_path, "Stuck", 1)
    assert not data.actions[:, 1].any()
    copies = make(data.spec.name, 1)
    copies.reset([0])
    copies.step(np.array([[0.0, 0.7]], np.float32), np.ones(1, bool))
    assert copies._copies[0].unwrapped.observations[0].tolist() == [0.5, 3.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "bound"), [("Unit", 1), ("Wide", 2)])
def test_actions_outside_the_bounds_are_clipped_with_a_caveat(tmp_path: Path, name: str, bound: float) -> None:
    data, actions = recorded(tmp_path, name, 5)
    np.testing.assert_allclose(data.actions, np.clip(actions / bound, -1, 1), atol=1e-6)
    share = f"{np.mean(actions > bound):.1%}"
    assert f"Beware: {share} of the actions leave Push{name}-v0's bounds (they reach from" in describe(data)


@pytest.mark.parametrize("model", ["bc", "dt", "gato", "tt"])
def test_every_model_acts_in_the_range_of_its_data(tmp_path: Path, model: str) -> None:
    data, actions = recorded(tmp_path, "Free", 10)
    played = evaluate(small(model, data), make(data.spec.name, 2), 50.0)
    assert (played.returns > 10 * actions.min() - 1e-3).all()
    assert (played.returns < 10 * actions.max() + 1e-3).all()
    assert isinstance(begin(small(model, data), 1, 0.0, 0), OwnRangePlayer)


def test_the_range_is_kept_with_the_spec_and_changes_no_other(tmp_path: Path) -> None:
    spec = recorded(tmp_path, "Free", 10)[0].spec
    assert Spec.from_json(spec.to_json()) == spec
    assert "action_low" not in environment("hopper").spec().to_json()


@pytest.mark.parametrize("name", ["Free", "Wide"])
def test_actions_are_exported_as_the_environment_has_them(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, actions = recorded(tmp_path, name, 2)
    export.to_d4rl(data, tmp_path / "out.hdf5")
    with h5py.File(tmp_path / "out.hdf5") as file:
        np.testing.assert_allclose(file["actions"][()], actions, rtol=1e-5)
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path))
    monkeypatch.setattr(export, "_environment", lambda row: {})
    folder = export.to_minari(data, "ours/push-v0")
    with h5py.File(folder / "data" / "main_data.hdf5") as file:
        np.testing.assert_allclose(file["episode_0/actions"][()], actions[:10], rtol=1e-5)
