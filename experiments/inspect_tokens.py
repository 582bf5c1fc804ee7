"""What a data set looks like to Gato: tokens of a step, steps of a sequence, one step as tokens and back, and sizes.

python experiments/inspect_tokens.py --env hopper-medium
python experiments/inspect_tokens.py --env walker2d-medium --layout shared --step 100
"""

import sys
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import trajectories  # noqa: F401  before torch is imported

# isort: split
import numpy as np
import torch
import tyro

from backbone.options import option
from gato.config import SIZES, Config, preset
from gato.model import parameters
from gato.observations import TextTokens, cells_of, is_grid, part_blocks
from gato.stream import TARGET_TYPES, TokenBlock, TokenType, action_block, observation_blocks, separator_block
from gato.text import Text
from gato.tokens import Layout, from_bins, layout
from sources.loading import Request, load
from sources.request import Source
from training.cli import exit_on_user_error
from trajectories.errors import UserError
from trajectories.parts import Part, view
from trajectories.types import Trajectories

NAMES = {
    TokenType.TEXT: "text",
    TokenType.PATCH: "image",
    TokenType.TENSOR: "tensor",
    TokenType.SEPARATOR: "separator",
    TokenType.ACTION: "action",
    TokenType.INSTRUCTION: "text",
}


@dataclass(frozen=True)
class Options:
    """What to look at."""

    env: str = option("hopper-medium", "data set")
    source: Source = option("auto", "where the data come from; auto: the first of them that has the data set")
    path: Path | None = option(None, "a data file of your own")
    steps: int | None = option(None, "steps to reroll or collect, if not the data set's own number")
    data_dir: Path | None = option(None, "cache for data")
    layout: Literal["split", "shared"] = option("split", "ids: split (34,049) or shared (33,025)")
    tokens: int = option(1024, "tokens of a sequence; the paper's number")
    step: int = option(0, "the step that is printed, counted from the data set's first")


def main(options: Options) -> None:
    """Print the report of one data set."""
    table = layout(options.layout)
    data = load(Request(options.env, options.source, options.path, options.steps, data_dir=options.data_dir))
    if not isinstance(data, Trajectories):
        raise UserError(
            f"{options.env} has no steps: `python experiments/data.py show {options.env}` shows what it has."
        )
    if not 0 <= options.step < len(data):
        raise UserError(
            f"--step is {options.step}, but {options.env} has {len(data)}: give one of 0 to {len(data) - 1}."
        )
    blocks = step_blocks(data, options.step, table)
    print(f"{data}\n")
    print(arithmetic(blocks, table, options.tokens, Config().context))
    print(f"\nstep {options.step} as tokens, and back:")
    print("\n".join(rows(data, options.step, blocks, table)))
    print("\nsizes, by their parameters:")
    print("\n".join(f"{name:<13} {parameters(preset(name), data.spec):>13,}" for name in SIZES))


def step_blocks(data: Trajectories, step: int, table: Layout) -> list[TokenBlock]:
    """One step's parts, in order, each of (1, 1, n) tokens."""
    observation = torch.from_numpy(np.array(data.observations[step]))[None, None]
    action = torch.from_numpy(np.array(data.actions[step]))[None, None]
    if data.spec.parts:
        texts = partial(text_tokens(data), task=0)
        blocks = part_blocks(observation, data.spec.parts, table, texts, Config.patch, channels=4)
    else:
        blocks = observation_blocks(observation, table)
    return [*blocks, separator_block(blocks[0], table), action_block(action, table)]


@cache
def text_tokens(data: Trajectories) -> TextTokens:
    """How a model of these data reads their texts: with pieces that are fitted to them."""
    texts = TextTokens((data.spec,), Config.pieces)
    texts.fit((data,))
    texts.calibrate(0, data)
    return texts


def arithmetic(blocks: list[TokenBlock], table: Layout, tokens: int, context: int) -> str:
    """Tokens per step, steps per sequence, and each kind's share."""
    counts = {block.name or NAMES[block.token_type]: block.ids.shape[2] for block in blocks}
    targets = {NAMES[block.token_type] for block in blocks if block.token_type in TARGET_TYPES}
    per_step = sum(counts.values())
    fit = tokens // per_step
    if fit == 0:
        raise UserError(f"--tokens is {tokens}, but one step takes {per_step}: give at least as many.")
    lines = [
        f"layout        {table.name}, {table.size:,} ids: observations from {table.observations:,}, "
        f"actions from {table.actions:,}, separator {table.separator:,}",
        f"a step        {per_step} tokens",
        f"a sequence    {fit} steps in {tokens} tokens ({fit * per_step} used)",
        f"tiny's        {context} steps in {context * per_step} tokens",
    ]
    for name, count in counts.items():
        lines.append(f"{name:<13} {count:>4} tokens, {count / per_step:6.1%}{'  target' * (name in targets)}")
    return "\n".join(lines)


def rows(data: Trajectories, step: int, blocks: list[TokenBlock], table: Layout) -> list[str]:
    """One line a token: its id, the number that it stands for, and the number that comes back."""
    lines = []
    parts = {part.name: part for part in data.spec.parts}
    for block in blocks:
        ids = block.ids[0, 0]
        if block.token_type == TokenType.PATCH:
            lines.append(f"{block.name or 'image':<13} {len(ids)} patches, which have no ids")
        elif block.token_type == TokenType.INSTRUCTION:
            lines += text_rows(block, text_tokens(data).tokenizer)
        elif block.name in parts and is_grid(parts[block.name]):
            lines += grid_rows(block, parts[block.name], table)
        elif block.token_type == TokenType.SEPARATOR:
            lines.append(f"{'separator':<13} {int(ids[0])}")
        else:
            acted = block.token_type == TokenType.ACTION
            observed = view(data.observations, data.spec.parts)[block.name] if block.name else data.observations
            values = np.asarray(data.actions[step] if acted else observed[step]).reshape(-1)
            bins = ids - (table.actions if acted else table.observations)
            discrete = not np.issubdtype(values.dtype, np.floating)
            back = bins.float() if discrete else from_bins(bins, squeezed=not acted)
            name = block.name or NAMES[block.token_type]
            lines += [
                f"{name:<13} {int(token):>6}  {float(value):>12.6f}  {float(again):>12.6f}"
                for token, value, again in zip(ids, values, back, strict=True)
            ]
    return lines


def text_rows(block: TokenBlock, text: Text) -> list[str]:
    """A text's ids with their pieces, and the text that comes back."""
    pieces, ids = text.pieces, block.ids[0, 0].tolist()
    lines = [f"{block.name:<13} {token:>6}  {pieces.id_to_piece(token) if token else 'padding'}" for token in ids]
    return [*lines, f"{block.name:<13} is {pieces.decode([token for token in ids if token])!r}"]


def grid_rows(block: TokenBlock, part: Part, table: Layout) -> list[str]:
    """A grid's ids in its rows, and below each the numbers of its cells that come back."""
    wide = part.shape[1]
    codes = block.ids[0, 0] - table.observations
    lines = [f"{block.name:<13} {len(codes)} cells of {part.sizes}, a token each; id and numbers, row by row"]
    for row, cells in zip(codes.reshape(-1, wide), cells_of(codes, part).reshape(-1, wide, part.cell), strict=True):
        shown = [
            f"{int(code) + table.observations}:{','.join(map(str, cell.tolist()))}"
            for code, cell in zip(row, cells, strict=True)
        ]
        lines.append(f"{'':<13} {'  '.join(shown)}")
    return lines


if __name__ == "__main__":
    with exit_on_user_error():
        main(tyro.cli(Options, config=(tyro.conf.OmitArgPrefixes,), description=__doc__, prog="inspect_tokens.py"))
