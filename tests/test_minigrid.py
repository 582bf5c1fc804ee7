"""MiniGrid's four rooms, and the shortest way to the goal."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from environments.make import make
from sources import demonstrate
from sources.experts.interface import GaveUp, expert
from sources.experts.minigrid import shortest
from sources.loading import load
from trajectories.catalog import environment

pytest.importorskip("minigrid", reason="needs minigrid: pip install -r requirements-extra.txt")
NAME = "minigrid-fourrooms"


def test_the_expert_walks_the_shortest_way_and_succeeds() -> None:
    for number in range(10):
        episode = demonstrate.play(NAME, 0, number)
        assert episode is not None
        assert (episode.success, episode.terminated) == (True, True)
        assert episode.rewards[-1] == pytest.approx(1 - 0.9 * len(episode) / 100)


def test_a_way_is_as_long_as_its_steps_and_turns() -> None:
    grid: Any = pytest.importorskip("minigrid.core.grid").Grid(6, 6)
    grid.wall_rect(0, 0, 6, 6)
    goal = pytest.importorskip("minigrid.core.world_object").Goal()
    grid.set(4, 4, goal)
    assert len(shortest(grid, (1, 1, 0))) == 7
    assert shortest(grid, (4, 1, 1)) == [2, 2, 2]
    assert len(shortest(grid, (4, 1, 3))) == 5  # two turns first
    grid.horz_wall(1, 3, 4)
    assert shortest(grid, (1, 1, 0)) == []


def test_an_expert_without_a_way_gives_up() -> None:
    copies = make(NAME, 1)
    observation, inside = copies.reset([0])[0], copies.inside(0)  # type: ignore[attr-defined]
    inside.grid.horz_wall(0, inside.agent_pos[1] - 1)
    inside.grid.horz_wall(0, inside.agent_pos[1] + 1)
    walker = expert(environment(NAME))
    walker.begin(inside, observation, np.random.default_rng(0))
    with pytest.raises(GaveUp):
        walker.act(inside, observation)


def test_its_demonstrations_are_a_data_set_in_d4rls_layout() -> None:
    data = load(NAME, source="collected", steps=40)
    assert data.observations.shape[1:] == (147,)
    assert data.finished.all()
    assert (data.returns > 0.5).all()


def test_a_script_that_loads_data_at_its_top_does_not_wait_for_itself(tmp_path: Path, own_cache: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        f"from sources.loading import load\nprint(len(load('{NAME}', source='collected', steps=40)) >= 40)\n"
    )
    room = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, script], env=room, capture_output=True, encoding="utf-8", timeout=120, check=True
    )
    assert done.stdout.strip().endswith("True")
