"""training/evaluate.py: progress while episodes are played, and their precision."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from backbone.playing import WindowPlayer
from decision_transformer.config import Config
from decision_transformer.model import DecisionTransformer
from environments.interface import Step, Wrapped
from environments.make import make
from training.evaluate import begin, episode_seeds, play

FORWARD: Any = SimpleNamespace(act=lambda observations, rewards, live: np.ones((len(live), 1), np.float32))


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-1]


def test_playing_shows_its_progress_in_steps_and_finished_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    play(FORWARD, make("toy", 3), episode_seeds(3))
    line = last_line(capsys)
    assert "100%" in line
    assert "20/20" in line
    assert "3 of 3 episodes over" in line


def test_the_bar_is_full_when_all_episodes_are_over_before_the_time_limit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = make("toy", 2)
    stepped = environments.step
    taken: list[int] = []

    def falls(actions: np.ndarray, live: np.ndarray) -> Any:
        taken.append(1)
        return stepped(actions, live)._replace(terminated=live & np.array([len(taken) >= 3, len(taken) >= 7]))

    monkeypatch.setattr(environments, "step", falls)
    assert play(FORWARD, environments, episode_seeds(2)).lengths.tolist() == [3, 7]
    assert "7/7" in last_line(capsys)


def test_an_episode_acted_in_bf16_is_the_same_alone_and_among_others() -> None:
    torch.manual_seed(0)
    hopper = make("hopper", 3)
    model = DecisionTransformer(Config(), hopper.spec).eval()
    for values in model.parameters():
        torch.nn.init.normal_(values, std=0.1)  # biases, too: they are what a batch of one could add otherwise
    together = play(begin(model, 3, 3600.0, 0, precision="bf16"), hopper, episode_seeds(3))
    for number, seed in enumerate(episode_seeds(3)):
        alone = play(begin(model, 1, 3600.0, 0, precision="bf16"), make("hopper", 1), [seed])
        assert alone.returns[0] == together.returns[number]


class Generous(Wrapped):
    """An environment that pays seven for everything."""

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        return super().step(actions, live)._replace(rewards=7.0 * live)


@pytest.mark.parametrize("clipped", [True, False])
def test_a_model_of_clipped_rewards_sees_them_clipped_and_is_scored_unclipped(clipped: bool) -> None:
    toy = make("toy", 2)
    model = DecisionTransformer(Config(), replace(toy.spec, clipped_rewards=clipped)).eval()
    heard: list[np.ndarray] = []
    player = begin(model, 2, 90.0, 0)
    innermost: Any = getattr(player, "player", player)

    def listen(observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        heard.append(rewards)
        return WindowPlayer.act(innermost, observations, rewards, live)

    innermost.act = listen
    played = play(player, Generous(toy), episode_seeds(2))
    assert (played.returns == 7 * 20).all()
    assert {float(reward) for rewards in heard[1:] for reward in rewards} == {1.0 if clipped else 7.0}


def test_only_a_model_that_may_acts_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DecisionTransformer(Config(), make("toy", 1).spec).eval()
    whole, rounded = begin(model, 1, 1.0, 0), begin(model, 1, 1.0, 0, precision="bf16")
    monkeypatch.setattr(DecisionTransformer, "bf16_inference", False)
    kept = begin(model, 1, 1.0, 0, precision="bf16")
    assert type(kept) is type(whole) is not type(rounded)
