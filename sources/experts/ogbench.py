"""OGBench's own oracle, which carries a cube to a place; what is here chooses which cube, and to which place.

Source   ogbench 1.2.2, manipspace/oracles/markov/cube_markov.py: a closed loop, so that it makes up for noise and picks
         up again what it dropped
Order    a cube is carried to its place once nothing stands there and what it will stand on is there; where each stands
         on the other's place, one of them is put aside first
"""

from typing import Any

import numpy as np

from trajectories.rows import EnvironmentRow

VERSION = 1
NOISE = 0.1  # standard deviation, of every number of an action
NEAR = 0.02  # m, of a place: the oracle's own measure
SIDE = 0.04  # m, of a cube
APART = 0.08  # m, of the middles of two cubes, between which fingers fit
AREA = np.array([[0.3, -0.3], [0.55, 0.3]])  # m; the package's _object_sampling_bounds


class CubeExpert:
    """Carries cubes one after the other; see `sources.experts.interface.Expert`."""

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        from ogbench.manipspace.oracles.markov.cube_markov import CubeMarkovOracle

        self._oracle = CubeMarkovOracle(env=environment)
        self._generator = generator
        self._cube, self._place = next_move(*_places(environment), generator)
        self._begin()

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        info = environment.compute_ob_info()
        cubes, places = _places(environment)
        up = info["proprio/effector_pos"][2] > 0.16
        if up and np.linalg.norm(cubes[self._cube] - self._place) < NEAR:
            self._cube, self._place = next_move(cubes, places, self._generator)
            self._begin()
        info |= {
            "privileged/target_block": self._cube,
            "privileged/target_block_pos": self._place,
            "privileged/target_block_yaw": np.zeros(1),
        }
        action = self._oracle.select_action(None, info)
        return np.clip(action, -1, 1) + NOISE * self._generator.standard_normal(5)

    def _begin(self) -> None:
        """As the oracle's own reset, which draws from NumPy's global chance."""
        low, high = self._oracle._env.unwrapped._arm_sampling_bounds
        self._oracle._done, self._oracle._step = False, 0
        self._oracle._final_pos = self._generator.uniform(low, high)
        self._oracle._final_yaw = self._generator.uniform(-np.pi, np.pi)


def next_move(cubes: np.ndarray, places: np.ndarray, generator: np.random.Generator) -> tuple[int, np.ndarray]:
    """Which cube is carried next, and where to, (3,).

    Args:
        cubes, places: where each is and has to be, (cubes, 3): m.
    """
    away = np.linalg.norm(cubes - places, axis=1) >= NEAR
    for cube in np.argsort(places[:, 2], kind="stable").tolist():
        others = np.arange(len(cubes)) != cube
        below = others & (np.linalg.norm(places[:, :2] - places[cube, :2], axis=1) < SIDE / 2)
        below &= places[:, 2] < places[cube, 2]
        blocked = np.linalg.norm(cubes[others & ~below, :2] - places[cube, :2], axis=1) < APART - SIDE / 2
        if away[cube] and not blocked.any() and not (below & away).any():
            return cube, places[cube]
    if not away.any():
        return 0, places[0]
    cube = int(np.flatnonzero(away)[0])
    taken = np.concatenate([np.delete(cubes, cube, axis=0), places])[:, :2]
    while True:
        aside = generator.uniform(*AREA)
        if (np.linalg.norm(taken - aside, axis=1) > APART).all():
            return cube, np.array([*aside, SIDE / 2])


def _places(environment: Any) -> tuple[np.ndarray, np.ndarray]:
    """Where the cubes are and where they have to go, both (cubes, 3): m."""
    info = environment.compute_ob_info()
    targets = environment.targets()
    return np.array([info[f"privileged/block_{cube}_pos"] for cube in range(len(targets))]), targets


def has_expert(row: EnvironmentRow) -> bool:
    return row.family == "ogbench"


def expert(row: EnvironmentRow) -> CubeExpert:
    return CubeExpert()
