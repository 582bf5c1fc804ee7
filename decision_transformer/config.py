"""The Decision Transformers' settings: of numbers, and of images."""

from dataclasses import dataclass
from typing import ClassVar

from backbone.config import AtariConfig, ModelConfig, SamplingConfig
from backbone.options import option

RETURN_SCALE = "returns-to-go are divided by this; 0: so that the data's highest becomes 30"


@dataclass(frozen=True)
class Config(ModelConfig):
    """The paper's gym settings (kzl gym/experiment.py:283-303)."""

    width: int = option(128, "numbers in a token", low=1)
    layers: int = option(3, "transformer blocks", low=1)
    heads: int = option(1, "attention heads", low=1, divides="width")
    dropout: float = option(0.1, "dropout of embeddings, attention and feed-forward layers", low=0, below=1)
    return_scale: float = option(0.0, RETURN_SCALE, above=0)


@dataclass(frozen=True)
class DiscreteConfig(Config, SamplingConfig):
    """The same, where actions are discrete."""

    acting: ClassVar[tuple[str, ...]] = ("temperature",)


@dataclass(frozen=True)
class ImageConfig(AtariConfig):
    """The paper's Atari settings (kzl atari/run_dt_atari.py)."""

    context: int = option(30, "steps in a window, K in the DT paper; it has 50 for pong", low=1)
    batch_size: int = option(128, "windows in an update; the paper has 512 for pong", low=1)
    weight_decay: float = option(0.1, "AdamW's weight decay, of matrices and kernels only", low=0)
    width: int = option(128, "numbers in a token", low=1)
    layers: int = option(6, "transformer blocks", low=1)
    heads: int = option(8, "attention heads", low=1, divides="width")
    dropout: float = option(0.1, "dropout of embeddings, attention and feed-forward layers", low=0, below=1)
    return_scale: float = option(0.0, RETURN_SCALE, above=0)
