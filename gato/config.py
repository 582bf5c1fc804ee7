"""Gato's configuration: `Config()` is `tiny`, our comparisons' size; the paper's three sizes are changes to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

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
    """Gato's settings; README.md lists the choices that the paper leaves open."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {  # run.py --preset 79M
        size: {**changes, "updates": 1_000_000} if changes else {} for size, changes in SIZES.items()
    }
    acting: ClassVar[tuple[str, ...]] = ("prompt", "decoding", "temperature", "memory")

    context: int = option(8, "steps in a sequence, its prompt included; the paper counts tokens: 1024", low=1)
    context_tokens: int = option(
        0, "tokens of a sequence of every task, its prompt included, as the paper counts; 0: `context` steps", low=0
    )
    batch_size: int = option(32, "sequences in an update", low=1)
    tasks_per_update: int = option(
        0, "draws of a task in an update of several, each with an equal share of its sequences; 0: each sequence", low=0
    )
    loss_by: Literal["token", "task"] = option(
        "token", "mean of the loss over all target tokens, or over the sequences' tasks, which weighs long actions less"
    )
    learning_rate: float = option(2e-3, "peak learning rate of AdamW; the paper's sizes use 1e-4", above=0)
    weight_decay: float = option(0.1, "AdamW's weight decay", low=0)
    beta2: float = option(0.95, "AdamW's second decay rate", low=0, below=1)
    max_grad_norm: float = option(1.0, "largest gradient norm", above=0)
    warmup_fraction: float = option(
        0.05, "share of the updates over which the learning rate rises from 0", low=0, high=1
    )
    final_lr_fraction: float = option(0.1, "share of the peak learning rate at the end of a cosine", low=0)

    core: Literal["gato", "dt"] = option(
        "gato", "sequence model: gato's own, or the Decision Transformer's blocks (gato/dt_core.py)"
    )
    width: int = option(128, "of a token's embedding", low=1)
    layers: int = option(2, "of the transformer", low=1)
    heads: int = option(4, "of attention in a layer", low=1)
    head_width: int = option(32, "of a head's queries, keys and values", low=1)
    hidden: int = option(512, "width of the feed-forward layers", low=1)
    feedforward: Literal["gelu", "geglu"] = option("gelu", "gelu, or geglu, which has a third matrix")
    dropout: float = option(0.0, "in attention and feed-forward", low=0, below=1)
    stochastic_depth: float = option(
        0.0, "share of sublayers skipped, per sequence, while training; the paper: 0.1", low=0, below=1
    )

    initializer_range: float = option(
        0.09, "standard deviation of the transformer's first weights: 1 / sqrt(width)", above=0
    )
    alibi: bool = option(True, "let each head of attention prefer what is near, by a slope of its own (ALiBi)")
    ordinal_init: bool = option(True, "begin with embeddings in which neighboring values are alike")
    layout: Literal["split", "shared"] = option(
        "split", "ids of observations and actions: split (34,049 ids) or shared (33,025)"
    )
    logits: Literal["legal", "full"] = option(
        "legal", "train over the legal action ids only, or over the full table as the paper does"
    )
    vectors: Literal["tokens", "embedded"] = option(
        "tokens", "observed floats: a token each, as in the paper, or one for an array by a linear layer, as in JAT"
    )
    action_positions: Literal["shared", "none", "own"] = option(
        "shared", "of action tokens: shared (paper's text), none (its figure 18), own"
    )
    observation_positions: bool = option(True, "add each token's position within its timestep")
    patch_positions: bool = option(True, "add each image patch's row and column")
    timestep_positions: bool = option(False, "add the step's number in its episode (the unofficial Gato's)")

    pieces: int = option(
        0,
        "text: fit so many pieces at most to the tasks' texts; 0: 2,000 if a task is answered, else those shipped",
        low=0,
    )
    text: bool = option(False, "build the 32,000 rows of text ids; logits over the full table have them anyway")
    images: bool = option(False, "build the patch encoder although no task shows images")
    image_channels: int = option(
        3, "of the patches, raised to those of the images; fewer are completed with zeros", low=1
    )
    patch: int = option(16, "side of an image patch, in pixels", low=1)
    patch_blocks: int = option(1, "residual blocks of the patch encoder", low=0)
    patch_width: int = option(64, "channels inside the patch encoder, a multiple of patch_groups", low=1)
    patch_groups: int = option(32, "groups of its GroupNorm", low=1, divides="patch_width")

    prompt_share: float = option(0.25, "of training sequences that begin with a prompt", low=0, high=1)
    prompt_end_share: float = option(
        0.5, "of prompts that are the end of their episode; the rest is a uniform piece", low=0, high=1
    )
    prompt_from: Literal["any", "alike"] = option(
        "any", "where training prompts come from: any other episode, or one of alike return"
    )
    prompt_steps: int = option(2, "longest prompt, in steps", low=0)
    prompt_instructed: bool = option(True, "prompt also tasks whose observations hold an instruction")
    prompt: str = option("best", "when acting: none, end, uniform, best, or an .npz file of observations and actions")
    decoding: Literal["auto", "sampled", "median", "likely"] = option(
        "auto", "how an action is decoded from its bins; auto: by how the data were made"
    )
    temperature: float = option(
        0.7, "temperature of sampled actions; for the most likely ones, --decoding likely", above=0
    )
    memory: Literal["rolling", "recompute", "auto"] = option(
        "rolling",
        "when acting: a rolling cache of keys and values, or the window again at every step; auto: that where "
        "a sequence has fewer than 8 steps",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt_steps >= self.context and not self.context_tokens:  # which decide how many there are
            raise UserError(
                f"prompt_steps is {self.prompt_steps}, but a sequence has {self.context} steps (context): leave at "
                f"least one of them to the episode itself."
            )
        if self.core == "dt" and self.width % self.heads:
            sizes = f"width is {self.width}, and heads {self.heads}"
            raise UserError(f"{sizes}: with core dt the first has to be a multiple of the second.")


def preset(size: str, **changes: Any) -> Config:
    """A size by name, with changes.

    Raises:
        UserError: no size is called that.
    """
    if size not in SIZES:
        raise UserError(f"Gato has no size {size!r}: choose one of {', '.join(SIZES)}.")
    return replace(Config(), **{**SIZES[size], **changes})
