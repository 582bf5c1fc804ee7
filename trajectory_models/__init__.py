"""Five calls for a notebook; each is imported when it is first used, so that this package costs nothing to import.

load          a data set by name -> Trajectories                        sources/loading.py
train         a model by name, on Trajectories -> a trained model       training/api.py
evaluate      a trained model in an environment -> Scores               training/api.py
load_model    the folder of a run -> its trained model                  training/api.py
load_results  all recorded runs -> a pandas DataFrame                   report/dataframe.py
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from report.dataframe import load_results
    from sources.loading import load
    from training.api import evaluate, load_model, train

__all__ = ["evaluate", "load", "load_model", "load_results", "train"]

_HOMES = {
    "load": "sources.loading",
    "train": "training.api",
    "evaluate": "training.api",
    "load_model": "training.api",
    "load_results": "report.dataframe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
