"""What a model learns from: a batch of windows, cut from recorded trajectories (windows.py), as tensors.

Shapes   B windows, T steps of a window; obs and act are the environment's own shapes
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, device


@dataclass(frozen=True)
class Batch:
    """B windows of T steps of one task, oldest first, padded on the left, so that -1 is always now.

    Padding is zero throughout.
    """

    observations: Shaped[Tensor, "B T *obs"]
    actions: Shaped[Tensor, "B T *act"]
    rewards: Float[Tensor, "B T"]
    returns_to_go: Float[Tensor, "B T"]
    timesteps: Int[Tensor, "B T"]  # steps since the episode began
    mask: Bool[Tensor, "B T"]  # True where the step is real
    task: str  # the name of its spec; in a mixture that of the data set
    prompt: "Batch | None" = None  # Gato: steps of another episode that come first

    def to(self, where: device | str) -> "Batch":
        columns = ("observations", "actions", "rewards", "returns_to_go", "timesteps", "mask")
        moved = {name: getattr(self, name).to(where, non_blocking=True) for name in columns}
        return Batch(**moved, task=self.task, prompt=self.prompt and self.prompt.to(where))
