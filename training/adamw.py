"""torch's AdamW without torch's compiler, whose import takes as long as torch's own, and which compiles nothing here.

torch imports it in an optimizer's constructor (torch/_compile.py) and in its step (torch/optim/optimizer.py), to keep
it out of them. The numbers are the same.
"""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

MARK = "__dynamo_disable"  # torch's own: what to call instead, where that is known
STEP = inspect.unwrap(torch.optim.AdamW.step)


class AdamW(torch.optim.AdamW):
    """Like torch's in all but what it imports."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        for method in vars(Optimizer).values():
            plain = getattr(method, "__wrapped__", None)
            if plain is not None and not hasattr(plain, MARK):
                setattr(plain, MARK, plain)
        super().__init__(*arguments, **options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        return STEP(self, closure)
