"""BabyAI's levels, and the bot that demonstrates them."""

import re
from typing import Any

import numpy as np
import pytest

from environments.make import make
from experiments.data import main as show
from sources import demonstrate
from sources.data_pictures import frame
from sources.experts import babyai
from sources.experts.interface import GaveUp, expert, has_expert
from sources.loading import load
from trajectories.catalog import dataset, environment
from trajectories.parts import to_text, view
from trajectories.rows import families
from trajectories.spaces import layout

pytest.importorskip("minigrid", reason="needs minigrid: pip install -r requirements-extra.txt")
LEVELS = list(families()["babyai"]["environments"])
SMALL, FORWARD = "babyai-go-to-local", 2


def test_there_is_a_row_for_each_of_jats_levels() -> None:
    scored = [name for name in LEVELS if environment(name).expert_score != 100]
    assert len(scored) >= 39
    assert all(dataset(name).env == name and dataset(name).collected_steps for name in LEVELS)
    assert environment("babyai-open-door").random_score == 0.233


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_is_what_its_row_says_and_may_last_no_longer(name: str) -> None:
    copies, row = make(name, 1), environment(name)
    assert copies.reset([0]).shape == (1, *row.observation_shape)
    inside: Any = copies.inside(0)  # type: ignore[attr-defined]
    assert layout(inside.observation_space).kept_apart == row.parts
    step = inside.room_size**2 * inside.num_rows * inside.num_cols if not inside.fixed_max_steps else inside.max_steps
    assert row.max_episode_steps % step == 0
    assert inside.max_steps <= row.max_episode_steps <= 8 * step  # two pairs of putting one thing next to another
    copies.close()


def test_a_seeds_episode_is_the_same_alone_and_beside_others_and_prints_nothing(capsys: Any) -> None:
    together, alone = make("babyai-put-next-local", 3), make("babyai-put-next-local", 1)
    np.testing.assert_array_equal(together.reset([5, 6, 7])[1], alone.reset([6])[0])
    first = together.step(np.full(3, FORWARD), np.array([False, True, False]))
    np.testing.assert_array_equal(
        first.observations[1], alone.step(np.full(1, FORWARD), np.ones(1, bool)).observations[0]
    )
    make("babyai-boss-level", 1).reset([1])
    assert capsys.readouterr().out == ""


def test_the_mission_and_the_view_are_parts_of_an_observation() -> None:
    copies = make(SMALL, 2)
    found, inside = view(copies.reset([0, 1]), copies.spec.parts), copies.inside(1)  # type: ignore[attr-defined]
    assert to_text(found["mission"][1]) == inside.mission
    assert re.fullmatch("go to (the|a) (red|green|blue|purple|yellow|grey) (ball|box|key)", inside.mission)
    assert found["direction"][1] == inside.agent_dir
    np.testing.assert_array_equal(found["image"][1], inside.gen_obs()["image"])


def test_success_is_a_reward_and_stays() -> None:
    episode = demonstrate.play(SMALL, 0, 0)
    assert episode is not None
    assert (episode.success, episode.terminated) == (True, True)
    assert episode.rewards[-1] == pytest.approx(1 - 0.9 * len(episode) / 64)
    assert not episode.rewards[:-1].any()
    copies = make(SMALL, 1)
    copies.reset([0])
    live, last = np.ones(1, bool), None
    while live[0]:
        last = copies.step(np.full(1, 6), live)  # done, which is nothing
        live = ~(last.terminated | last.truncated)
    assert last is not None
    assert (last.success is not None and bool(last.success[0]), bool(last.truncated[0])) == (False, True)


@pytest.mark.parametrize("name", [SMALL, "babyai-unlock-pickup", "babyai-go-to-seq-s5r2"])
def test_the_bot_carries_out_its_missions(name: str) -> None:
    episodes = [demonstrate.play(name, 0, number) for number in range(4)]
    assert all(episode is not None and episode.success for episode in episodes)
    again = demonstrate.play(name, 0, 3)
    np.testing.assert_array_equal(again and again.actions, episodes[3] and episodes[3].actions)


def test_a_bot_that_thinks_without_end_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = [number for number in range(4) if demonstrate.play("babyai-unlock-to-unlock", 0, number) is None]
    assert stuck  # where the bot alone never comes back
    monkeypatch.setattr(babyai, "SEARCHES", 0)
    assert demonstrate.play(SMALL, 0, 0) is None


def test_a_bot_that_fails_or_stops_early_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = make(SMALL, 1)
    observation = copies.reset([0])[0]
    bot = expert(environment(SMALL))
    inside = copies.inside(0)  # type: ignore[attr-defined]
    bot.begin(inside, observation, np.random.default_rng(0))
    bot.act(inside, observation)
    bot._bot.stack.clear()  # type: ignore[attr-defined]  # nothing left to do, it believes
    with pytest.raises(GaveUp):
        bot.act(inside, observation)
    bot.begin(None, observation, np.random.default_rng(0))
    with pytest.raises(GaveUp):
        bot.act(None, observation)


def test_demonstrations_are_a_data_set_that_shows_its_missions(capsys: pytest.CaptureFixture[str]) -> None:
    data = load(SMALL, source="collected", steps=60)
    assert has_expert(environment(SMALL))
    assert data.finished.all()
    assert len(data) >= 60
    assert (data.returns > 0).all()
    missions = {to_text(row) for row in view(data.observations, data.spec.parts)["mission"]}
    assert len(missions) > 5
    assert data.origin.details["expert"] == f"babyai {babyai.VERSION}"
    show(["show", SMALL, "--source", "collected", "--steps", "60"])
    output = capsys.readouterr().out
    assert "success    100.0% of the episodes" in output
    assert re.search(r"mission: \d+ begin an episode, of up to \d+ characters; the commonest\n +\d+ go to ", output)
    assert "observation, image" in output
    picture, title = frame(data) or (np.zeros(0), "")
    assert picture.ndim == 3
    assert title.startswith("the start from seed 0: go to the ")
