"""Names that gymnasium has registered, and the packages that register more when they are imported.

gymnasium imports the module that an id names before a colon, package.module:Env-v0. Such an id is
used only if the user typed it: ids come from records, files and cached names, too, and none of these decides what runs.
"""

import io
import re
from contextlib import redirect_stderr
from functools import cache
from importlib import import_module

from trajectories.errors import UserError

PACKAGES = ("gymnasium_robotics", "minigrid", "ale_py")  # packages that register more environments when imported
IMPORTING = re.compile(r":|GymV\d+Environment")  # an id with a module, or gym's own make, whose options name one
TRUSTED: set[str] = set()  # ids with a module that were typed
MUJOCO_PY = re.compile(r"mujoco_py|MujocoPy|envs\.mujoco\.\w+_v[23]")  # entry points that need mujoco-py


def trust(*names: str) -> None:
    """Let gymnasium import the modules in these names, as package.module:Env-v0 or mine@package.module:Env-v0."""
    TRUSTED.update(name.rpartition("@")[2].partition("?")[0] for name in names if IMPORTING.search(name))


def check_trusted(gym_id: str) -> None:
    """Refuse an id that names a module, unless it was typed.

    Raises:
        UserError: it names a module and was not typed.
    """
    if IMPORTING.search(gym_id) and gym_id not in TRUSTED:
        raise UserError(
            f"{gym_id} names a module, and what is read here never decides what is imported: if you trust that module, "
            f"give --env {gym_id} on the command line."
        )


@cache
def registered(package: str) -> bool:
    """Import a package that registers environments; False if it is not installed."""
    try:
        with redirect_stderr(io.StringIO()):  # its notices about other versions
            import_module(package)
    except ImportError:
        return False
    return True


def ids() -> list[str]:
    """Every environment that can be named, those that need mujoco-py left out."""
    import gymnasium

    [registered(package) for package in PACKAGES]
    return [name for name, row in gymnasium.registry.items() if not MUJOCO_PY.search(str(row.entry_point))]
