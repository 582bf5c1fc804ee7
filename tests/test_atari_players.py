"""What is recorded of Atari is what was played, from play that is random to play that is good."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ale_py", reason="ale-py is not here, which brings the games: pip install -r requirements.txt")

from environments.atari import AtariEnvironments
from sources import collect_atari
from sources.experts import atari as players
from sources.loading import Request, load
from trajectories.catalog import environment
from trajectories.windows import cut

ONE = np.ones(1, bool)


@pytest.fixture
def random_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two short levels, so that a recording takes a second."""
    monkeypatch.setattr(collect_atari, "LEVELS", (0.5, 1.0))
    monkeypatch.setattr(collect_atari, "COPIES", 2)


def test_a_recorded_episode_played_again_shows_the_windows_that_were_recorded(
    tmp_path: Path, random_play: None
) -> None:
    data = load(Request("breakout", "collected", steps=300, data_dir=tmp_path))
    rng = np.random.default_rng((0, 0, 0))  # seed, level, episode
    collect_atari.PLAYERS["breakout"](rng)
    game = AtariEnvironments(environment("breakout"), 1)
    observations = game.reset([int(rng.integers(1 << 31))])[0]
    for row in range(data.lengths[0]):
        window = cut(data, data.starts[:1], np.array([row]), 3)
        assert np.array_equal(window.observations[0, -1].numpy(), observations)
        step = game.step(data.actions[row : row + 1], ONE)
        assert (step.rewards[0], step.terminated[0]) == (data.rewards[row], data.terminated[row])
        observations = step.observations[0]
    assert step.terminated[0]
    game.close()
    assert len(data) >= 300
    assert (data.lengths > 20).all()
    assert data.origin.details["rewards"] == "as the game's score"


def test_the_seed_decides_a_recording_however_many_are_played_at_once(
    tmp_path: Path, random_play: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(Request("breakout", "collected", steps=100, data_dir=tmp_path / "a"))
    monkeypatch.setattr(collect_atari, "COPIES", 1)
    alone = load(Request("breakout", "collected", steps=100, data_dir=tmp_path / "b"))
    assert np.array_equal(first.actions[: first.lengths[0]], alone.actions[: first.lengths[0]])
    other = load(Request("breakout", "collected", steps=100, seed=1, data_dir=tmp_path / "a"))
    assert other.origin.digest != first.origin.digest


def test_another_player_or_other_levels_are_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    before = collect_atari.player_digest("pong")
    assert before != collect_atari.player_digest("breakout")
    monkeypatch.setattr(collect_atari, "LEVELS", (0.5,))
    assert collect_atari.player_digest("pong") != before


@pytest.mark.parametrize(
    ("game", "steps", "least"), [("breakout", 200, 5), ("pong", 250, 0), ("qbert", 200, 400), ("seaquest", 500, 80)]
)
def test_a_player_soon_has_more_than_random_actions_earn_in_a_whole_episode(
    game: str, steps: int, least: float
) -> None:
    copies = AtariEnvironments(environment(game), 1)
    player, earned, last, live = collect_atari.PLAYERS[game](np.random.default_rng(1)), 0.0, 0, ONE
    assert isinstance(player, players.Player)
    copies.reset([1])
    for _ in range(steps):
        last = player.act(copies.memory(0), last)
        step = copies.step(np.array([last]), live)
        earned, live = earned + step.rewards[0], live & ~step.terminated
        if not live.any():
            break
    copies.close()
    assert earned >= least > environment(game).random_score


def test_a_ball_comes_down_where_it_would_after_its_bounces() -> None:
    ball = players.Ball(0, 100)
    assert ball.landing(90, 5, 1.0) == 95
    assert ball.landing(90, 5, 4.0) == 90
    assert ball.landing(10, -5, 4.0) == 10
    assert ball.landing(50, 10, 25.0) == 100


def test_qbert_finds_the_shortest_way_and_never_hops_off() -> None:
    player = players.Qbert(np.random.default_rng(0))
    assert player.way((0, 0), {(5, 0)}) == 5
    assert player.way((5, 5), {(0, 0)}) == 4
    assert all(player.way(tile, set(player.TILES) - {tile}) for tile in player.TILES)
    assert player.tile(77, 25) == (0, 0)
    assert (player.tile(65, 53), player.tile(93, 53)) == ((1, 0), (1, 1))
    assert player.tile(0, 0) is None
