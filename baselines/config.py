"""The settings of behavior cloning: of numbers, and of images."""

from dataclasses import dataclass
from typing import ClassVar

from backbone.config import AtariConfig, ModelConfig, SamplingConfig
from backbone.options import option


@dataclass(frozen=True)
class Config(ModelConfig):
    """The paper's settings for its behavior-cloning baseline."""

    width: int = option(256, "numbers in a hidden layer", low=1)
    layers: int = option(3, "linear layers before the head's", low=1)
    dropout: float = option(0.1, "dropout after each activation", low=0, below=1)


@dataclass(frozen=True)
class DiscreteConfig(Config, SamplingConfig):
    """The same, where actions are discrete."""

    acting: ClassVar[tuple[str, ...]] = ("temperature",)


@dataclass(frozen=True)
class ImageConfig(AtariConfig):
    """As the Decision Transformer of images, as far as there is the same."""

    context: int = option(1, "steps in a window, of which the latest is read", low=1)
    batch_size: int = option(256, "steps in an update", low=1)
    width: int = option(128, "numbers in the vector of an image", low=1)
    dropout: float = option(0.1, "dropout of that vector", low=0, below=1)
