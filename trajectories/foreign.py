"""Environments without a row in the catalog: gymnasium's own, by their names, and with options if need be.

    Hopper-v4
    PointMaze_UMaze-v3?{"continuing_task": true, "max_episode_steps": 300}

The name holds everything, so that a record is enough to play its run again. They are played as they come, in
today's physics, and their scores are normalized by the catalog's row for the same environment, if there is one.
"""

import json
import warnings
from functools import cache
from typing import Any

import numpy as np

from trajectories import gym_registry, offscreen
from trajectories.errors import UserError, did_you_mean
from trajectories.rows import EnvironmentRow, environment_rows
from trajectories.spaces import actions_of, layout
from trajectories.unknown import unknown_environment

STEPS = "max_episode_steps"  # an option of every environment: gymnasium's time limit
SCORES = ("ref_min_score", "ref_max_score")  # likewise: what Minari knows for normalizing
BOUNDLESS = 1e9  # a bound of actions so large is none: some environments give the largest number that there is
NO_SCORES = "No reference scores are known for {}: the normalized score is the return itself."
NEWER = "D4RL's reference scores belong to v2 to v4, whose rewards and observations {} changes, in today's physics. "


def named(gym_id: str, options: dict[str, Any]) -> str:
    """The name of an environment: its id, and its options if it has any."""
    return gym_id + (f"?{json.dumps(options, sort_keys=True)}" if options else "")


@cache
def environment_row(name: str) -> EnvironmentRow:
    """A row made from gymnasium's description of the environment called `name`.

    Raises:
        UserError: gymnasium knows none of that name, it cannot be made, or it never ends.
    """
    gym_id, options = parse(name)
    arguments = {key: value for key, value in options.items() if key not in SCORES}
    copy = make(gym_id, arguments)
    observation = layout(copy.observation_space, gym_id)
    action_shape, actions = actions_of(copy.action_space, gym_id)
    max_episode_steps = options.get(STEPS) or copy.spec.max_episode_steps or getattr(copy.unwrapped, "max_steps", None)
    max_episode_steps = max_episode_steps or frames_limit(copy.spec.kwargs)
    low, high = bounds(copy.action_space)
    copy.close()
    if not max_episode_steps:
        again = named(gym_id, {**options, STEPS: 1000})
        raise UserError(f"{gym_id} has no time limit, so that an episode may never end: name it '{again}'.")
    return EnvironmentRow(
        name=name,
        family="gymnasium",
        gym_id=gym_id,
        max_episode_steps=int(max_episode_steps),
        observation_shape=observation.shape,
        observation_dtype=observation.dtype,
        parts=observation.kept_apart,
        action_shape=action_shape,
        actions=actions,
        action_low=low,
        action_high=high,
        target_returns=(),
        options=arguments,
        **_scores(gym_id, options, int(max_episode_steps)),
    )


def _scores(gym_id: str, options: dict[str, Any], limit: int) -> dict[str, Any]:
    """Reference scores: those in the name, those of the catalog's row for the same environment, or none.

    With options of its own, or another time limit than the row's, an environment is another one.
    """
    if all(score in options for score in SCORES):
        low, high = (options[score] for score in SCORES)
        if not are_scores(low, high):
            named_scores = f"{' and '.join(SCORES)} of {gym_id} are {low!r} and {high!r}"
            raise UserError(f"{named_scores}, between which nothing can be normalized: give two different numbers.")
        return {"random_score": float(low), "expert_score": float(high)}
    rows = environment_rows().values()
    known = next((row for row in rows if row.gym_id == gym_id), None)
    if known and known.max_episode_steps == limit and not set(options) - {STEPS}:
        return {"random_score": known.random_score, "expert_score": known.expert_score, "caveat": known.caveat}
    family = gym_id.rpartition("-")[0]
    older = any(row.gym_id.rpartition("-")[0] == family and row.gym_id != gym_id for row in rows)
    caveat = (NEWER if older else "") + NO_SCORES
    return {"random_score": 0.0, "expert_score": 100.0, "caveat": caveat.format(*[gym_id] * 2)}


def are_scores(low: Any, high: Any) -> bool:
    """Whether scores can be normalized between two values."""
    numbers = all(isinstance(score, int | float) and abs(score) < BOUNDLESS for score in (low, high))
    return numbers and low != high


def frames_limit(arguments: dict[str, Any]) -> int | None:
    """Steps after which a game of Atari's is cut off: ale-py counts frames, and cuts it off by itself."""
    frames, skip = arguments.get("max_num_frames_per_episode"), arguments.get("frameskip")
    return -(-frames // skip) if isinstance(frames, int) and isinstance(skip, int) else None


def bounds(space: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lowest and highest actions of a Box, flat, infinite where it has no bounds; () if discrete, or -1 and 1."""
    low, high = getattr(space, "low", None), getattr(space, "high", None)
    if low is None or high is None or ((low == -1).all() and (high == 1).all()):
        return (), ()
    low, high = (np.where(np.abs(bound) < BOUNDLESS, bound, np.copysign(np.inf, bound)) for bound in (low, high))
    return tuple(map(float, low.reshape(-1))), tuple(map(float, high.reshape(-1)))


def differences(gym_id: str, arguments: dict[str, Any], max_episode_steps: int | None) -> dict[str, Any]:
    """Those of an environment's arguments that gymnasium would not give it by itself: the options in its name."""
    import gymnasium

    if gym_id not in gymnasium.registry:
        [gym_registry.registered(package) for package in gym_registry.PACKAGES]
    usual = gymnasium.registry.get(gym_id)
    defaults = json.loads(json.dumps(usual.kwargs, default=str)) if usual else {}
    options = {key: value for key, value in arguments.items() if key not in defaults or defaults[key] != value}
    if max_episode_steps and (usual is None or usual.max_episode_steps != max_episode_steps):
        options[STEPS] = max_episode_steps
    return options


def spec(gym_id: str, options: dict[str, Any], max_episode_steps: int) -> Any:
    """gymnasium's own description of an environment, with these options and this time limit.

    Raises:
        UserError: it is not known.
    """
    copy = make(gym_id, options)
    found = copy.spec
    copy.close()
    found.max_episode_steps = max_episode_steps
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
    """One of gymnasium's environments; packages that register more of them are imported if it is not known.

    Raises:
        UserError: it names a module and was not typed, is not known, needs a package that is not here, or cannot be
            made with these options.
    """
    import gymnasium

    gym_registry.check_trusted(gym_id)
    offscreen.choose()  # before MuJoCo is imported

    if gym_id not in gymnasium.registry:
        [gym_registry.registered(package) for package in gym_registry.PACKAGES]
    try:
        with warnings.catch_warnings():  # that there is a newer version; D4RL's scores belong to the older
            warnings.simplefilter("ignore", DeprecationWarning)
            return gymnasium.make(gym_id, disable_env_checker=True, **options, **more)
    except gymnasium.error.UnregisteredEnv as error:
        raise unknown_environment(gym_id) from error
    except Exception as error:  # whatever the environment's own code raises at options it does not know
        reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
        raise UserError(f"{gym_id} cannot be made{_next_step(gym_id, options, reason, error)}") from error


def _next_step(gym_id: str, options: dict[str, Any], reason: str, error: Exception) -> str:
    """The end of the sentence about an environment that cannot be made: why, and what to do about it."""
    import gymnasium

    row = gymnasium.registry.get(gym_id)
    if row and gym_registry.MUJOCO_PY.search(str(row.entry_point)):
        newer = did_you_mean(gym_id, [*gym_registry.ids(), *environment_rows()])
        return f" without mujoco-py, which is no longer maintained: {newer}"
    if isinstance(error, gymnasium.error.DeprecatedEnv):
        return f" by this gymnasium: {did_you_mean(gym_id, set(gym_registry.ids()) - {gym_id})}"
    if isinstance(error, ImportError | gymnasium.error.DependencyNotInstalled):
        return f", since a package is missing: {reason}."
    if options:
        return f" with {options} ({reason}): correct the options in its name."
    return f" ({reason}): see whether gymnasium.make({gym_id!r}) works in this Python."
