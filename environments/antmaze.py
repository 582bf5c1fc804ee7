"""AntMaze: an ant walks through a maze to a goal that it does not see, as D4RL recorded it.

Source   github.com/Farama-Foundation/D4RL at 34141f3, d4rl/locomotion/{ant,maze_env,goal_reaching_env}.py
Bodies   gymnasium's ant.xml, changed to D4RL's: steps of 5 x 20 ms, motors of 30 N m, softer contacts, the capsules of
         an old MuJoCo (physics.py); between walls of 4 m. A recorded step is so repeated to 3e-6 (median; 99.9% of the
         steps to 1e-4), where gymnasium-robotics' AntMaze is 2.0 away
Reward   1 within 0.5 m of the goal, which ends the episode; 0 before
Starts   at the origin with a little noise; the goal near its cell is drawn anew for each episode, as in D4RL's v2

Observation  all positions and velocities, (29,): m, rad, m/s, rad/s
Action       torques of hips and ankles, [-1, 1] of 30 N m
"""

import tempfile
from pathlib import Path

import mujoco
import numpy as np
from gymnasium.envs.mujoco import mujoco_env

from environments.mazes import ANT_MAZES, cells
from environments.physics import check, compile_with_old_capsules
from environments.simulated import SimulatedEnvironments
from trajectories.rows import EnvironmentRow

ANT = Path(mujoco_env.__file__).parent / "assets" / "ant.xml"
SIZE = 4.0  # m, of a cell
NEAR = 0.5  # m
SOFT = {"solref": [0.02, 1], "solimp": [0.8, 0.8, 0.01, 0.5, 2]}  # contacts


def model(maze: tuple[str, ...], physics: str = "d4rl") -> mujoco.MjModel:
    """The maze with the ant in it; in gymnasium's physics its capsules are today's."""
    spec = mujoco.MjSpec.from_file(str(ANT))
    spec.option.timestep = 0.02
    for motor in spec.actuators:
        motor.gear = [30, 0, 0, 0, 0, 0]
    for geom in spec.geoms:
        geom.solref, geom.solimp = SOFT["solref"], SOFT["solimp"]
    for place in cells(maze, "#"):
        spec.worldbody.add_geom(
            name=f"block_{place[0]}_{place[1]}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[SIZE / 2, SIZE / 2, SIZE / 4],
            pos=[*position(maze, place), SIZE / 4],
            contype=1,
            conaffinity=1,
            rgba=[0.7, 0.5, 0.3, 1],
            **SOFT,
        )
    today = spec.compile()
    if check(physics) == "gymnasium":
        return today
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maze.xml"
        path.write_text(spec.to_xml(), encoding="utf-8")
        return compile_with_old_capsules(path)


def position(maze: tuple[str, ...], cell: tuple[int, int]) -> tuple[float, float]:
    """x and y of a cell's middle; the ant starts at the origin."""
    start = cells(maze, "S")[0]
    return (cell[1] - start[1]) * SIZE, (cell[0] - start[0]) * SIZE


class AntEnvironments(SimulatedEnvironments):
    """E ants in mazes of their own; see `environments.interface.Environments`."""

    camera = "track"

    def __init__(self, row: EnvironmentRow, count: int, physics: str = "d4rl") -> None:
        maze = ANT_MAZES[row.options["maze"]]
        self._goal_cell = np.array(position(maze, cells(maze, "G")[0]))
        self._goals = np.tile(self._goal_cell, (count, 1))  # (E, 2)
        self.physics = physics
        super().__init__(row.spec(), model(maze, physics), 5, count)

    def _begin(self, copy: int, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self._goals[copy] = np.maximum(self._goal_cell + draw.uniform(0, 1, 2) + draw.uniform(0, 0.5, 2), 0)
        positions = self._model.qpos0 + draw.uniform(-0.1, 0.1, self._model.nq)
        self.set_state(copy, positions, 0.1 * draw.standard_normal(self._model.nv))

    def _judged(self, actions: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        there = np.linalg.norm(self.positions[:, :2] - self._goals, axis=1) <= NEAR
        return there.astype(np.float64), there

    def _observations(self) -> np.ndarray:
        return np.concatenate([self.positions, self.velocities], axis=1).astype(self.spec.observation_dtype)


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> AntEnvironments:
    return AntEnvironments(row, count, physics)
