"""What gymnasium has registered, with the packages that register more on being imported. Nothing here makes one."""

import io
import re
from contextlib import redirect_stderr
from functools import cache
from importlib import import_module

PACKAGES = ("gymnasium_robotics", "minigrid", "ale_py")  # what registers more environments on being imported
MUJOCO_PY = re.compile(r"mujoco_py|MujocoPy|envs\.mujoco\.\w+_v[23]")  # entry points that need mujoco-py


@cache
def registered(package: str) -> bool:
    """Whether a package that registers environments is here; it has done so afterwards."""
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
