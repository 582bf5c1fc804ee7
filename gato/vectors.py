"""An array of floats as one token: normalized, then through a linear layer (`--vectors embedded`).

Paper    Gallouedec et al. 2024, arXiv:2402.09844 (JAT): a vector of any length is one embedding. Gato's paper has a
         token for each number, which is the default here
Differs  a layer for each length instead of one for vectors filled up with zeros, so that a task is known by its shape,
         as it is from its tokens; numbers are normalized by the data of all tasks of that length (JAT takes them as
         they are); whole numbers and actions stay tokens, each a choice among bins

Shapes   B sequences, T steps, S numbers of a vector, V vectors in all, D width
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbone.image_shape import shows_images
from backbone.normalization import Normalize
from trajectories.parts import view
from trajectories.types import Spec, Trajectories

DEVIATION = 0.02  # of the first weights: a vector begins about as large as a token's row
SOME = 100_000  # steps of each task, spread over its data, from which mean and deviation are taken


def vector_sizes(task: Spec) -> list[int]:
    """The lengths of the vectors in an observation, in their order."""
    if task.parts:
        return [part.size for part in task.parts if part.kind == "float"]
    numbers = np.issubdtype(np.dtype(task.observation_dtype), np.floating) and not shows_images(task) and not task.kind
    return [task.observation_size] if numbers else []


class Vectors(nn.Module):
    """Normalization and layer of each length that occurs."""

    def __init__(self, tasks: Sequence[Spec], width: int) -> None:
        super().__init__()
        sizes = sorted({size for task in tasks for size in vector_sizes(task)})
        self.normalize = nn.ModuleDict({str(size): Normalize(size) for size in sizes})
        self.enter = nn.ModuleDict({str(size): nn.Linear(size, width) for size in sizes})
        for layer in self.enter.values():
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=DEVIATION)
            nn.init.zeros_(layer.bias)

    def calibrate(self, parts: Sequence[Trajectories]) -> None:
        """Take mean and deviation of the vectors of each length over all tasks that have one."""
        columns = [column for part in parts for column in vectors_of(part)]
        for size, normalize in self.normalize.items():
            assert isinstance(normalize, Normalize)
            alike = [column[:: -(-len(column) // SOME)] for column in columns if column.shape[1] == int(size)]
            normalize.calibrate(np.concatenate(alike))

    def forward(self, vectors: Sequence[Float[Tensor, "n _"]]) -> Float[Tensor, "V D"]:
        """All steps' first vectors, all steps' second ones, ... as they stand in a stream: step by step."""
        made = [self.enter[str(each.shape[1])](self.normalize[str(each.shape[1])](each)) for each in vectors]
        return torch.stack(made, dim=1).flatten(0, 1)


def vectors_of(data: Trajectories) -> list[Float[np.ndarray, "N _"]]:
    """The column of every vector in the observations of a task; frames that are stacked have the same figures."""
    if not data.spec.parts:
        frames, stack = data.observations.reshape(len(data), -1), data.spec.frame_stack
        return [frames if stack == 1 else np.tile(frames, stack)] * len(vector_sizes(data.spec))
    columns = view(data.observations, data.spec.parts)
    return [columns[part.name].reshape(len(data), -1) for part in data.spec.parts if part.kind == "float"]
