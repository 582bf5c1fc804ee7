"""Floating-point operations of the matrix products in an update: forward once, backward twice."""

from decision_transformer.config import Config as DTConfig
from gato.config import Config as GatoConfig
from trajectory_transformer.config import Config as TTConfig

PER_STEP = 15  # Gato's tokens of a step of hopper: 11 observed, a separator, 3 done


def decision_transformer(config: DTConfig, tokens: int = 3 * 20 - 1) -> float:
    """Of windows of hopper; only the states' outputs are computed in the last block."""
    width, states = config.width, 20
    block = tokens * (4 * width**2 + 8 * width**2) + 2 * tokens**2 * width
    last = tokens * 2 * width**2 + states * (2 * width**2 + 8 * width**2) + 2 * states * tokens * width
    return 3 * 2 * config.batch_size * ((config.layers - 1) * block + last)


def trajectory_transformer(config: TTConfig) -> float:
    """Of windows of ten transitions of hopper, 16 tokens each."""
    length, tokens = 10 * 16, 16
    block = 12 * config.width**2 + 2 * length * config.width
    heads = config.width * (config.bins + 1)
    return 3 * 2 * config.batch_size * 10 * tokens * (config.layers * block + heads)


def gato(config: GatoConfig, ids: int = 1024) -> float:
    """Of sequences of hopper; in the last block only what is read is computed, and logits of `ids` ids."""
    steps = config.batch_size * config.context
    tokens, read = steps * PER_STEP, steps * 3
    inner = config.heads * config.head_width
    length = config.context * PER_STEP
    project, out, feed = 3 * config.width * inner, inner * config.width, 2 * config.width * config.hidden
    full = tokens * (project + out + feed + 2 * length * inner)
    last = tokens * 2 * config.width * inner + read * (config.width * inner + out + feed + 2 * length * inner)
    return 3 * 2 * ((config.layers - 1) * full + last + read * config.width * ids)
