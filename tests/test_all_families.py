"""One environment with one pip command: a task of every family is made, begun and stepped in one process."""

import re
from importlib.util import find_spec

import numpy as np
import pytest

from environments.interface import Environments
from environments.make import make
from trajectories.rows import environment_rows

PACKAGES = {  # what a family needs beyond requirements.txt, by the name under which it is imported
    **dict.fromkeys(("adroit", "kitchen", "fetch"), "gymnasium_robotics"),
    **dict.fromkeys(("babyai", "minigrid"), "minigrid"),
    **{"metaworld": "metaworld", "ogbench": "ogbench"},
}
ELSEWHERE = {"procgen"}  # requirements-procgen.txt: its package pins other versions than ours
TASKS = {row.family: name for name, row in reversed(environment_rows().items()) if row.family not in ELSEWHERE}


def stepped(environments: Environments) -> np.ndarray:
    """The observations after an action of each copy."""
    spec, count = environments.spec, environments.count
    environments.reset(range(count))
    still = np.zeros(count, np.int64) if spec.discrete else np.zeros((count, *spec.action_shape), np.float32)
    return environments.step(still, np.ones(count, bool)).observations


def test_a_task_of_every_family_is_played_beside_all_others() -> None:
    if absent := sorted({package for package in PACKAGES.values() if find_spec(package) is None}):
        pytest.skip(f"needs {', '.join(absent)}: pip install -r requirements-extra.txt")
    made = {family: make(name, 2) for family, name in TASKS.items()}  # all are open at once
    try:
        for family, environments in made.items():
            observations = stepped(environments)
            assert observations.shape == (2, *environments.spec.observation_shape), family
            assert str(observations.dtype) == environments.spec.observation_dtype, family
    finally:
        for environments in made.values():
            environments.close()
    assert {"mujoco", "atari", "babyai", "metaworld", "dm_control", "fetch", "ogbench", "sokoban"} <= set(made)


def test_one_pip_command_brings_the_packages_of_all_families() -> None:
    from pathlib import Path

    extra = (Path(__file__).parents[1] / "requirements-extra.txt").read_text(encoding="utf-8")
    brought = {name.replace("-", "_") for name in re.findall(r"^([\w-]+)(?:\[[\w,]+])?==", extra, re.MULTILINE)}
    assert set(PACKAGES.values()) <= brought
    assert "-r requirements.txt" in extra
