"""Meta-World: a Sawyer arm has fifty things to do, each with a goal that the observation shows.

Source   Yu et al. 2019, arXiv:1910.10897, by metaworld 3.1.1: its tasks "-v3", rewards "v2"
Tasks    the classes that MT1 trains on. MT1 draws 50 goals and starts of a task once and for all; here every episode
         draws its own by its seed, from the same box, as the package's environments do where they are seeded
Success  `info["success"]` of any step. It ends nothing: an episode lasts 500 steps
Copies   share one compiled model of 21 MB, most of it meshes. Copies of a task differ in nothing of it but where its
         bodies and sites stand, which is put in before a copy moves. A hundred take 2 s and 0.3 GB, not 20 s and 2 GB

Observation  hand (3), gripper (1), objects (14, with zeros behind), these 18 of the step before, goal (3): m; (39,)
Action       where the hand moves, 1 being 1 cm (3), and how hard the gripper closes (1)
Reward       the package's dense one, 0 to 10 a step
"""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from environments.gymnasium import GymnasiumEnvironments
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

CAMERA = "corner2"  # one of the package's, which sees all that can be moved; it hangs upside down


class MetaWorldEnvironments(GymnasiumEnvironments):
    """E arms; see `environments.interface.Environments`."""

    knows_success = True

    def __init__(self, row: EnvironmentRow, count: int, render_mode: str | None = None) -> None:
        self._task = sharing(task(row.gym_id))
        super().__init__(row, count, render_mode)

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), at the start and with the goal that its seed draws."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            self._copies[copy].seed(int(seeds[copy]))  # the package's own reset pays no attention to a seed
        return super().reset(seeds, only)

    def render(self, index: int) -> np.ndarray:
        """What the camera sees, turned upright, (480, 480, 3) uint8.

        Raises:
            UserError: nothing here can draw without a screen.
        """
        return super().render(index)[::-1, ::-1]

    def _make(self, render_mode: str | None) -> Any:
        copy = self._task(render_mode=render_mode, camera_name=CAMERA)
        copy.max_path_length = self._row.max_episode_steps
        copy._partially_observable = False  # the goal is shown, as in MT1
        del copy.sawyer_observation_space  # made while it was not, and observations are clipped to it
        copy.observation_space = copy.sawyer_observation_space
        copy._set_task_called = True
        copy._freeze_rand_vec, copy.seeded_rand_vec = False, True  # each reset draws, from what `seed` seeds
        return copy

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        return bool(info["success"])


def task(gym_id: str) -> Any:
    """The package's class of a task, "reach-v3".

    Raises:
        UserError: the package is not installed.
    """
    try:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS as TASKS
    except ImportError as error:
        raise UserError(
            f"Meta-World needs metaworld, which is not here ({error}): pip install -r requirements-extra.txt."
        ) from error
    return TASKS[gym_id]


def sharing(task: Any) -> Any:
    """A subclass of a task whose instances share one compiled model."""

    class Sharing(task):  # type: ignore[misc]
        model_of_all: mujoco.MjModel | None = None
        made: tuple[np.ndarray, np.ndarray]  # where everything stands in the file
        moving: Any = None  # the instance whose places the model has
        places: tuple[np.ndarray, np.ndarray]  # of this instance, while another one moves

        def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
            model = Sharing.model_of_all
            if model is None:
                Sharing.model_of_all, data = super()._initialize_simulation()
                Sharing.moving, Sharing.made = self, self._places()
                return Sharing.model_of_all, data
            self.places = Sharing.made
            self._enter()
            return model, mujoco.MjData(model)

        def reset(self, **options: Any) -> Any:
            self._enter()
            return super().reset(**options)

        def step(self, action: np.ndarray) -> Any:
            self._enter()
            return super().step(action)

        def render(self) -> Any:
            self._enter()
            return super().render()

        def _enter(self) -> None:
            model, other = Sharing.model_of_all, Sharing.moving
            if other is self or model is None:
                return
            other.places = other._places()
            model.body_pos[:], model.site_pos[:] = self.places
            Sharing.moving = self

        def _places(self) -> tuple[np.ndarray, np.ndarray]:
            model = Sharing.model_of_all
            assert model is not None
            return model.body_pos.copy(), model.site_pos.copy()

    return Sharing


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> MetaWorldEnvironments:
    return MetaWorldEnvironments(row, count, render_mode)
