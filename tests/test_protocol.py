"""What is fixed before any number is measured: D4RL's reference scores, the episodes' seeds, no dropout while playing,
and that the optimizer is the one that a model's settings describe."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from environments.make import make
from environments.scores import normalized
from report.score_families import is_answered
from report.store import read_all
from tests.toys import POINT, SCREEN, SMALL, small, walk
from training import train
from training.checkpoint import load_model, save_model
from training.evaluate import episode_seeds, evaluate
from training.settings import Run
from trajectories.catalog import environment
from trajectories.types import Spec

ROOT = Path(__file__).resolve().parent.parent

D4RL_REFERENCES = {  # a random policy's return and an expert's: REF_MIN_SCORE and REF_MAX_SCORE of d4rl/infos.py
    "hopper": (-20.272305, 3234.3),
    "walker2d": (1.629008, 4592.3),
    "halfcheetah": (-280.178953, 12135.0),
    "ant": (-325.6, 3879.7),
    "pen": (96.262799, 3076.8331017826877),
    "door": (-56.512833, 2880.5693087298737),
    "hammer": (-274.856578, 12794.134825156867),
    "relocate": (-6.425911, 4233.877797728884),
    "kitchen-microwave-kettle-light-slider": (0.0, 4.0),
    "kitchen-microwave-kettle-burner-light": (0.0, 4.0),
    "antmaze-umaze": (0.0, 1.0),
    "antmaze-medium": (0.0, 1.0),
    "antmaze-large": (0.0, 1.0),
    "maze2d-open": (0.01, 20.66),
    "maze2d-umaze": (23.85, 161.86),
    "maze2d-medium": (13.13, 277.39),
    "maze2d-large": (6.7, 273.99),
    "maze2d-open-dense": (11.17817, 27.166538620695782),
    "maze2d-umaze-dense": (68.537689, 193.66285642381482),
    "maze2d-medium-dense": (44.264742, 297.4552547777125),
    "maze2d-large-dense": (30.569041, 303.4857382709002),
    "minigrid-fourrooms": (0.01442, 2.89685),
}
LEARNERS = [name for name in SMALL if name != "nearest"]  # that is never updated

# ---- scores and seeds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", D4RL_REFERENCES)
def test_scores_are_normalized_by_d4rls_own_reference_scores(name: str) -> None:
    low, high = D4RL_REFERENCES[name]
    assert (environment(name).random_score, environment(name).expert_score) == (low, high)
    returns = np.array([low, (low + high) / 2, high])
    np.testing.assert_allclose(normalized(name, returns), [0, 50, 100], atol=1e-9)


def test_evaluation_episodes_begin_at_the_seeds_of_all_committed_records() -> None:
    assert episode_seeds(3) == (1_000_000, 1_000_001, 1_000_002)
    records = read_all(ROOT / "results" / "runs")
    assert records
    for record in records:
        count = len(record.protocol.seeds)  # of what is answered, numbers of pictures and documents
        expected = tuple(range(count)) if is_answered(record) else episode_seeds(count)
        assert record.protocol.seeds == expected, record.name


# ---- dropout --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_nothing_is_dropped_while_a_model_that_learns_is_measured(name: str) -> None:
    toy = make("toy", 2)
    model = small(name, walk((20, 20), spec=toy.spec), dropout=0.5)
    returns = []
    for training, seed in ((False, 0), (True, 1), (True, 2)):
        torch.manual_seed(seed)
        returns.append(evaluate(model.train(training), toy, 9.0).returns)
    np.testing.assert_array_equal(returns[1:], [returns[0]] * 2)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_model_that_is_loaded_drops_nothing(name: str, tmp_path: Path) -> None:
    save_model(tmp_path, name, small(name, walk((12, 7)), dropout=0.5).train())
    assert not any(module.training for module in load_model(tmp_path).modules())


# ---- the optimizer --------------------------------------------------------------------------------------------------


def test_an_update_clips_the_gradient_to_the_norm_of_the_settings() -> None:
    data = walk((12, 7))
    model = small("dt", data, max_grad_norm=1e-3).train()
    train.update(model, data, train.adamw(model), Run(precision="fp32"), train.Progress())
    norm = torch.stack([weight.grad.norm() for weight in model.parameters() if weight.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("spec", [POINT, SCREEN], ids=["point", "screen"])
@pytest.mark.parametrize("name", LEARNERS)
def test_the_optimizer_averages_gradients_by_the_betas_of_the_settings(name: str, spec: Spec) -> None:
    model = small(name, walk((12, 7), spec=spec), beta1=0.75, beta2=0.5)
    optimizer = train.adamw(model)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 2.0)
    optimizer.step()
    for state in optimizer.state.values():
        assert torch.allclose(state["exp_avg"], torch.tensor(0.25 * 2.0))
        assert torch.allclose(state["exp_avg_sq"], torch.tensor(0.5 * 2.0**2))


@pytest.mark.parametrize("spec", [POINT, SCREEN], ids=["point", "screen"])
@pytest.mark.parametrize("name", LEARNERS)
def test_weight_decay_shrinks_matrices_and_kernels_and_spares_the_rest(name: str, spec: Spec) -> None:
    model = small(name, walk((12, 7), spec=spec), weight_decay=0.5, learning_rate=0.1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(1.0)
            weight.grad = torch.zeros_like(weight)
    train.adamw(model).step()
    for key, weight in model.named_parameters():
        shrinks = weight.requires_grad and (key in decayed(model) or everything_decays(name, spec))
        assert torch.allclose(weight, torch.tensor(1 - 0.1 * 0.5 if shrinks else 1.0)), key


def decayed(model: nn.Module) -> set[str]:
    """Weights of linear layers and convolutions; the Trajectory Transformer's head of every dimension is such a one."""
    layers = (nn.Linear, nn.Conv2d)
    found = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, layers)}
    return found | {"network.heads"}


def everything_decays(name: str, spec: Spec) -> bool:
    """As in kzl's gym code, which gives AdamW all parameters alike; its Atari code spares what GPTs spare."""
    return name == "bc" or (name == "dt" and spec == POINT)
