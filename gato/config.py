"""Gato's configuration: `Config()` is `tiny`, our comparisons' size; the paper's three sizes are changes to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from backbone.config import ModelConfig
from backbone.options import option
from trajectories.errors import UserError

# The paper's table 1: layers, heads, width, feed-forward width, width of a head; trained as its appendix C says.
_PAPER = {
    "learning_rate": 1e-4,
    "warmup_fraction": 0.015,  # 15,000 of a million updates
    "batch_size": 512,
    "stochastic_depth": 0.1,
    "logits": "full",
    "initializer_range": 0.02,  # GPT-2's; the paper does not say
    "alibi": False,  # not in the paper, as the next
    "ordinal_init": False,
}
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "79M": {**_PAPER, "layers": 8, "heads": 24, "width": 768, "hidden": 3072, "head_width": 32},
    "364M": {**_PAPER, "layers": 12, "heads": 12, "width": 1536, "hidden": 6144, "head_width": 128},
    "1.18B": {**_PAPER, "layers": 24, "heads": 16, "width": 2048, "hidden": 8192, "head_width": 128},
}


@dataclass(frozen=True)
class Config(ModelConfig):
    """Everything about Gato that can be chosen; what the paper leaves open is chosen here and told in README.md."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {  # run.py --preset 79M
        size: {**changes, "updates": 1_000_000} if changes else {} for size, changes in SIZES.items()
    }

    context: int = option(8, "steps in a sequence, its prompt included; the paper counts tokens: 1024")
    batch_size: int = option(32, "sequences in an update")
    learning_rate: float = option(2e-3, "peak learning rate of AdamW; the paper's sizes use 1e-4")
    weight_decay: float = option(0.1, "AdamW's weight decay")
    beta2: float = option(0.95, "AdamW's second decay rate")
    max_grad_norm: float = option(1.0, "largest gradient norm")
    warmup_fraction: float = option(0.05, "share of the updates over which the learning rate rises from 0")
    final_lr_fraction: float = option(0.1, "share of the peak learning rate at the end of a cosine")

    width: int = option(128, "of a token's embedding")
    layers: int = option(2, "of the transformer")
    heads: int = option(4, "of attention in a layer")
    head_width: int = option(32, "of a head's queries, keys and values")
    hidden: int = option(512, "width of the feed-forward layers")
    feedforward: str = option("gelu", "gelu, or geglu, which has a third matrix")
    dropout: float = option(0.0, "in attention and feed-forward")
    stochastic_depth: float = option(0.0, "share of sublayers skipped, per sequence, while training; the paper: 0.1")

    initializer_range: float = option(0.09, "standard deviation of the transformer's first weights: 1 / sqrt(width)")
    alibi: bool = option(True, "let each head of attention prefer what is near, by a slope of its own (ALiBi)")
    ordinal_init: bool = option(True, "begin with embeddings in which neighboring values are alike")
    layout: str = option("split", "ids of observations and actions: split (34,049 ids) or shared (33,025)")
    logits: str = option("legal", "train over the legal action ids only, or over the full table as the paper does")
    action_positions: str = option("shared", "of action tokens: shared (paper's text), none (its figure 18), own")
    observation_positions: bool = option(True, "add each token's position within its timestep")
    patch_positions: bool = option(True, "add each image patch's row and column")
    timestep_positions: bool = option(False, "add the step's number in its episode (the unofficial Gato's)")

    text: bool = option(False, "build the 32,000 rows of text ids; logits over the full table have them anyway")
    images: bool = option(False, "build the patch encoder although no task shows images")
    image_channels: int = option(3, "of the patches, raised to those of the images; fewer are completed with zeros")
    patch: int = option(16, "side of an image patch, in pixels")
    patch_blocks: int = option(1, "residual blocks of the patch encoder")
    patch_width: int = option(64, "channels inside the patch encoder, a multiple of patch_groups")
    patch_groups: int = option(32, "groups of its GroupNorm")

    prompt_share: float = option(0.25, "of training sequences that begin with a prompt")
    prompt_end_share: float = option(0.5, "of prompts that are the end of their episode; the rest is a uniform piece")
    prompt_from: str = option("any", "prompts while training: any other episode, or one of alike return")
    prompt_steps: int = option(2, "longest prompt, in steps")
    prompt: str = option("best", "when acting: none, end, uniform, best, or an .npz file of observations and actions")
    decoding: str = option("auto", "of an action's bins: sampled, median, likely, or auto: as the data were made")
    temperature: float = option(0.7, "of sampled actions; the lower, the nearer to the most likely")
    memory: str = option("rolling", "when acting: rolling keys and values, or recompute the window at every step")

    def __post_init__(self) -> None:
        choices = {
            "layout": ("split", "shared"),
            "logits": ("legal", "full"),
            "action_positions": ("shared", "none", "own"),
            "feedforward": ("gelu", "geglu"),
            "memory": ("rolling", "recompute"),
            "prompt_from": ("any", "alike"),
            "decoding": ("auto", "sampled", "median", "likely"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"{name} is {getattr(self, name)!r}: choose one of {', '.join(allowed)}.")
        if self.temperature <= 0:
            raise UserError(f"temperature is {self.temperature}: give a positive one, or --decoding likely.")
        if not 0 <= self.prompt_steps < self.context:
            raise UserError(
                f"prompt_steps is {self.prompt_steps}, but a sequence has {self.context} steps (context): leave at "
                f"least one of them to the episode itself."
            )


def preset(size: str, **changes: Any) -> Config:
    """A size by name, with changes.

    Raises:
        UserError: no size is called that.
    """
    if size not in SIZES:
        raise UserError(f"Gato has no size {size!r}: choose one of {', '.join(SIZES)}.")
    return replace(Config(), **{**SIZES[size], **changes})
