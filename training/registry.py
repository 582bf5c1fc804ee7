"""Models by name. A model is one folder and one line here.

Of a model of this repository the settings are imported when it is named: `Config` in config.py of its folder,
`DiscreteConfig` where actions are discrete, `ImageConfig` where an environment shows images and another class is named
for these. The model, which needs torch, is imported when it is built.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from backbone.config import BaseConfig, ModelConfig
from backbone.image_shape import image_shape, shows_images
from trajectories.catalog import answered_kind
from trajectories.errors import UserError, did_you_mean
from trajectories.types import Spec

if TYPE_CHECKING:
    from backbone.interface import Model

MODELS = {
    "bc": "baselines.behavior_cloning:BehaviorCloning",
    "nearest": "baselines.nearest.model:NearestNeighbor",
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
LONG_NAMES = {
    "behavior_cloning": "bc",
    "nearest_neighbor": "nearest",
    "decision_transformer": "dt",
    "trajectory_transformer": "tt",
}


class ModelElsewhereError(UserError):
    """A file names a model that is not of this repository, which only a user may name."""


@dataclass(frozen=True)
class Entry:
    """A model that is here: its short name, where its class is, and its configuration's class."""

    name: str
    path: str  # module:Class
    config: type[BaseConfig]
    of_images: bool = False  # whether it is to see images
    environment: str = ""  # the one that it is for

    @property
    def trained(self) -> bool:
        """Whether it is updated, and not only calibrated."""
        return issubclass(self.config, ModelConfig)

    @property
    def model(self) -> "type[Model]":
        """The class, imported when it is first used."""
        module, _, cls = self.path.partition(":")
        found: type[Model] = getattr(import_module(module), cls)
        return found


def find(name: str, spec: Spec | tuple[Spec, ...] | None = None) -> Entry:
    """The model of this repository that is called `name`, by its short or its long name, for an environment.

    Nothing but what the tables above name is ever imported, so `name` may come from a file.

    Args:
        spec: what the environment looks like: some models are another class where it shows images, or have more
            settings where its actions are discrete. None, or several, for a model of several tasks: the usual one.

    Raises:
        UserError: there is no such model, or it cannot read what the environment shows.
    """
    short = LONG_NAMES.get(name, name)
    if ":" in name:
        raise ModelElsewhereError(f"The model {name} lives outside this repository: name it with --model {name}.")
    if short not in MODELS:
        raise UserError(f"There is no model called {name!r}: {did_you_mean(name, [*MODELS, *LONG_NAMES])}")
    one = spec if isinstance(spec, Spec) else None
    of_images = one is not None and shows_images(one) and min(image_shape(one)[1:]) >= SMALLEST
    if one is not None and one.frame_stack > 1 and short in OF_IMAGES and not of_images:
        numbers = f"{one.name} shows {one.frame_stack} frames of numbers at a time"
        raise UserError(f"{numbers}, and {short} reads such frames of images only: choose --model gato.")
    path = {**MODELS, **(OF_IMAGES if of_images else {})}[short]
    settings = import_module(f"{path.partition(':')[0].rpartition('.')[0]}.config")
    config = settings.ImageConfig if path != MODELS[short] else _config(settings, one)
    entry = Entry(short, path, config, of_images, one.name if one is not None else "")
    if one is not None and one.kind:
        check_reads(entry, one.kind, one.name)
    return entry


def find_named(name: str, spec: Spec | tuple[Spec, ...] | None = None) -> Entry:
    """A model that the user names: one of this repository, or package.module:Class, which is imported.

    Such a module holds the class and its `Config`, a dataclass derived from ModelConfig, or from
    BaseConfig where nothing is trained. It is looked for in the current folder, too.

    Raises:
        UserError: there is no such model, or it cannot read what the environment shows.
    """
    if ":" not in name:
        return find(name, spec)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    one = spec if isinstance(spec, Spec) else None
    shown = "vectors" if one is None else shows(one)
    try:
        module = import_module(name.partition(":")[0])
        entry = Entry(name, name, _config(module, one), shown == "images", one.name if one is not None else "")
        reads = entry.model.reads
    except (ImportError, AttributeError) as error:
        raise UserError(f"--model {name} cannot be imported ({error}): write package.module:Class.") from error
    if one is not None and one.kind:
        check_reads(entry, one.kind, one.name)
    elif one is not None and shown not in reads:
        raise UserError(f"{name} reads {' and '.join(sorted(reads))}, but {one.name} shows {shown}: choose another.")
    return entry


def check_answered(model: str, names: Sequence[str]) -> None:
    """Refuse data sets that are answered, where a model only acts.

    Raises:
        UserError: there is such a data set.
    """
    for name in names:
        if kind := answered_kind(name):
            check_reads(find_named(model), kind, name)


def check_reads(entry: Entry, kind: str, name: str) -> None:
    """Refuse a model that has no use for data that are answered.

    Raises:
        UserError: it is such a model.
    """
    if kind not in entry.model.reads:
        what = {"pairs": "pictures with answers", "text": "text"}[kind]
        raise UserError(f"{entry.name} acts in environments, and {name} holds {what}: choose --model gato.")


def shows(spec: Spec) -> str:
    """What a model has to read to take such observations: vectors, images or parts."""
    return "parts" if spec.parts else "images" if shows_images(spec) else "vectors"


def _config(module: ModuleType, spec: Spec | None) -> type[BaseConfig]:
    name = "DiscreteConfig" if spec is not None and spec.discrete and hasattr(module, "DiscreteConfig") else "Config"
    config: type[BaseConfig] = getattr(module, name)
    return config
