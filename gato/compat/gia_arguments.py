"""GIA's arguments, of its README's first version (huggingface/gia at 4bf4e25), and three of ours.

What is fixed in Gato's tokens, and what is not built here, is accepted with its default value only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gato.tokens import BINS, LARGEST, MU, TEXT_IDS
from trajectories.errors import UserError

MODEL, WIDTH = "EleutherAI/gpt-neo-125M", 768


@dataclass
class DatasetArguments:
    """GIA's arguments of data. The constants of the tokens are accepted with their default value only.

    Raises:
        UserError: a constant has another value, or a number is out of its range.
    """

    task_names: str | Sequence[str] = "all"  # names, or families: "babyai"
    seq_len: int = 1024  # tokens
    p_prompt: float = 0.25  # share of sequences that begin with a prompt
    p_end: float = 0.5  # of these, share whose prompt is an episode's end
    patch_size: int = 16
    mu: float = MU
    M: float = LARGEST
    nb_bins: int = BINS
    token_shift: int = TEXT_IDS
    use_separator: bool = True
    load_from_cache: bool = True  # columns are kept on the disk in any case
    shuffle: bool = True  # ignored: the DataLoader's own argument decides
    batch_size: int = 8
    source: str = "collected"  # ours: collected, or jat
    steps: int | None = None  # ours: recorded of each task; None: 10,000; GIA's sets have 100,000
    seed: int = 0  # ours: of the recording and of the sequences

    constants: ClassVar[tuple[str, ...]] = ("mu", "M", "nb_bins", "token_shift", "use_separator")

    def __post_init__(self) -> None:
        for name in self.constants:
            value, constant = getattr(self, name), getattr(type(self), name)
            if value != constant:
                raise UserError(f"{name} is {value}, but Gato's tokens are fixed at {constant}: leave it out.")
        for name in ("seq_len", "patch_size", "batch_size", "steps"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UserError(f"{name} is {value}: choose at least 1.")
        for name in ("p_prompt", "p_end"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}, which is no share: choose one from 0 to 1.")
        if self.source not in ("collected", "jat"):
            raise UserError(f"source is {self.source!r}: choose collected or jat.")


@dataclass
class Arguments(DatasetArguments):
    """GIA's arguments of data and model. Training is `experiments/run.py`'s, and has its own.

    Raises:
        UserError: as for data; another `model_name`, or pretrained weights.
    """

    model_name: str = MODEL
    use_pretrained: bool = False  # GIA's default is True, which raises NotImplementedError there
    text_vocab_size: int = TEXT_IDS
    max_nb_observation_tokens: int = 512
    image_vocab_size: int = 128
    num_res_channels: int = 256
    num_groups: int = 32
    embed_dim: int = -1  # -1: the model's, 768

    constants: ClassVar[tuple[str, ...]] = (
        *DatasetArguments.constants,
        *("model_name", "use_pretrained", "text_vocab_size", "max_nb_observation_tokens", "image_vocab_size"),
    )

    @property
    def width(self) -> int:
        """The width of the embeddings."""
        return WIDTH if self.embed_dim == -1 else self.embed_dim
