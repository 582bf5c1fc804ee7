"""Gato with an observation's numbers as one token (`--vectors embedded`)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.normalization import Normalize
from backbone.parts import unpack
from gato import Gato, Mixture
from gato.player import Recomputing, Rolling
from gato.prompts import join
from gato.stream import TokenType, build, observation_blocks, separator_block
from gato.tokens import layout
from gato.vectors import vector_sizes
from tests.toys import CHOICES, MISSION, POINT, SCREEN, small, walk
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.mixture import Task
from trajectories.parts import Part, row_size
from trajectories.types import Trajectories

WIDER = replace(POINT, name="wider", observation_shape=(5,))
OTHER = replace(POINT, name="other")


def gato(data: Task | Mixture, **changes: object) -> Gato:
    torch.manual_seed(0)
    model = small("gato", data, vectors="embedded", **changes)
    assert isinstance(model, Gato)
    return model


def drawn(model: Gato, data: Trajectories) -> Batch:
    batch = model.sample(data, np.random.default_rng(0))
    assert isinstance(batch, Batch)
    return batch


@pytest.mark.parametrize(("spec", "sizes"), [(POINT, [3]), (CHOICES, [3]), (MISSION, [2]), (SCREEN, [])])
def test_floats_are_vectors_and_nothing_else_is(spec, sizes):
    assert vector_sizes(spec) == sizes


def test_a_step_is_one_token_of_numbers_a_separator_and_the_action():
    data = walk((12, 7, 9))
    model = gato(data, prompt_share=0.0)
    batch = drawn(model, data)
    types = model.stream(batch).token_types[0, :4].tolist()
    assert types == [TokenType.VECTOR, TokenType.SEPARATOR, TokenType.ACTION, TokenType.ACTION]
    assert model.step_tokens(POINT) == 4
    assert int(model.count_tokens(batch)) == 4 * int(batch.mask.sum())


def test_stacked_frames_of_numbers_are_one_vector():
    data = walk((12, 7, 9), spec=replace(POINT, observation_shape=(4, 3), frame_stack=4))
    model = gato(data)
    assert model.embedding.vectors is not None
    (normalize,) = model.embedding.vectors.normalize.values()
    assert torch.equal(normalize.mean[:3], normalize.mean[9:])
    assert normalize.mean[0] == pytest.approx(data.observations[:, 0].mean())
    assert torch.isfinite(model.loss(drawn(model, data))["total"])


def test_of_several_parts_the_numbers_alone_become_one_token():
    data = walk((12, 7, 9), spec=MISSION)
    model, usual = gato(data), small("gato", data)
    assert isinstance(usual, Gato)
    assert model.step_tokens(MISSION) == usual.step_tokens(MISSION) - 1  # of two
    stream = model.stream(drawn(model, data))
    assert stream.ids.shape[1] % model.step_tokens(MISSION) == 0
    assert int((stream.token_types[0] == TokenType.VECTOR).sum()) * model.step_tokens(MISSION) == stream.ids.shape[1]


def test_each_step_s_token_is_that_step_s_numbers():
    data = walk((12, 7, 9))
    model = gato(data, prompt_share=0.0, observation_positions=False)
    batch = drawn(model, data)
    stream, vectors = model.stream(batch), model.embedding.vectors
    assert vectors is not None
    embedded = model.embedding(stream).unflatten(1, (-1, 4))[:, :, 0]
    normalize, enter = vectors.normalize["3"], vectors.enter["3"]
    torch.testing.assert_close(embedded, enter(normalize(join(batch).observations)))


def test_several_arrays_of_a_step_stand_in_their_order_step_by_step():
    parts = tuple(Part((name,), (size,), "float", "float32") for name, size in (("a", 2), ("b", 3), ("c", 2)))
    spec = replace(MISSION, name="three", observation_shape=(row_size(parts),), parts=parts)
    data = walk((12, 7, 9), spec=spec)
    model = gato(data, prompt_share=0.0, observation_positions=False)
    stream, vectors = model.stream(batch := drawn(model, data)), model.embedding.vectors
    assert vectors is not None
    embedded = model.embedding(stream).unflatten(1, (-1, model.step_tokens(spec)))
    columns = unpack(join(batch).observations, parts)
    for place, part in enumerate(parts):
        name = str(part.size)
        expected = vectors.enter[name](vectors.normalize[name](columns[part.name]))
        torch.testing.assert_close(embedded[:, :, place], expected)
    assert stream.to("meta").vectors[1].is_meta


def test_vectors_keep_their_places_beside_text_of_several_lengths_and_padded_steps():
    numbers, words = torch.arange(12.0).reshape(2, 2, 3), [["go", "go to the red ball"], ["open a door", "go"]]
    blocks = observation_blocks({"text": words, "vector": numbers}, layout("split"), embedded=True)
    mask = torch.tensor([[True, False], [True, True]])
    stream = build([*blocks, separator_block(blocks[-1], layout("split"))], mask, torch.zeros_like(mask).long())
    where = stream.token_types == TokenType.VECTOR
    assert where.sum(1).tolist() == [1, 2]
    torch.testing.assert_close(stream.vectors[0], numbers.flatten(0, 1)[[0, 2, 3]])


def test_numbers_of_another_precision_are_read_alike():
    data = walk((12, 7))
    model = gato(data)
    batch = drawn(model, data)
    double = replace(batch, observations=batch.observations.double())
    torch.testing.assert_close(model.embedding(model.stream(batch)), model.embedding(model.stream(double)))


def test_a_gato_without_layers_for_vectors_says_so():
    data = walk((12, 7))
    stream = gato(data).stream(drawn(gato(data), data))
    usual = small("gato", data)
    assert isinstance(usual, Gato)
    with pytest.raises(UserError, match="build it with vectors='embedded'"):
        usual.embedding(stream)


def test_numbers_are_normalized_by_the_data_of_every_task_of_their_length():
    three, five = walk((12, 7), seed=1), walk((12, 9), seed=2, spec=WIDER)
    moved = walk((12, 7, 5), seed=3, spec=OTHER)
    moved = replace(moved, observations=moved.observations * 10 + 100)
    vectors = gato(Mixture((three, five, moved))).embedding.vectors
    assert vectors is not None
    alone = vectors.normalize["5"]
    both = vectors.normalize["3"]
    assert isinstance(alone, Normalize)
    assert isinstance(both, Normalize)
    np.testing.assert_allclose(alone.mean, five.observations.mean(0), rtol=1e-5)
    np.testing.assert_allclose(both.mean, np.concatenate([three.observations, moved.observations]).mean(0), rtol=1e-5)
    assert sorted(vectors.enter) == ["3", "5"]


def test_numbers_in_other_units_are_the_same_numbers():
    data = walk((12, 7, 9))
    scaled = replace(data, observations=data.observations * 1000 - 7)
    losses = [model.loss(drawn(model, part))["total"].item() for part in (data, scaled) for model in [gato(part)]]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_task_is_learned_from_its_numbers():
    """The action is the sign of the first number, which only the vector shows."""
    data = walk((12,) * 20)
    actions = np.where(data.observations[:, :1] > 0, 0.9, -0.9).repeat(2, axis=1).astype(np.float32)
    data = replace(data, actions=actions)
    model = gato(data)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for _ in range(150):
        optimizer.zero_grad()
        loss = model.loss(model.sample(data, rng))
        loss["total"].backward()
        optimizer.step()
    assert loss["accuracy"] > 0.95


@pytest.mark.parametrize("spec", [POINT, MISSION], ids=["numbers", "parts"])
def test_kept_keys_and_a_recomputed_window_give_the_same_actions(spec):
    data = walk((12, 7, 9), spec=spec)
    model = gato(data, decoding="likely", context=8)
    acted = []
    for memory in ("rolling", "recompute"):
        model.config = replace(model.config, memory=memory)  # type: ignore[arg-type]
        player = model.player(2)
        live = np.ones(2, bool)
        rows = [player.act(data.observations[[step, step + 12]], np.zeros(2, np.float32), live) for step in range(5)]
        acted.append(np.stack(rows))
    np.testing.assert_array_equal(*acted)


def test_memory_rolls_by_itself_only_where_windows_are_long():
    data = Mixture((walk((12, 7)), walk((12, 9), spec=WIDER)))
    usual = small("gato", data, context_tokens=46, memory="auto", prompt_steps=1)  # 7 steps of 6 tokens, 5 of 8
    model = gato(data, context_tokens=32, memory="auto", prompt_steps=1)  # 8 steps of 4 tokens
    assert isinstance(usual, Gato)
    assert isinstance(usual.player(1, task="point"), Recomputing)
    assert isinstance(model.player(1, task="point"), Rolling)
