"""What a player remembers, as tensors and JSON, so that an interrupted evaluation goes on in another process.

A player is any object, and its memory is its attributes: tensors, arrays, generators of random numbers, plain values,
lists and tuples of these, and further objects. What never changes while it plays (the model, settings) is not kept: a
new player of the same model has it already.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Json = Any
CONSTANT = (nn.Module, torch.device, range, type)
PLAIN = (bool, int, float, str, type(None))


def save_player(player: object) -> tuple[Json, dict[str, Tensor]] | None:
    """The shape of a player's memory and its tensors by name; None if it holds something that cannot be kept."""
    tensors: dict[str, Tensor] = {}
    try:
        return _attributes(player, tensors), tensors
    except (TypeError, RecursionError):
        return None


def restore_player(player: object, shape: Json, tensors: dict[str, Tensor], device: torch.device) -> None:
    """Give a player that has acted once, and so has all of its attributes, what `save_player` kept of another.

    Raises:
        KeyError, AttributeError, TypeError, ValueError: it was another kind of player.
    """
    for name, inner in shape.items():
        now = getattr(player, name)
        if "object" in inner:
            restore_player(now, inner["object"], tensors, device)
        else:
            setattr(player, name, _restored(inner, tensors, device))


def _attributes(thing: object, tensors: dict[str, Tensor]) -> Json:
    shape = {}
    for name, value in vars(thing).items():
        if _is_constant(value):
            continue
        has_state = hasattr(value, "__dict__") and not isinstance(value, Tensor)
        shape[name] = {"object": _attributes(value, tensors)} if has_state else _saved(value, tensors)
    return shape


def _is_constant(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_constant, value))
    frozen = getattr(getattr(value, "__dataclass_params__", None), "frozen", False)
    return frozen or isinstance(value, CONSTANT)


def _saved(value: Any, tensors: dict[str, Tensor]) -> Json:
    if isinstance(value, PLAIN):
        return {"value": value}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    if isinstance(value, Tensor | np.ndarray):
        name = str(len(tensors))
        tensors[name] = value.detach().clone() if isinstance(value, Tensor) else torch.from_numpy(value.copy())
        return {"array" if isinstance(value, np.ndarray) else value.device.type: name}
    if isinstance(value, np.random.Generator):
        return {"generator": value.bit_generator.state}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_saved(each, tensors) for each in value]}
    raise TypeError(f"a {type(value).__name__} cannot be kept")


def _restored(shape: Json, tensors: dict[str, Tensor], device: torch.device) -> Any:
    ((kind, content),) = shape.items()
    if kind == "value":
        return content
    if kind == "array":
        return tensors[content].numpy()
    if kind == "generator":
        generator = np.random.default_rng()
        generator.bit_generator.state = content
        return generator
    if kind in ("list", "tuple"):
        restored = [_restored(each, tensors, device) for each in content]
        return restored if kind == "list" else tuple(restored)
    return tensors[content].to("cpu" if kind == "cpu" else device)
