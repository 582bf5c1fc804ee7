"""Procgen: without its package data are read and the message says how to install it; with a made-up one it is played.

With the real package (requirements-procgen.txt) there are two tests more.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from environments import procgen
from environments.make import check_playable, make
from sources.loading import Request, load
from tests.toys import small
from trajectories.catalog import dataset, environment
from trajectories.errors import UserError
from trajectories.rows import families

GAMES = families()["procgen"]["environments"]


class Game:
    """What the package offers: a level is over after as many steps as its number says, and then begins again."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **options: Any) -> None:
        Game.made.append(options)
        self.level, self.steps, self.ended = options["start_level"], 0, False

    def observe(self) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        screen = np.full((1, 64, 64, 3), self.steps % 256, np.uint8)
        return np.array([0.5], np.float32), {"rgb": screen}, np.array([self.ended])

    def act(self, actions: np.ndarray) -> None:
        self.steps += 1
        self.ended = self.steps == self.level
        self.steps %= self.level

    def get_info(self) -> list[dict[str, Any]]:
        return [{"prev_level_complete": self.level < 10}]

    def close(self) -> None:
        pass


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> type[Game]:
    """A package that is none but looks like it, and imports gym as the real one does."""
    Game.made = []
    module = ModuleType("procgen.env")
    module.ProcgenGym3Env = Game  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "procgen", ModuleType("procgen"))
    monkeypatch.setitem(sys.modules, "procgen.env", module)
    return Game


def test_every_game_has_two_rows_with_scores_and_a_limit() -> None:
    assert len(GAMES) == 32
    for name in GAMES:
        row = environment(name)
        assert row.random_score < row.expert_score
        assert (row.spec().observation_shape, row.actions, dataset(name).env) == ((64, 64, 3), 15, name)
    assert environment("procgen-bigfish").max_episode_steps == 6000


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen.env", None)
    with pytest.raises(UserError, match=r"pip install --no-deps -r requirements-procgen\.txt"):
        check_playable("procgen-coinrun")
    assert "gym.envs.registration" not in sys.modules


def test_an_episode_is_the_level_of_its_seed(installed: type[Game]) -> None:
    games = make("procgen-maze-easy", 2)
    games.reset((7, 1_000_003))
    assert [each["start_level"] for each in installed.made] == [7, 1_000_003]
    options = {"num_levels": 1, "env_name": "maze", "distribution_mode": "easy", "render_mode": None}
    assert options.items() <= installed.made[0].items()


def test_an_end_shows_what_was_shown_before_and_says_how_it_ended(installed: type[Game]) -> None:
    games = make("procgen-maze-easy", 3)
    games.reset((3, 500, 20))
    live, ends = np.ones(3, bool), {}
    for number in range(1, 501):
        step = games.step(np.zeros(3, np.int64), live)
        assert step.success is not None
        for copy in np.flatnonzero(live & (step.terminated | step.truncated)):
            ends[copy] = (
                number,
                bool(step.terminated[copy]),
                bool(step.success[copy]),
                step.observations[copy, 0, 0, 0],
            )
        live &= ~(step.terminated | step.truncated)
    assert ends == {0: (3, True, True, 2), 2: (20, True, False, 19), 1: (500, False, False, 499 % 256)}
    assert not step.rewards[0]
    games.reset((5, 5, 5), np.array([True, False, False]))
    again = games.step(np.zeros(3, np.int64), np.array([True, False, False])).success
    assert again is not None
    assert not again[0]


@pytest.mark.usefixtures("installed")
def test_an_action_that_there_is_not_is_refused() -> None:
    games = make("procgen-coinrun", 1)
    games.reset((4,))
    with pytest.raises(UserError, match="has actions 0 to 14, and was given 15"):
        games.step(np.array([15]), np.ones(1, bool))


def test_data_of_ones_own_are_read_and_learned_from_without_the_package(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "observations": rng.integers(256, size=(30, 64, 64, 3), dtype=np.uint8),
        "actions": rng.integers(15, size=30),
        "rewards": rng.normal(size=30),
        "terminals": np.arange(30) % 10 == 9,
    }
    np.savez(tmp_path / "maze.npz", **columns)
    data = load(Request("procgen-maze-easy", "auto", tmp_path / "maze.npz", data_dir=tmp_path))
    np.testing.assert_array_equal(data.observations, columns["observations"])
    assert (data.episodes, data.spec.name) == (3, "procgen-maze-easy")
    model = small("nearest", data, neighbors=1)
    actions = model.player(30, 0.0).act(columns["observations"], np.zeros(30), np.ones(30, bool))
    assert actions.tolist() == columns["actions"].tolist()
    with pytest.raises(UserError, match="no expert: give a file of yours with --path"):
        load(Request("procgen-maze-easy", "collected", data_dir=tmp_path))


if find_spec("procgen") is not None:  # which no requirements of the tests bring: else these are not there

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["procgen-maze-easy", "procgen-starpilot"])
    def test_the_real_games_are_the_same_for_the_same_seed_and_end_in_time(name: str) -> None:
        games, actions = make(name, 2), np.random.default_rng(0).integers(15, size=1000)
        shown = games.reset((3, 3))
        assert shown.any()
        live, steps = np.ones(2, bool), 0
        while live.any():
            step = games.step(np.full(2, actions[steps]), live)
            np.testing.assert_array_equal(step.observations[0], step.observations[1])
            live, steps = live & ~(step.terminated | step.truncated), steps + 1
        assert steps <= environment(name).max_episode_steps
        games.close()

    def test_the_real_limits_are_those_of_the_rows() -> None:
        import struct

        level = 1_000_003
        for name in ("procgen-bigfish", "procgen-maze-easy", "procgen-plunder", "procgen-coinrun"):
            games = procgen.ProcgenEnvironments(environment(name), 1)
            games.reset((level,))
            state, seed = games.inside(0).get_state()[0], struct.pack("<i", level)
            second = state.index(seed, state.index(seed, 60) + 1)
            assert struct.unpack("<i", state[second - 4 : second]) == (environment(name).max_episode_steps,)
