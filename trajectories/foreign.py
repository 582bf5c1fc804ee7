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

import numpy as np

from trajectories.catalog import EnvironmentRow, environment, environment_names
from trajectories.errors import UserError
from trajectories.spaces import actions_of, layout

STEPS = "max_episode_steps"  # an option of every environment: gymnasium's time limit
SCORES = ("ref_min_score", "ref_max_score")  # likewise: what Minari knows for normalising
NO_SCORES = "No reference scores are known for {}: the normalised score is the return itself."
NEWER = "D4RL's reference scores belong to v2 to v4, whose rewards and observations {} changes, in today's physics. "
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
    arguments = {key: value for key, value in options.items() if key not in SCORES}
    copy = make(gym_id, arguments)
    seen = layout(copy.observation_space)
    action_shape, actions = actions_of(copy.action_space)
    horizon = options.get(STEPS) or copy.spec.max_episode_steps or getattr(copy.unwrapped, "max_steps", None)
    horizon = horizon or frames_limit(copy.spec.kwargs)
    low, high = bounds(copy.action_space)
    copy.close()
    if not horizon:
        again = named(gym_id, {**options, STEPS: 1000})
        raise UserError(f"{gym_id} has no time limit, so that an episode may never end: name it '{again}'.")
    return EnvironmentRow(
        name=name,
        family="gymnasium",
        gym_id=gym_id,
        horizon=int(horizon),
        observation_shape=seen.shape,
        observation_dtype=seen.dtype,
        action_shape=action_shape,
        actions=actions,
        action_low=low,
        action_high=high,
        target_returns=(),
        options=arguments,
        **_scores(gym_id, options),
    )


def _scores(gym_id: str, options: dict[str, Any]) -> dict[str, Any]:
    """Reference scores: those in the name, those of the catalog's row for the same environment, or none."""
    if all(score in options for score in SCORES):
        return {"random_score": float(options[SCORES[0]]), "expert_score": float(options[SCORES[1]])}
    known = next((row for row in map(environment, environment_names()) if row.gym_id == gym_id), None)
    if known:
        return {"random_score": known.random_score, "expert_score": known.expert_score}
    family = gym_id.rpartition("-")[0]
    older = any(row.gym_id.rpartition("-")[0] == family for row in map(environment, environment_names()))
    differs = (NEWER if older else "") + NO_SCORES
    return {"random_score": 0.0, "expert_score": 100.0, "differs": differs.format(*[gym_id] * 2)}


def frames_limit(arguments: dict[str, Any]) -> int | None:
    """Steps after which a game of Atari's is cut off: ale-py counts frames, and cuts it off by itself."""
    frames, skip = arguments.get("max_num_frames_per_episode"), arguments.get("frameskip")
    return frames // skip if isinstance(frames, int) and isinstance(skip, int) else None


def bounds(space: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lowest and highest actions of a Box, flat; nothing where they are -1 and 1, or infinite, or discrete."""
    low, high = getattr(space, "low", None), getattr(space, "high", None)
    if low is None or high is None or not (np.isfinite(low).all() and np.isfinite(high).all()):
        return (), ()
    if (low == -1).all() and (high == 1).all():
        return (), ()
    return tuple(map(float, low.reshape(-1))), tuple(map(float, high.reshape(-1)))


def differences(gym_id: str, arguments: dict[str, Any], horizon: int | None) -> dict[str, Any]:
    """Those of an environment's arguments that gymnasium would not give it by itself: the options in its name."""
    import gymnasium

    if gym_id not in gymnasium.registry:
        [registered(package) for package in PACKAGES]
    usual = gymnasium.registry.get(gym_id)
    defaults = json.loads(json.dumps(usual.kwargs, default=str)) if usual else {}
    options = {key: value for key, value in arguments.items() if key not in defaults or defaults[key] != value}
    if horizon and (usual is None or usual.max_episode_steps != horizon):
        options[STEPS] = horizon
    return options


def spec(gym_id: str, options: dict[str, Any], horizon: int) -> Any:
    """gymnasium's own description of an environment, with these options and this time limit.

    Raises:
        UserError: it is not known.
    """
    copy = make(gym_id, options)
    found = copy.spec
    copy.close()
    found.max_episode_steps = horizon
    return found


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
