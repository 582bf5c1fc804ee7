"""Which numbers can be meant, option by option. Every option that takes one has to be here; a test holds that."""

import math
from dataclasses import dataclass, fields
from typing import Any

from trajectories.errors import UserError


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`, without an end that is said to be out."""

    words: str  # what to give
    low: float = -math.inf
    high: float = math.inf
    low_out: bool = False
    high_out: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_out else value >= self.low
        below = value < self.high if self.high_out else value <= self.high
        return math.isfinite(value) and above and below


RANGES = {
    Range("1 or more", low=1): """
        updates episodes evaluate_episodes steps replay_steps replay_checkpoints context batch_size
        width layers heads head_width hidden image_channels patch patch_width patch_groups
        bins horizon beam_width expand planning_context plan_every tokenizer_updates tokenizer_batch tokenizer_width
    """,
    Range("0 or more, below 2 to the power of 63", low=0, high=1 << 63, high_out=True): "seed data_seed",
    Range("0 or more", low=0): """
        threads evaluate_every checkpoint_seconds micro_batch weight_decay final_lr_fraction temperature
        patch_blocks prompt_steps kept_observations top_observations top_actions prefix plan_seconds
        action_weight reward_weight value_weight
    """,
    Range("a number above 0", low=0, low_out=True): """
        learning_rate max_grad_norm initializer_range return_scale plan_memory tokenizer_rate task_weights
    """,
    Range("a share from 0 to 1", low=0, high=1): "warmup_fraction prompt_share prompt_end_share random_actions",
    Range("a share above 0 and up to 1", low=0, high=1, low_out=True): "fraction_best discount",
    Range("a share from 0 to below 1", low=0, high=1, high_out=True): """
        dropout stochastic_depth beta1 beta2 cdf_observations cdf_actions percentile
    """,
    Range("a finite number"): "target_returns termination_penalty",
}  # fmt: skip
BY_OPTION = {name: limits for limits, names in RANGES.items() for name in names.split()}


def numbers(*owners: Any) -> dict[str, tuple[float, ...]]:
    """Every number that these dataclasses hold, by its option: one, or as many as were given."""
    found = {}
    for owner in owners:
        for field in fields(owner):
            value = getattr(owner, field.name)
            several = value if isinstance(value, tuple) else (value,)
            found[field.name] = tuple(x for x in several if isinstance(x, int | float) and not isinstance(x, bool))
    return {name: values for name, values in found.items() if values}


def check_ranges(*owners: Any) -> None:
    """Refuse numbers that no run can be made with.

    Raises:
        UserError: a number lies out of its option's range, or what is to be divided evenly does not divide.
    """
    given = numbers(*owners)
    defaults = {field.name: field.default for owner in owners for field in fields(owner)}  # 0 may have a meaning there
    for name, values in given.items():
        for value in values:
            if value not in BY_OPTION[name] and value != defaults[name]:
                raise UserError(f"{dashed(name)} is {value}: give {BY_OPTION[name].words}.")
    shared = {"patch_width": "patch_groups"} | ({} if "head_width" in given else {"width": "heads"})
    for whole, parts in shared.items():
        if whole in given and parts in given and given[whole][0] % given[parts][0]:
            sizes = f"{dashed(whole)} is {given[whole][0]}, and {dashed(parts)} {given[parts][0]}"
            raise UserError(f"{sizes}: the one has to be a multiple of the other.")


def dashed(name: str) -> str:
    """The option as it is typed."""
    return f"--{name.replace('_', '-')}"
