"""How MuJoCo draws where there is no screen.

MuJoCo chooses how it draws when it is first imported, from $MUJOCO_GL. A choice that does not work here, left in the
shell by another project, would make the import fail even where nothing is drawn: it is removed. Without a screen
MuJoCo has to draw into memory; where no library for that is installed nothing is chosen.
"""

import os
import sys
from ctypes.util import find_library

IN_MEMORY = {"egl": "EGL", "osmesa": "OSMesa"}  # Linux's choices that need no screen, and the library of each
ON_SCREEN = {"linux": ("glfw", "glx"), "win32": ("glfw", "wgl"), "darwin": ("glfw", "cgl")}
SWITCHES = ("", "enable", "enabled", "on", "true", "1", "disable", "disabled", "off", "false", "0")


def works(choice: str) -> bool:
    """Whether MuJoCo can be imported with this $MUJOCO_GL."""
    if sys.platform != "linux" or choice not in IN_MEMORY:
        return choice in (*SWITCHES, *ON_SCREEN.get(sys.platform, ()))
    return (
        find_library(IN_MEMORY[choice]) is not None
        and (os.environ.get("PYOPENGL_PLATFORM") or choice).lower() == choice
    )


def choose() -> None:
    """Set or drop $MUJOCO_GL; to be called before MuJoCo is imported."""
    if not works(os.environ.get("MUJOCO_GL", "").lower().strip()):
        del os.environ["MUJOCO_GL"]
    if sys.platform == "linux" and not os.environ.keys() & {"MUJOCO_GL", "DISPLAY"}:
        for choice in filter(works, IN_MEMORY):
            os.environ["MUJOCO_GL"] = choice
            break
