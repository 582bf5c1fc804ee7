"""Where the time of an update goes: products, casts and copies, softmax, and the other elementwise operations.

Measured by PyTorch's profiler over whole updates, batches included, as a default run makes them. A share is the most
that an operation could still give if it took no time: a normalization fused with the addition before it, which PyTorch
has in compiled code alone, saves less than both take. Weights are cast to bfloat16 once an update already: autocast
keeps the copies of a forward pass.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from torch.profiler import ProfilerActivity, profile

from backbone.interface import SequenceModel
from benchmarks.made_up import noise
from decision_transformer.config import Config as DTConfig
from decision_transformer.model import DecisionTransformer
from gato import Config as GatoConfig
from gato import Gato
from training.cli import exit_on_user_error
from training.settings import Run
from training.train import Progress, adamw, update
from trajectories.types import Trajectories
from trajectory_transformer.config import Config as TTConfig
from trajectory_transformer.model import TrajectoryTransformer

GROUPS = {  # by the names of PyTorch's operations, without aten::
    "products": ("mm", "addmm", "bmm", "baddbmm"),
    "casts and copies": ("copy_", "_to_copy", "clone", "cat", "fill_", "empty_strided"),
    "softmax": ("_softmax", "_softmax_backward_data", "_log_softmax", "_log_softmax_backward_data"),
    "activations": ("gelu", "gelu_backward", "relu", "threshold_backward"),
    "normalization": ("native_layer_norm", "native_layer_norm_backward"),
    "additions": ("add", "add_"),
    "dropout": ("random_", "ge", "mul", "mul_"),
    "optimizer": ("_fused_adamw_", "linalg_vector_norm", "_foreach_norm", "_foreach_mul_"),
}
OTHER = "all else"
UPDATES = 8


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    data = noise(100_000)
    models = {
        "DT: an update of the default preset": DecisionTransformer(DTConfig(), data.spec),
        "TT: an update of the default preset": TrajectoryTransformer(TTConfig(batch_size=32, dropout=0.0), data.spec),
        "Gato: an update of tiny": Gato(GatoConfig(), data.spec),
    }
    return [row(what, model, data) for what, model in models.items()]


def row(what: str, model: SequenceModel, data: Trajectories, updates: int = UPDATES) -> dict[str, object]:
    """A model's update, and in the note what each group of operations takes of it; the ratio is the products' share."""
    model.calibrate(data)
    optimizer, run, done = adamw(model), Run(updates=10_000, precision="bf16"), Progress()
    found = shares(lambda: update(model, data, optimizer, run, done), updates)
    spent = sum(found.values())
    parts = sorted(found, key=lambda name: (name == OTHER, -found[name]))
    return {
        "what": f"{what}, bf16: its products",
        "ours": f"{1e3 * spent:.0f} ms",
        "peer": f"{1e3 * found['products']:.0f} ms",
        "ratio": found["products"] / spent,
        "note": ", ".join(f"{name} {found[name] / spent:.0%}" for name in parts),
    }


def shares(work: Callable[[], object], updates: int) -> Mapping[str, float]:
    """Seconds that each group of operations takes in a call of `work`."""
    work()
    work()
    with profile(activities=[ProfilerActivity.CPU]) as measured:
        for _ in range(updates):
            work()
    groups = {f"aten::{name}": group for group, names in GROUPS.items() for name in names}
    found: Counter[str] = Counter(dict.fromkeys([*GROUPS, OTHER], 0.0))
    for each in measured.key_averages():
        found[groups.get(each.key, OTHER)] += each.self_cpu_time_total / 1e6 / updates
    return found


if __name__ == "__main__":
    with exit_on_user_error():
        for each in measure():
            print(each)
