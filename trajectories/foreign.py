"""Environments without a row in the catalog: gymnasium's own, by their names, and with options if need be.

    Hopper-v4
    PointMaze_UMaze-v3?{"continuing_task": true, "max_episode_steps": 300}

The name alone says everything, so that a record is enough to play its run again. They are played as they come, in
today's physics, and their scores are normalised by the catalog's row for the same environment, if there is one.
"""

import difflib
import io
import json
import warnings
from contextlib import redirect_stderr
from functools import cache
from importlib import import_module
from typing import Any

from trajectories.catalog import EnvironmentRow, environment, environment_names
from trajectories.errors import UserError
from trajectories.spaces import actions_of, layout

STEPS = "max_episode_steps"  # an option of every environment: gymnasium's time limit
NO_SCORES = "No reference scores are known for it: the normalised score is the return itself."
PACKAGES = ("gymnasium_robotics", "minigrid", "ale_py")  # what registers more environments on being imported
INSTALL = "pip install -r requirements-extra.txt"


def named(gym_id: str, options: dict[str, Any]) -> str:
    """The name of an environment: its id, and its options if it has any."""
    return gym_id + (f"?{json.dumps(options, sort_keys=True)}" if options else "")


@cache
def environment_row(name: str) -> EnvironmentRow:
    """A row made from what gymnasium says of the environment called `name`.

    Raises:
        UserError: gymnasium knows none of that name, it cannot be made, or it never ends.
    """
    gym_id, options = parse(name)
    copy = make(gym_id, options)
    seen = layout(copy.observation_space)
    action_shape, actions = actions_of(copy.action_space)
    horizon = options.get(STEPS) or copy.spec.max_episode_steps or getattr(copy.unwrapped, "max_steps", None)
    copy.close()
    if not horizon:
        again = named(gym_id, {**options, STEPS: 1000})
        raise UserError(f"{gym_id} has no time limit, so that an episode may never end: name it '{again}'.")
    scores = next((row for row in map(environment, environment_names()) if row.gym_id == gym_id), None)
    return EnvironmentRow(
        name=name,
        family="gymnasium",
        gym_id=gym_id,
        horizon=int(horizon),
        observation_shape=seen.shape,
        observation_dtype=seen.dtype,
        action_shape=action_shape,
        actions=actions,
        target_returns=(),
        random_score=scores.random_score if scores else 0.0,
        expert_score=scores.expert_score if scores else 100.0,
        options=options,
        differs="" if scores else NO_SCORES,
    )


def parse(name: str) -> tuple[str, dict[str, Any]]:
    """The id and the options in an environment's name.

    Raises:
        UserError: what follows the question mark is no JSON object.
    """
    gym_id, _, written = name.partition("?")
    try:
        options = json.loads(written or "{}")
    except json.JSONDecodeError:
        options = None
    if not isinstance(options, dict):
        raise UserError(
            f"{written!r}, the options of {gym_id}, is no JSON object: write '{gym_id}?{{\"{STEPS}\": 500}}'."
        )
    return gym_id, options


def make(gym_id: str, options: dict[str, Any], **more: Any) -> Any:
    """One of gymnasium's environments; the packages that register more of them are asked if it is not known.

    Raises:
        UserError: it is not known, or cannot be made with these options.
    """
    import gymnasium

    missing = [] if gym_id in gymnasium.registry else [name for name in PACKAGES if not registered(name)]
    try:
        with warnings.catch_warnings():  # that there is a newer version; D4RL's scores belong to the older
            warnings.simplefilter("ignore", DeprecationWarning)
            return gymnasium.make(gym_id, disable_env_checker=True, **options, **more)
    except gymnasium.error.UnregisteredEnv as error:
        hint = f"; {', '.join(missing)} may have it: {INSTALL}" if missing else ""
        raise UserError(f"There is no environment called {gym_id!r}: {_nearest(gym_id)}{hint}") from error
    except Exception as error:  # whatever the environment's own code raises at options it does not know
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(f"{gym_id} cannot be made with {options or 'no options'} ({reason}): mend its name.") from error


@cache
def registered(package: str) -> bool:
    """Whether a package that registers environments is here; it has done so afterwards."""
    try:
        with redirect_stderr(io.StringIO()):  # its notices about other versions
            import_module(package)
    except ImportError:
        return False
    return True


def _nearest(gym_id: str) -> str:
    import gymnasium

    known = [*gymnasium.registry, *environment_names()]
    close = difflib.get_close_matches(gym_id, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else "gymnasium's documentation lists them."
