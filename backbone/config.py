"""What the configurations of models have in common. A command's --help needs them, and so nothing here is torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from backbone.options import check_options, option


@dataclass(frozen=True)
class BaseConfig:
    """The configuration of any model; of one that has nothing to train, all of it."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # of its own, beside experiments/presets.toml: its sizes
    acting: ClassVar[tuple[str, ...]] = ()  # options that decide how a trained model acts, and nothing of its weights

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class ModelConfig(BaseConfig):
    """What the configuration of every trained model holds: the size of its windows and how it is trained."""

    context: int = option(20, "steps in a window, K in the DT paper", low=1)
    batch_size: int = option(64, "windows in an update", low=1)
    learning_rate: float = option(1e-4, "peak learning rate of AdamW", above=0)
    weight_decay: float = option(1e-4, "AdamW's weight decay", low=0)
    beta1: float = option(0.9, "AdamW's first decay rate", low=0, below=1)
    beta2: float = option(0.999, "AdamW's second decay rate", low=0, below=1)
    max_grad_norm: float = option(0.25, "largest gradient norm", above=0)
    warmup_fraction: float = option(
        0.1, "share of the updates over which the learning rate rises from 0", low=0, high=1
    )
    final_lr_fraction: float = option(1.0, "share of the peak learning rate at the end of a cosine; 1: constant", low=0)


@dataclass(frozen=True)
class SamplingConfig:
    """How discrete actions are chosen: part of a configuration where there are any."""

    temperature: float = option(1.0, "temperature of discrete actions; 0: the most likely one", low=0)


@dataclass(frozen=True)
class AtariConfig(ModelConfig, SamplingConfig):
    """How the paper trains on Atari (kzl atari/run_dt_atari.py), for models of images."""

    acting: ClassVar[tuple[str, ...]] = ("temperature",)

    learning_rate: float = option(6e-4, "peak learning rate of AdamW", above=0)
    beta2: float = option(0.95, "AdamW's second decay rate", low=0, below=1)
    max_grad_norm: float = option(1.0, "largest gradient norm", above=0)
    warmup_fraction: float = option(
        0.01, "share of the updates over which the learning rate rises from 0", low=0, high=1
    )
    final_lr_fraction: float = option(0.1, "share of the peak learning rate at the end of a cosine; 1: constant", low=0)
