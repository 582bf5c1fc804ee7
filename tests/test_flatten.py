"""backbone/flatten.py: observations of several parts as the numbers that DT, TT and BC read."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from backbone import flatten
from backbone.flatten import LETTERS, WORDS, Flatten
from tests.toys import CHOICES, MISSION, POINT, SENTENCES, small, walk
from trajectories.errors import UserError
from trajectories.parts import TEXT, Part, row_size, to_bytes, view
from trajectories.types import Spec, Trajectories

GRID = slice(2, 2 + 4 * (3 + 4))  # behind the two numbers: four cells of three and of four values
FACING = slice(GRID.stop, GRID.stop + 4)


@pytest.fixture
def data() -> Trajectories:
    return walk((12, 7, 12, 9), spec=MISSION)


@pytest.fixture
def flat(data: Trajectories) -> Flatten:
    module = Flatten(data.spec)
    module.calibrate(data.observations)
    return module


def test_numbers_come_first_then_cells_as_one_hots_then_words(data: Trajectories, flat: Flatten) -> None:
    rows, columns = flat.rows(data.observations), view(data.observations, data.spec.parts)
    assert rows.shape == (len(data), flat.size) == (len(data), FACING.stop + WORDS)
    np.testing.assert_array_equal(rows[:, :2], columns["speed"])
    cells = rows[:, GRID].reshape(-1, 4, 7)
    np.testing.assert_array_equal(cells[..., :3].argmax(-1), columns["cells"].reshape(-1, 4, 2)[..., 0])
    np.testing.assert_array_equal(cells[..., 3:].argmax(-1), columns["cells"].reshape(-1, 4, 2)[..., 1])
    assert (cells.sum(-1) == 2).all()
    np.testing.assert_array_equal(rows[:, FACING].argmax(-1), columns["facing"])


def test_each_word_of_the_data_has_a_place_and_other_words_have_none(data: Trajectories, flat: Flatten) -> None:
    words = {word for sentence in SENTENCES for word in sentence.split()}
    assert (flat.words.numpy().any(1)).sum() == len(words)
    texts = to_bytes(["go to the red ball", "Go, ball: red the TO!", "nothing known", ""])
    hot = flat._words(torch.from_numpy(texts))
    assert hot.sum(1).tolist() == [5, 5, 0, 0]
    assert torch.equal(hot[0], hot[1])


def test_a_windows_rows_are_those_of_its_steps(data: Trajectories, flat: Flatten) -> None:
    window = torch.from_numpy(data.observations[:6].reshape(2, 3, -1))
    np.testing.assert_array_equal(flat(window).reshape(6, -1).numpy(), flat.rows(data.observations[:6]))


def test_an_array_is_its_own_row_of_numbers() -> None:
    plain = walk((5,))
    module = Flatten(POINT)
    assert (module.size, module.numbers, module.left_out(), module.static_shapes) == (3, 3, {}, True)
    assert module.of_numbers(plain.observations) is plain.observations
    assert module.state_dict() == {}


def test_what_a_model_leaves_out_stands_in_its_record(data: Trajectories) -> None:
    for name in ("bc", "dt", "tt"):
        assert small(name, data).metadata()["left out"] == ["picture"]
    assert "left out" not in small("gato", data).metadata()
    assert "left out" not in small("dt", walk((5,), spec=CHOICES)).metadata()


def test_words_for_which_there_is_no_room_are_counted() -> None:
    part = Part(("say",), (TEXT,), "text", "uint8")
    module = Flatten(Spec("talk", (row_size((part,)),), (1,), 9, observation_dtype="uint8", parts=(part,)))
    often = [f"w{number}" for number in range(WORDS)]
    texts = [" ".join(often[:40]), " ".join(often[:50]), " ".join(often[40:]), "x" * (LETTERS + 1) + " rare"]
    module.calibrate(to_bytes(texts))
    assert module.left_out() == {"left out": ["2 words"]}
    assert module.words.numpy().any(1).all()


def test_what_is_remembered_of_texts_is_bounded(flat: Flatten, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatten, "KEPT", 2)
    for number in range(5):
        texts = torch.from_numpy(to_bytes([f"go {number}", "open a door"]))
        assert flat._words(texts).sum(1).tolist() == [1, 3]
        assert len(flat._known) <= 4


def test_one_hot_vectors_are_not_normalized(data: Trajectories) -> None:
    normalize: Any = small("dt", data).normalize
    assert normalize.deviation[:2].gt(1).all()
    assert normalize.deviation[2:].eq(1).all()
    assert normalize.mean[2:].eq(0).all()


def test_a_trajectory_transformer_refuses_a_large_grid() -> None:
    cells = Part(("cells",), (7, 7, 3), "integer", "uint8", (11, 6, 4))
    spec = replace(MISSION, parts=(cells,), observation_shape=(row_size((cells,)),))
    with pytest.raises(UserError, match="a token of each of the 1029 numbers mission shows, and can take 256"):
        small("tt", walk((5,), spec=spec))
