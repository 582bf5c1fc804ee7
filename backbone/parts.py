"""Rows of bytes as tensors, one for each named part of an observation (trajectories/parts.py)."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from trajectories.parts import Part, offsets


def unpack(rows: UInt8[Tensor, "*n bytes"], parts: tuple[Part, ...]) -> dict[str, Tensor]:
    """The parts of observations by their names, (*n, *part): float32, int64 or uint8, a text as its 256 bytes."""
    begins, _ = offsets(parts)
    found = {}
    for part, begin in zip(parts, begins, strict=True):
        values = rows[..., begin : begin + part.nbytes].view(getattr(torch, part.dtype))
        found[part.name] = values.reshape(*rows.shape[:-1], *part.shape)
    return found


def text_keys(texts: UInt8[Tensor, "*n bytes"]) -> list[bytes]:
    """Each text's bytes, by which what is made of it is remembered. Texts are read by the processor."""
    return [row.tobytes() for row in texts.reshape(-1, texts.shape[-1]).cpu().numpy()]
