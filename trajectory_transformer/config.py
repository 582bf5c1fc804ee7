"""The Trajectory Transformer's settings: of training first, then of the planner."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from backbone.config import ModelConfig
from backbone.options import option

PLANNER = (  # its options: a trained model may plan by others (experiments/plan.py)
    *("horizon", "beam_width", "expand", "top_observations", "top_actions", "cdf_observations", "cdf_actions"),
    *("percentile", "planning_context", "prefix", "prefix_context", "plan_every", "plan_seconds", "plan_memory"),
)
CODES = 512  # values of a token of a frame, 8 for each of its three numbers


@dataclass(frozen=True)
class Config(ModelConfig):
    """The paper's settings (config/offline.py of its code)."""

    acting: ClassVar[tuple[str, ...]] = PLANNER

    context: int = option(10, "transitions in a window", low=1)
    batch_size: int = option(256, "windows in an update", low=1)
    learning_rate: float = option(6e-4, "peak learning rate of AdamW", above=0)
    weight_decay: float = option(0.1, "AdamW's weight decay", low=0)
    beta2: float = option(0.95, "AdamW's second decay rate", low=0, below=1)
    max_grad_norm: float = option(1.0, "largest gradient norm", above=0)
    warmup_fraction: float = option(
        0.02, "share of the updates over which the learning rate rises from 0: one epoch of 50", low=0, high=1
    )
    final_lr_fraction: float = option(0.1, "share of the peak learning rate at the end of a cosine; 1: constant", low=0)
    width: int = option(128, "width of the network", low=1)
    layers: int = option(4, "blocks of the network", low=1)
    heads: int = option(4, "attention heads", low=1, divides="width")
    dropout: float = option(0.1, "dropout of embeddings, attention and residuals", low=0, below=1)
    bins: int = option(100, "bins of each dimension", low=1)
    discretizer: Literal["quantile", "uniform"] = option("quantile", "edges of the bins: quantile or uniform")
    discount: float = option(0.99, "discount of values and plans", above=0, high=1)
    termination_penalty: float = option(-100.0, "reward of a step that ends the task; it replaces the recorded one")
    penalty_bin: bool = option(
        False, "give the termination penalty the lowest bin of rewards for itself; else the lowest rewards share it"
    )
    action_weight: float = option(5.0, "weight of action tokens in the loss", low=0)
    reward_weight: float = option(1.0, "weight of reward tokens in the loss", low=0)
    value_weight: float = option(1.0, "weight of value tokens in the loss", low=0)
    kept_observations: int = option(
        0, "leading numbers of an observation that are read; 0: all (ant 27, kitchen 30)", low=0
    )
    horizon: int = option(15, "transitions in a plan", low=1)
    beam_width: int = option(128, "sequences kept while planning", low=1)
    expand: int = option(2, "candidates drawn from each beam, n_expand in the paper's code", low=1)
    top_observations: int = option(1, "sample observations from the k most likely bins; 0: from all (k_obs)", low=0)
    top_actions: int = option(0, "sample actions from the k most likely bins; 0: from all (k_act)", low=0)
    cdf_observations: float = option(
        0.0, "sample observations without the least likely bins that hold this probability (cdf_obs)", low=0, below=1
    )
    cdf_actions: float = option(
        0.6, "sample actions without the least likely bins that hold this probability (cdf_act)", low=0, below=1
    )
    percentile: float = option(
        0.0, "percentile of rewards and values that plans go by, in (0, 1); 0: their mean", low=0, below=1
    )
    planning_context: int = option(5, "transitions that the planner sees, the one being planned included", low=1)
    prefix: int = option(0, "played transitions that a plan begins from, of those it sees; 0: all that fit", low=0)
    prefix_context: bool = option(True, "plan from the last transitions, not from the present observation alone")
    plan_every: int = option(1, "steps of a plan that are played before the next is made (plan_freq)", low=1)
    plan_seconds: float = option(
        0.0, "seconds for a decision of all episodes, then the best plan so far; 0: no limit", low=0
    )
    plan_memory: float = option(
        1.0, "gigabytes of keys and values; as many episodes as fit are planned together", above=0
    )


@dataclass(frozen=True)
class ImageConfig(Config):
    """What differs from numbers: 28 tokens a transition, of 512 values each, and rewards that are mostly zero."""

    acting: ClassVar[tuple[str, ...]] = (*PLANNER, "random_actions")

    context: int = option(4, "transitions in a window", low=1)
    batch_size: int = option(32, "windows in an update", low=1)
    bins: int = option(CODES, "bins of each dimension: the tokens of frames have 512 values", low=1)
    discretizer: Literal["quantile", "uniform"] = option(
        "uniform", "edges of the bins: uniform, or quantile, which gives rare rewards no bins"
    )
    termination_penalty: float = option(0.0, "reward of a step that ends the task, where it is not 0")
    horizon: int = option(2, "transitions in a plan", low=1)
    beam_width: int = option(8, "sequences kept while planning", low=1)
    planning_context: int = option(4, "transitions that the planner sees, the one being planned included", low=1)
    prefix: int = option(2, "played transitions that a plan begins from, of those it sees; 0: all that fit", low=0)
    random_actions: float = option(
        0.05, "probability of a random action (epsilon), so that no game stands still", low=0, high=1
    )

    tokenizer_updates: int = option(4_000, "updates in which the autoencoder of frames learns", low=1)
    tokenizer_batch: int = option(64, "frames in each of them", low=1)
    tokenizer_rate: float = option(1e-3, "their learning rate", above=0)
    tokenizer_width: int = option(64, "channels of its convolutions", low=1)
