"""Models by name. A model is one folder and one line here; it is imported when asked for."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from backbone.interface import ModelConfig, SequenceModel
from trajectories.catalog import nearest
from trajectories.errors import UserError

MODELS = {
    "bc": "decision_transformer.cloning:BehaviourCloning",
    "dt": "decision_transformer.model:DecisionTransformer",
    "tt": "trajectory_transformer.model:TrajectoryTransformer",
    "gato": "gato.model:Gato",
}
LONG_NAMES = {"behaviour_cloning": "bc", "decision_transformer": "dt", "trajectory_transformer": "tt"}


@dataclass(frozen=True)
class Entry:
    """A model that is here: its short name, its class and its configuration's class."""

    name: str
    model: type[SequenceModel]
    config: type[ModelConfig]


def find(name: str) -> Entry:
    """The model called `name`, by its short or its long name.

    Raises:
        UserError: there is no such model, or it is announced and not there yet.
    """
    short = LONG_NAMES.get(name, name)
    if short not in MODELS:
        raise UserError(f"There is no model called {name!r}: {nearest(name, [*MODELS, *LONG_NAMES])}")
    path, _, cls = MODELS[short].partition(":")
    package = path.partition(".")[0]
    if find_spec(package) is None or find_spec(path) is None:
        here = ", ".join(key for key, value in MODELS.items() if find_spec(value.partition(".")[0]))
        raise UserError(f"The model {name!r} is announced and not there yet: choose one of {here}.")
    module = import_module(path)
    return Entry(short, getattr(module, cls), module.Config)
