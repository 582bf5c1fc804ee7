"""The settings of the nearest neighbor."""

from dataclasses import dataclass

from backbone.config import BaseConfig
from backbone.options import option


@dataclass(frozen=True)
class Config(BaseConfig):
    """How many recorded steps decide an action."""

    neighbors: int = option(1, "nearest recorded steps: most frequent of discrete actions, mean of others", low=1)
