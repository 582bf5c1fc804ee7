"""Atari games are preprocessed as for DQN, whatever the other copies do, by the options of their rows."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from environments.atari import AtariEnvironments
from environments.make import make
from environments.scores import normalized
from trajectories.catalog import dataset, dataset_names, environment, environment_names
from trajectories.errors import UserError

pytest.importorskip("ale_py", reason="ale-py is not here, which brings the games: pip install -r requirements.txt")

ALIVE = np.ones(3, bool)


@pytest.fixture(scope="module")
def breakout() -> Iterator[Any]:
    """Three copies, made once: each costs a tenth of a second."""
    environments = make("breakout", 3)
    yield environments
    environments.close()


def test_all_57_games_are_there_with_the_scores_of_random_actions_and_of_a_human() -> None:
    games = [name for name in environment_names() if environment(name).family == "atari"]
    assert len(games) == 57
    assert set(games) <= set(dataset_names())
    for name in games:
        row = environment(name)
        assert row.spec().observation_shape == (4, 84, 84)
        assert (row.spec().frame_stack, row.spec().observation_dtype, row.max_episode_steps) == (4, "uint8", 27_000)
        assert row.expert_score > row.random_score
        assert dataset(name).path == f"{row.gym_id[len('ALE/') : -len('-v5')]}/1/replay_logs"


def test_the_minimal_sets_of_actions_are_the_emulators() -> None:
    ale = pytest.importorskip("ale_py")
    for name in ("breakout", "pong", "qbert", "seaquest", "freeway"):
        console = ale.ALEInterface()
        console.loadROM(ale.roms.get_rom_path(name))
        assert environment(name).actions == len(console.getMinimalActionSet())


def test_scores_are_normalized_by_the_exact_table_or_the_papers_rounded_one() -> None:
    assert normalized("breakout", np.array(76.9)) == pytest.approx(261.1, abs=0.05)
    assert normalized("breakout", np.array(76.9), rounded=True) == pytest.approx(267.5, abs=0.05)  # Chen et al. 2021
    assert normalized("pong", np.array(17.1), rounded=True) == pytest.approx(105.8, abs=0.05)  # 106.1 of unrounded ones
    assert normalized("seaquest", np.array(1129.3), rounded=True) == pytest.approx(2.5, abs=0.05)
    with pytest.raises(UserError, match="rounded scores of hopper"):
        normalized("hopper", np.array(0.0), rounded=True)


def test_an_episode_begins_with_blank_frames_before_the_first_one(breakout: AtariEnvironments) -> None:
    observations = breakout.reset([1, 2, 3])
    assert observations.shape == (3, 4, 84, 84)
    assert observations.dtype == np.uint8
    assert not observations[:, :3].any()
    assert observations[:, 3].any(axis=(1, 2)).all()


def test_frames_move_up_the_stack_by_one_a_step(breakout: AtariEnvironments) -> None:
    before = breakout.reset([1, 2, 3])
    for action in (1, 2, 3, 0):
        now = breakout.step(np.full(3, action), ALIVE).observations
        assert np.array_equal(now[:, :3], before[:, 1:])
        before = now


def test_the_seed_alone_decides_an_episode_whatever_plays_beside_it(breakout: AtariEnvironments) -> None:
    actions = np.random.default_rng(0).integers(4, size=(40, 3))

    def played(seeds: list[int], order: list[int], live: np.ndarray) -> np.ndarray:
        breakout.reset(seeds)
        return np.stack([breakout.step(each[order], live).observations for each in actions])

    together = played([7, 8, 9], [0, 1, 2], ALIVE)
    assert np.array_equal(together[:, 2], played([9, 1, 7], [2, 1, 0], ALIVE)[:, 0])
    alone = played([1, 8, 3], [0, 1, 2], np.array([False, True, False]))
    assert np.array_equal(together[:, 1], alone[:, 1])
    assert (alone[:, 0] == alone[0, 0]).all()  # a copy that is not live is left alone
    assert not np.array_equal(together[:, 0], together[:, 1])


def test_no_ops_are_fewer_than_thirty_and_drawn_by_the_seed(breakout: AtariEnvironments) -> None:
    drawn = [breakout._no_ops[copy] for seeds in ([1, 2, 3], [4, 5, 6]) if breakout.reset(seeds) is not None
             for copy in range(3)]  # fmt: skip
    assert max(drawn) < 30
    assert len(set(drawn)) > 1


def test_a_life_lost_is_not_an_end_and_rewards_are_the_scores_own(breakout: AtariEnvironments) -> None:
    breakout.reset([0, 1, 2])
    live, rewards, lives = ALIVE.copy(), [], set()
    rng = np.random.default_rng(0)
    while live.any():
        step = breakout.step(rng.integers(4, size=3), live)
        rewards += step.rewards[live].tolist()
        lives.add(int(breakout._shadow(0).emulator.lives()))
        live &= ~step.terminated
        assert not step.truncated.any()
    assert lives == {5, 4, 3, 2, 1, 0}
    assert set(rewards) >= {0.0, 1.0}


def test_what_reads_the_memory_sees_the_very_game_that_is_played(breakout: AtariEnvironments) -> None:
    """The shadow's screen, made small by averaging areas, is the newest frame but for the maximum over two frames."""
    game = make('pong?{"max_over_two": false}', 1)
    game.reset([4])
    for action in np.random.default_rng(1).integers(6, size=30):
        frame = game.step(np.array([action]), np.ones(1, bool)).observations[0, -1]
    assert game.memory(0).shape == (128,)
    screen = game._shadow(0).emulator.getScreenGrayscale()
    small = _areas(210) @ screen @ _areas(160).T
    assert np.abs(small - frame).max() < 1
    assert game.render(0).shape == (420, 320, 3)
    game.close()


def _areas(length: int) -> np.ndarray:
    """How much of each of 84 equal parts lies on each of `length` pixels, (84, length)."""
    edges = np.linspace(0, length, 85)
    pixels = np.arange(length)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(shared, 0, None) * 84 / length


def test_options_are_keys_of_the_row_and_part_of_the_name() -> None:
    name = 'pong?{"sticky_actions": 0.25, "frame_skip": 2}'
    row = environment(name)
    assert (row.name, row.spec().name, row.max_episode_steps) == (name, name, 54_000)
    assert {**environment("pong").options, "sticky_actions": 0.25, "frame_skip": 2} == row.options
    assert dataset(name).environment == row
    usual, sticky = make("pong", 1), make('pong?{"sticky_actions": 0.25}', 1)
    observations = []
    for game in (usual, sticky):
        game.reset([3])
        rng = np.random.default_rng(0)
        for _ in range(30):
            last = game.step(rng.integers(6, size=1), np.ones(1, bool)).observations
        observations.append(last)
        game.close()
    assert not np.array_equal(*observations)


def test_a_game_is_cut_off_after_its_frames() -> None:
    game = make('pong?{"frames": 40}', 1)
    assert game.spec.max_episode_steps == 10
    game.reset([0])
    steps = [game.step(np.zeros(1, int), np.ones(1, bool)) for _ in range(10)]
    assert [bool(step.truncated[0]) for step in steps] == [False] * 9 + [True]
    assert not any(step.terminated[0] for step in steps)
    game.close()


def test_gymnasium_s_own_atari_game_is_cut_off_after_as_many_frames() -> None:
    row = environment("ALE/Breakout-v5")
    assert (row.max_episode_steps, row.observation_shape, row.actions) == (27_000, (210, 160, 3), 4)
    assert (row.random_score, row.expert_score) == (1.7, 30.5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("brakeout", "did you mean breakout"),
        ('breakout?{"stickyness": 0.25}', "no option of Atari's: did you mean sticky_actions"),
        ('breakout?{"frame_skip": "four"}', "frame_skip = 'four' is no option"),
        ("breakout?sticky", "no JSON object"),
    ],
)
def test_a_game_or_an_option_that_is_not_there_is_answered_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        environment(name)


def test_an_action_outside_the_games_set_is_refused(breakout: AtariEnvironments) -> None:
    breakout.reset([0, 1, 2])
    with pytest.raises(UserError, match="breakout has actions 0 to 3, and was given 4"):
        breakout.step(np.array([0, 4, 1]), ALIVE)
    breakout.step(np.array([0, 4, 1]), np.array([True, False, True]))  # no game there


def test_the_row_says_all_that_decides_a_score_as_json() -> None:
    assert json.loads(json.dumps(environment("breakout").options)).keys() >= {
        *("frame_skip", "max_over_two", "no_ops", "sticky_actions", "frames", "life_loss_ends", "clipped_rewards"),
    }
