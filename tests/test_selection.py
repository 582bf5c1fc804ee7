"""Which episodes a run learns from: those that earn a share of the expert's return."""

from dataclasses import replace

import numpy as np
import pytest

from report.grid import rows
from report.store import run_hash
from tests.records import made_up
from tests.toys import walk
from training.selection import select
from training.settings import Run, parse
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow
from trajectories.types import Trajectories, returns_to_go

TOY = environment("toy")


def earned(scores: list[float]) -> Trajectories:
    """Episodes of three steps that score so much on the toy; the last one is unfinished."""
    data = walk([3] * len(scores), spec=TOY.spec())
    rewards = np.zeros(len(data), np.float32)
    rewards[::3] = TOY.random_score + np.array(scores) / 100 * (TOY.expert_score - TOY.random_score)
    finished = np.arange(len(scores)) < len(scores) - 1
    data = replace(data, rewards=rewards, returns_to_go=returns_to_go(rewards, data.starts), finished=finished)
    return replace(data, origin=replace(data.origin, name="toy-medium"))


def test_episodes_are_kept_that_earn_the_share_of_the_way_from_random_to_expert(capsys) -> None:
    kept = select(earned([10, 81, 79, 95, 99]), Run(fraction_of_expert=0.8), "toy-medium")
    assert isinstance(kept, Trajectories)
    span = TOY.expert_score - TOY.random_score
    np.testing.assert_allclose(100 * (kept.returns - TOY.random_score) / span, [81, 95], rtol=1e-3)
    assert "Of these, 2 episodes (6 steps) with 80% of the expert's return" in capsys.readouterr().out


def test_without_the_option_every_episode_is_kept_and_a_run_is_the_same() -> None:
    data = earned([10, 81])
    assert select(data, Run(), "toy-medium") is data
    before = parse(["--model", "gato", "--env", "toy-medium"]).resolved()
    named = [{**before, "run": {**before["run"], "fraction_of_expert": share}} for share in (0.0, 0.8)]
    without = {**before, "run": {key: value for key, value in before["run"].items() if key != "fraction_of_expert"}}
    same, other = (run_hash("gato", each) == run_hash("gato", without) for each in named)
    assert (same, other) == (True, False)


def test_a_share_that_no_episode_earns_is_refused_with_the_best() -> None:
    with pytest.raises(UserError, match=r"--fraction-of-expert 0.8: the best of toy-medium earns .*, 30% of the exp"):
        select(earned([10, 30, 99]), Run(fraction_of_expert=0.8), "toy-medium")


@pytest.mark.parametrize("name", ["unmeasured", "cut"])
def test_a_task_without_an_experts_score_is_refused_alone_and_whole_in_a_mixture(
    name: str, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = earned([10, 90, 99])
    if name == "cut":
        data = data.with_details({"after_success": 20})
    else:
        monkeypatch.setattr(EnvironmentRow, "has_reference_scores", False)
    with pytest.raises(UserError, match=f"--fraction-of-expert 0.5: {name} has .*: leave it out"):
        select(data, Run(fraction_of_expert=0.5), name)
    assert select(data, Run(fraction_of_expert=0.5, env=("hopper-medium", name)), name) is data
    assert f"All of {name} is used: it has " in capsys.readouterr().out


def test_chosen_episodes_are_a_row_of_their_own() -> None:
    labels = [row.label for row in rows([made_up(), made_up(fraction_of_expert=0.8, digest="d" * 64)])]
    assert labels == ["hopper-medium", "hopper-medium from 80% of the expert"]
