"""Gato: one stream of tokens for everything it sees and does."""

import trajectories  # noqa: F401  before torch is imported
from gato.config import SIZES, Config, preset
from gato.model import Gato
from gato.multitask import Corpus, MixedBatch
from trajectories.mixture import Mixture

__all__ = ["Gato", "Config", "preset", "SIZES", "Mixture", "MixedBatch", "Corpus"]
