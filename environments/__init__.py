"""Where agents are measured: one file for each family of environments.

MuJoCo chooses how it draws when it is first imported. Without a screen it must be told to draw into memory; where no
library for that is installed nothing is chosen, so that everything but drawing still works.
"""

import os
import sys
from ctypes.util import find_library

if sys.platform == "linux" and "MUJOCO_GL" not in os.environ and "DISPLAY" not in os.environ:
    for _backend, _library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        if find_library(_library):
            os.environ["MUJOCO_GL"] = _backend
            break
