"""Maze2d: a point that is pushed through a maze, as D4RL recorded it.

Source   github.com/Farama-Foundation/D4RL at 34141f3, d4rl/pointmaze/maze_model.py, whose model is built here again
Reward   sparse: 1 at each step that ends within half a cell of the goal; dense: e^-distance
Ends     only by the time limit
Starts   a free cell or the goal's, drawn by the seed, with a little noise

The simulation is a sphere on two slides, of which no version of MuJoCo took another view: nothing of D4RL's is lost in
today's. gymnasium-robotics' PointMaze has other coordinates, another goal and another reward, and is not used.

Observation  x, y, their velocities: cells and cells a second, the first cell's corner near the origin
Action       forces along x and y, [-1, 1] of 100 N
"""

import mujoco
import numpy as np

from environments.mazes import POINT_MAZES, cells
from environments.simulated import SimulatedEnvironments
from trajectories.rows import EnvironmentRow

FASTEST = 5.0  # cells a second; whatever is faster is slowed down before each step
NEAR = 0.5  # cells
FIRST_CELL = (
    1.2  # the point's home in the world; the walls stand at 1 + row, 1 + column, so cells are 0.2 off their number
)


def model(maze: tuple[str, ...]) -> mujoco.MjModel:
    """The maze with the point in it."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.01
    spec.option.gravity = [0, 0, 0]
    spec.option.iterations = 20
    spec.default.joint.damping = 1
    geom = spec.default.geom
    geom.friction = [0.5, 0.1, 0.1]
    geom.density, geom.margin, geom.condim, geom.contype, geom.conaffinity = 1000, 0.002, 1, 2, 1
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[40, 40, 0.25], pos=[0, 0, -0.1], contype=1, conaffinity=0
    )
    spec.worldbody.add_light(pos=[0, 0, 10], dir=[0, 0, -1])
    spec.worldbody.add_camera(name="above", pos=[len(maze) / 2 + 0.5, len(maze[0]) / 2 + 0.5, 1.4 * max(len(maze), 9)])
    point = spec.worldbody.add_body(name="particle", pos=[FIRST_CELL, FIRST_CELL, 0])
    point.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.1, 0, 0], contype=1, rgba=[0.2, 0.3, 0.9, 1])
    for name, axis in (("ball_x", [1, 0, 0]), ("ball_y", [0, 1, 0])):
        point.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
        force = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        force.gear[0], force.ctrllimited, force.ctrlrange = 100, True, [-1, 1]
    for row, column in cells(maze, "#"):
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.5, 0.5, 0.2], pos=[row + 1, column + 1, 0], rgba=[0.7, 0.5, 0.3, 1]
        )
    for row, column in cells(maze, "G"):
        spec.worldbody.add_site(pos=[row + 1, column + 1, 0], size=[0.2, 0.2, 0.2], rgba=[0.6, 0.3, 0.3, 1])
    return spec.compile()


class PointEnvironments(SimulatedEnvironments):
    """E points in mazes of their own; see `environments.interface.Environments`."""

    camera = "above"

    def __init__(self, row: EnvironmentRow, count: int) -> None:
        maze = POINT_MAZES[row.options["maze"]]
        self._dense = row.options["reward"] == "dense"
        self._goal = np.array(cells(maze, "G")[0], np.float64)  # (2,)
        self._starts = np.array(cells(maze, " ") + cells(maze, "G"), np.float64)  # (cells, 2)
        super().__init__(row.spec(), model(maze), 1, count)

    def _begin(self, copy: int, seed: int) -> None:
        draw = np.random.default_rng(seed)
        cell = self._starts[draw.integers(len(self._starts))]
        self.set_state(copy, cell + draw.uniform(-0.1, 0.1, 2), 0.1 * draw.standard_normal(2))

    def _advance(self, actions: np.ndarray, copies: np.ndarray) -> None:
        for copy in copies.tolist():
            velocity = self._memory[copy][2]
            np.clip(velocity, -FASTEST, FASTEST, out=velocity)
        super()._advance(actions, copies)

    def _judged(self, actions: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = np.linalg.norm(self.positions - self._goal, axis=1)
        rewards = np.exp(-away) if self._dense else (away <= NEAR).astype(np.float64)
        return rewards, np.zeros(self.count, bool)

    def _observations(self) -> np.ndarray:
        return np.concatenate([self.positions, self.velocities], axis=1).astype(self.spec.observation_dtype)


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> PointEnvironments:
    return PointEnvironments(row, count)
