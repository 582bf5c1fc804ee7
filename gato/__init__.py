"""Gato: one stream of tokens for everything it sees and does.

What is exported is imported when it is first used: the settings of a command's --help need no model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import trajectories  # noqa: F401  before torch is imported

if TYPE_CHECKING:
    from gato.config import SIZES, Config, preset
    from gato.model import Gato
    from gato.multitask import Corpus, MixedBatch
    from trajectories.mixture import Mixture

__all__ = ["Gato", "Config", "preset", "SIZES", "Mixture", "MixedBatch", "Corpus"]

_HOMES = {
    **dict.fromkeys(("Config", "preset", "SIZES"), "gato.config"),
    **dict.fromkeys(("MixedBatch", "Corpus"), "gato.multitask"),
    **{"Gato": "gato.model", "Mixture": "trajectories.mixture"},
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
