"""Models by name. A model is one folder and one line here; it is imported when asked for."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from backbone.images import image_shape, shows_images
from backbone.interface import ModelConfig, SequenceModel
from trajectories.errors import UserError, did_you_mean
from trajectories.types import Spec

MODELS = {
    "bc": "baselines.behavior_cloning:BehaviorCloning",
    "dt": "decision_transformer.model:DecisionTransformer",
    "tt": "trajectory_transformer.model:TrajectoryTransformer",
    "gato": "gato.model:Gato",
}
OF_IMAGES = {  # those that are another class where an environment shows images
    "bc": "baselines.atari_bc:AtariBehaviorCloning",
    "dt": "decision_transformer.atari:AtariDecisionTransformer",
    "tt": "trajectory_transformer.atari:AtariTrajectoryTransformer",
}
SMALLEST = 36  # pixels of a side; to these classes what is smaller is a row of numbers
LONG_NAMES = {"behaviour_cloning": "bc", "decision_transformer": "dt", "trajectory_transformer": "tt"}


@dataclass(frozen=True)
class Entry:
    """A model that is here: its short name, its class and its configuration's class."""

    name: str
    model: type[SequenceModel]
    config: type[ModelConfig]
    of_images: bool = False  # whether it is to see images
    environment: str = ""  # the one that it is for


def find(name: str, spec: Spec | tuple[Spec, ...] | None = None) -> Entry:
    """The model called `name`, by its short or its long name, as it is for an environment.

    Args:
        spec: what the environment looks like: some models are another class where it shows images, or have more
            settings where its actions are discrete. None, or several, for a model that takes several: the usual one.

    Raises:
        UserError: there is no such model, or it is announced and not there yet.
    """
    short = LONG_NAMES.get(name, name)
    if short not in MODELS:
        raise UserError(f"There is no model called {name!r}: {did_you_mean(name, [*MODELS, *LONG_NAMES])}")
    one = spec if isinstance(spec, Spec) else None
    of_images = one is not None and shows_images(one) and min(image_shape(one)[1:]) >= SMALLEST
    path, _, cls = {**MODELS, **(OF_IMAGES if of_images else {})}[short].partition(":")
    package = path.partition(".")[0]
    if find_spec(package) is None or find_spec(path) is None:
        here = ", ".join(key for key, value in MODELS.items() if find_spec(value.partition(".")[0]))
        raise UserError(f"The model {name!r} is announced and not there yet: choose one of {here}.")
    module = import_module(path)
    config = getattr(module, "DiscreteConfig", module.Config) if one is not None and one.discrete else module.Config
    return Entry(short, getattr(module, cls), config, of_images, one.name if one else "")
