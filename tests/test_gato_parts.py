"""Gato on observations of several parts: text as text, images as patches, grids and numbers as tokens."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.inspect_tokens import arithmetic, rows, step_blocks
from gato import Gato, MixedBatch, Mixture
from gato.observations import PADDING, cell_codes, cells_of, tokens_per_step
from gato.stream import TokenType
from gato.text import Text
from gato.tokens import layout
from tests.toys import MISSION, PARTS, SENTENCES, small, walk
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.parts import Part, to_bytes, view
from trajectories.types import Trajectories

LONGEST = max(len(Text().encode(sentence)) for sentence in SENTENCES)
PER_STEP = LONGEST + 1 + 4 + 1 + 2 + 1 + 1  # text, a patch, cells, facing, speed, separator, action


@pytest.fixture(scope="module")
def data() -> Trajectories:
    return walk((12, 7, 12, 9), spec=MISSION)


def gato(learned: Trajectories | Mixture, **changes: object) -> Gato:
    torch.manual_seed(0)
    model = small("gato", learned, **changes)  # type: ignore[arg-type]
    assert isinstance(model, Gato)
    return model


def test_a_step_is_text_patches_and_numbers_in_this_order(data: Trajectories) -> None:
    model = gato(data, prompt_share=0.0, context=2)
    batch = model.sample(data, np.random.default_rng(0))
    assert isinstance(batch, Batch)
    types = model.stream(batch).token_types[0, :PER_STEP].tolist()
    order = [TokenType.INSTRUCTION] * LONGEST + [TokenType.PATCH] + [TokenType.TENSOR] * 7
    assert types == [*order, TokenType.SEPARATOR, TokenType.ACTION]
    assert model.step_tokens(MISSION) == tokens_per_step(MISSION, 16, LONGEST) == PER_STEP
    assert int(model.count_tokens(batch)) == PER_STEP * int(batch.mask.sum())


def test_a_text_is_its_pieces_and_padding_and_a_longer_one_is_cut_in_play(data: Trajectories) -> None:
    model = gato(data)
    texts = torch.from_numpy(to_bytes([SENTENCES[1], "go " * 60]))[None]
    short, long = model.texts(texts, 0)[0].tolist()
    pieces = Text().encode(SENTENCES[1])
    assert short == pieces + [PADDING] * (LONGEST - len(pieces))
    assert long == Text().encode("go " * 60)[:LONGEST]


def test_a_mission_is_read_and_not_learned(data: Trajectories) -> None:
    model = gato(data)
    batch = model.sample(data, np.random.default_rng(0))
    assert isinstance(batch, Batch)
    targets = model.predict(model.stream(batch))[0][1]
    assert targets.min() >= model.legal(MISSION).start
    assert len(targets) == model.loss_weight(batch)
    table = model.embedding.table.text
    model.loss(batch)["total"].backward()  # type: ignore[no-untyped-call]
    assert table is not None
    assert table.grad is not None
    assert table.grad[Text().encode(SENTENCES[0])].any(1).all()


def test_a_grid_has_a_token_for_each_cell_and_back() -> None:
    cells = Part(("image",), (2, 2, 3), "integer", "uint8", (11, 6, 4))
    values = torch.tensor([[[[1, 0, 0], [5, 2, 1]], [[10, 5, 3], [0, 0, 0]]]])
    codes = cell_codes(values, cells)
    assert codes.tolist() == [[[24, 5 * 24 + 2 * 4 + 1], [263, 0]]]
    assert torch.equal(cells_of(codes, cells), values)
    with pytest.raises(UserError, match=r"A cell of image holds a number that is not below \(11, 6, 4\)"):
        cell_codes(values + 3, cells)


@pytest.mark.parametrize("prompt", ["none", "best"])
def test_a_rolling_cache_plays_as_recomputing_does(data: Trajectories, prompt: str) -> None:
    model = gato(data, context=8, prompt_steps=2, prompt=prompt)
    changed = replace(model.config, memory="recompute")
    players = [model.player(3)]
    model.config = changed
    players.append(model.player(3))
    live = np.ones(3, bool)
    for step in range(6):
        live[0] = step < 3
        observations = data.observations[[step, step + 12, step + 19]]
        actions = [player.act(observations, np.zeros(3), live) for player in players]
        np.testing.assert_array_equal(*actions)


def test_a_task_with_parts_and_one_of_numbers_are_learned_and_played_by_one_model(data: Trajectories) -> None:
    mixture = Mixture((data, walk((12, 5))))
    model = gato(mixture, patch_width=8, patch_groups=4)
    batch = model.sample(mixture, np.random.default_rng(0))  # type: ignore[arg-type]
    assert isinstance(batch, MixedBatch)
    assert torch.isfinite(model.loss(batch)["total"])
    assert model.texts.lengths.tolist() == [LONGEST, 1]
    action = model.player(2, task="mission").act(data.observations[:2], np.zeros(2), np.ones(2, bool))
    assert action.shape == (2,)
    assert set(walk_keys := gato(walk((12, 5))).state_dict()) & {"texts.lengths"} == set(), walk_keys


def test_a_printed_step_shows_its_text_its_cells_and_its_numbers(data: Trajectories) -> None:
    table, step = layout("split"), 3
    blocks = step_blocks(data, step, table)
    lines = rows(data, step, blocks, table)
    shown = view(data.observations, PARTS)[step]
    text = bytes(shown["mission"]).rstrip(b"\0").decode()
    assert f"mission       is {text!r}" in lines
    assert "picture       1 patches, which have no ids" in lines
    [first] = (line for line in lines if line.startswith("speed") and f"{shown['speed'][0]:.6f}" in line)
    assert float(first.split()[-1]) == pytest.approx(shown["speed"][0], rel=0.03)
    cells = [part for line in lines for part in line.split() if ":" in part]
    assert [tuple(map(int, part.split(":")[1].split(","))) for part in cells] == [
        tuple(cell) for cell in shown["cells"].reshape(-1, 2).tolist()
    ]
    assert f"a step        {PER_STEP} tokens" in arithmetic(blocks, table, 1024, 8)
