"""Weight decay as GPTs have it: of matrices and kernels; embeddings, places, norms and biases are spared."""

from typing import Any

from torch import Tensor, nn


def matrices_only(model: nn.Module, *others: Tensor) -> list[dict[str, Any]]:
    """Two groups of what a model learns, for its optimizer: what decays and what is spared. What is frozen is in none.

    Args:
        others: parameters that are matrices and in no layer of their own.
    """
    layers = [module.weight for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    decayed = [weight for weight in (*layers, *others) if weight.requires_grad]
    chosen = {id(weight) for weight in decayed}
    spared = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in chosen]
    return [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
