"""GIA's data: sequences of tokens of the tasks that are named, as dictionaries of modalities.

    from gato.compat.gia import DatasetArguments, collate_fn, load_mixed_dataset
    dataset = load_mixed_dataset(DatasetArguments(task_names=["babyai-go-to", "mujoco-ant"]))
    batch = next(iter(DataLoader(dataset, shuffle=True, collate_fn=collate_fn)))
    batch[0]["continuous_observations"]  # (8, 28, 27)
    batch[1]["image_observations"]       # (8, 39, 16, 3, 16, 16)

Source   the README of huggingface/gia (now jat), and its arguments
Data     recorded here: BabyAI's bot, Meta-World's policies, the scripted players of Atari, our own policies of MuJoCo's
         robots; Ant's actions are uniform, since no policy of it is here. `source="jat"` fetches GIA's successor's own
Tokens   floats by mu-law, 1024 bins, from 32000; integers from 32000, too; text by pieces that are fitted to the tasks'
         missions, between a begin and an end: 7 for "go to the red ball", as GIA's tokenizer has it
Pictures of BabyAI are the recorded view drawn: 56x56 pixels, padded with black to 64x64, 16 patches (GIA enlarges them)
Differs  no mu-law on actions. A sequence stays within one episode, behind a prompt of a quarter of its steps, which is
         of another episode (GIA goes on into the next episode, and may prompt from the same). Padding stands last
Items    GIA's README mixes two versions, and both examples work: with `DatasetArguments` an item is a batch of
         `batch_size` sequences for each task; with `Arguments` it is one sequence of one task, of batch size 1

Shapes   B sequences, T steps of a sequence, n tokens of one modality, N patches of an image
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from backbone.image_shape import shows_images
from backbone.images import channels_first
from backbone.parts import text_keys, unpack
from environments.babyai import CELL, pictures
from gato import prompts
from gato.compat.gia_arguments import Arguments, DatasetArguments
from gato.config import Config
from gato.observations import FITTED, PADDING
from gato.patches import black_to, patch_intervals, squares
from gato.pieces import Pieces, lines_of
from gato.stream import tensor_bins
from gato.text import Text
from gato.tokens import layout
from sources.loading import load
from sources.request import Request
from trajectories import jat_names
from trajectories.batch import Batch
from trajectories.errors import UserError, did_you_mean
from trajectories.parts import to_text
from trajectories.rows import dataset_rows
from trajectories.types import Spec, Trajectories
from trajectories.windows import cut

STEPS = 10_000  # recorded of each task
RECORDED = {  # mujoco-* are recorded by other names' policies
    "mujoco-ant": "ant-random",
    "mujoco-halfcheetah": "halfcheetah-expert",
    "mujoco-hopper": "hopper-expert",
    "mujoco-walker": "walker2d-expert",
}
MODALITIES = [*(f"{each}_observations" for each in ("text", "discrete", "continuous", "image")), "patches_positions"]
IDS = layout("shared")
Sample = dict[str, Tensor]


class MixedDataset(Dataset[list[Sample]]):
    """Sequences of several tasks; the same arguments and index give the same ones.

    Args:
        batch: sequences of each task in an item; None: an item is one sequence of one task.
    """

    def __init__(self, tasks: "Sequence[TaskSequences]", batch: int | None) -> None:
        self.tasks, self.batch = tasks, batch
        self.ends = np.cumsum([len(task) for task in tasks])

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.batch is None else -(-max(map(len, self.tasks)) // self.batch)

    def __getitem__(self, index: int) -> list[Sample]:
        """One dictionary for each task of the item, in the order of their modalities: continuous before text."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        if self.batch is None:
            place = int(np.searchsorted(self.ends, index, side="right"))
            return [self.tasks[place].draw(int(self.ends[place]) - 1 - index, 1)]
        return sorted((task.draw(index, self.batch) for task in self.tasks), key=lambda sample: sorted(sample))


class TaskSequences:
    """The sequences of one task.

    Raises:
        UserError: not even one step fits.
    """

    def __init__(self, data: Trajectories, text: Text, args: DatasetArguments) -> None:
        self.spec, self.text, self.args = data.spec, text, args
        self.room = max((len(text.encode(line)) + 2 for line in lines_of(data)), default=0)  # tokens of a text
        ends = np.zeros(len(data), np.float32)
        ends[data.starts[1:][data.finished] - 1] = 1
        self.data = replace(data, returns_to_go=ends)  # windows.py cuts this column, in which `dones` travel
        first = np.zeros(1, np.int64)
        tokens = tokens_of(self._sample(cut(self.data, first, first, 1)))
        self.steps = args.seq_len // tokens
        if self.steps == 0:
            raise UserError(
                f"A step of {data.origin.name} has {tokens} tokens, but seq_len is {args.seq_len}: raise it."
            )
        self.config = Config(
            context=self.steps,
            prompt_steps=self.steps // 4,
            prompt_share=args.p_prompt,
            prompt_end_share=args.p_end,
        )

    def __len__(self) -> int:
        """As many sequences as hold all steps once."""
        return -(-len(self.data) // self.steps)

    def draw(self, index: int, size: int) -> Sample:
        """Some sequences, (size, T, ...), decided by the seed and the index."""
        rng = np.random.default_rng([self.args.seed, index])
        made = self._sample(prompts.join(prompts.sample(self.data, rng, size, self.config)))
        missing = self.steps - made["rewards"].shape[1]
        return {key: pad(values, (*[0, 0] * (values.ndim - 2), 0, missing)) for key, values in made.items()}

    def _sample(self, steps: Batch) -> Sample:
        """What GIA's batches hold of some steps, in GIA's order."""
        acted = f"{'discrete' if self.spec.discrete else 'continuous'}_actions"
        actions = IDS.actions + tensor_bins(steps.actions, squeeze=False)
        found = {**self._observed(steps.observations), acted: actions}
        positions = {key: found.pop(key) for key in ("patches_positions",) if key in found}
        real = {key: steps.mask[:, :, None].expand(values.shape[:3]) for key, values in found.items()}
        if "text_observations" in found:
            real["text_observations"] = real["text_observations"] & (found["text_observations"] != PADDING)
        learned = {key: mask & key.startswith("text") | mask & (key == acted) for key, mask in real.items()}
        return {
            **{"rewards": steps.rewards, "dones": steps.returns_to_go > 0, **found, **positions},
            **{f"{key}_loss_mask": mask for key, mask in learned.items()},
            **{
                f"{key}_attention_mask": mask
                for key, mask in {"rewards": steps.mask, "dones": steps.mask, **real}.items()
            },
        }

    def _observed(self, rows: Tensor) -> Sample:
        """The tokens and patches of (B, T, *obs) observations, by their modality."""
        side = self.args.patch_size
        found: dict[str, list[Tensor]] = {}
        for modality, values in parts_of(rows, self.spec):
            if modality == "image":
                high, wide = values.shape[-2:]
                cells = squares(black_to(values, (high + -high % side, wide + -wide % side)), side)
                intervals = patch_intervals(high, wide, side)
                found.setdefault("patches_positions", []).append(intervals.expand(*rows.shape[:2], *intervals.shape))
            elif modality == "text":
                cells = self._ids(values)
            else:
                cells = IDS.observations + tensor_bins(values, squeeze=True)
            found.setdefault(f"{modality}_observations", []).append(cells)
        return {key: torch.cat(found[key], dim=2) for key in sorted(found, key=MODALITIES.index)}

    def _ids(self, texts: Tensor) -> Tensor:
        """The ids of (B, T, 256) texts between a begin and an end, (B, T, n)."""
        pieces, known = self.text, dict[bytes, list[int]]()
        for key in set(text_keys(texts)):
            ids = [pieces.begin, *pieces.encode(to_text(key)), pieces.end]
            known[key] = (ids + [PADDING] * self.room)[: self.room]
        return torch.tensor([known[key] for key in text_keys(texts)]).reshape(*texts.shape[:2], -1)


def parts_of(rows: Tensor, spec: Spec) -> Iterator[tuple[str, Tensor]]:
    """The modality and the values of each part of (B, T, *obs) observations; images are (B, T, C, H, W)."""
    if not spec.parts:
        numbers = "continuous" if rows.is_floating_point() else "discrete"
        yield ("image", channels_first(rows)) if shows_images(spec) else (numbers, rows)
        return
    found = unpack(rows, spec.parts)
    for part in spec.parts:
        values = found[part.name]
        if part.sizes == CELL:
            yield "image", torch.from_numpy(pictures(values.numpy())).movedim(-1, -3)
        elif part.kind == "image":
            yield "image", channels_first(values)
        elif part.kind == "text":
            yield "text", values
        else:
            yield ("continuous", values) if part.kind == "float" else ("discrete", values.long())


def tokens_of(sample: Sample) -> int:
    """Tokens of one step: 36 of Ant, 26 of BabyAI's GoTo."""
    return 1 + sum(values.shape[2] for key, values in sample.items() if key.endswith(("observations", "actions")))


def load_mixed_dataset(args: DatasetArguments) -> MixedDataset:
    """The sequences of the tasks that `args.task_names` names, recorded first where they are not here yet.

    Raises:
        UserError: a task is unknown or cannot be recorded here, or `seq_len` has no room for one of its steps.
    """
    loaded = [load(request) for request in requests(args)]
    pieces = Pieces(FITTED)
    if any(next(lines_of(data), None) is not None for data in loaded):
        pieces.fit(loaded)
    tasks = [TaskSequences(data, pieces.text, args) for data in loaded]
    return MixedDataset(tasks, None if isinstance(args, Arguments) else args.batch_size)


def requests(args: DatasetArguments) -> list[Request]:
    """What to load for the tasks that are named, each once.

    Raises:
        UserError: a task is unknown.
    """
    rows = dataset_rows()
    known = {name: row.name for row in rows.values() if (name := jat_names.configuration(row))}
    known |= RECORDED if args.source == "collected" else {name: name for name in jat_names.MUJOCO}
    found: dict[str, None] = {}
    for name in [args.task_names] if isinstance(args.task_names, str) else args.task_names:
        family = [task for task in known if name in ("all", task.partition("-")[0])]
        if not family and name not in known:
            raise UserError(f"{name} is no task of GIA's that {args.source} data have: {did_you_mean(name, known)}")
        found |= dict.fromkeys(family or [name])
    if args.source == "jat":
        return [Request(known[name], "jat") for name in found]
    physics = {True: "gymnasium", False: Request.physics}
    return [
        Request(known[name], "collected", steps=args.steps or STEPS, seed=args.seed, physics=physics[name in RECORDED])
        for name in found
    ]


def collate_fn(batch: Sequence[Mapping[str, Any] | Sequence[Mapping[str, Any]]]) -> list[Sample]:
    """A data loader's items as one list of dictionaries of tensors; tasks are not mixed within a dictionary."""
    listed = [each for item in batch for each in ([item] if isinstance(item, Mapping) else item)]
    return [{key: torch.as_tensor(values) for key, values in sample.items()} for sample in listed]
