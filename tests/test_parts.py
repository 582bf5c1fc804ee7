"""Observations of several parts: rows of bytes, what is where in them, and their way into files and back."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from sources import export
from sources.data_pictures import frame
from sources.loading import Request, load
from tests.toys import MISSION, walk
from trajectories import minari_folders, store
from trajectories.catalog import environment
from trajectories.errors import DatasetError, UserError
from trajectories.formats import minari, own_files
from trajectories.parts import TEXT, Part, pack, row_size, to_bytes, to_text, view, were_cut
from trajectories.spaces import layout
from trajectories.types import Spec, Trajectories
from trajectories.windows import History, cut

TREE = {  # as a file has it; a Box of few values is a grid of cells
    "type": "Dict",
    "subspaces": {
        "say": {"type": "Text"},
        "board": {"type": "Box", "dtype": "uint8", "shape": [5, 5], "low": 0, "high": 6},
        "camera": {"type": "Box", "dtype": "uint8", "shape": [16, 20, 3], "low": 0, "high": 255},
        "body": {"type": "Dict", "subspaces": {"arm": {"type": "Box", "dtype": "float64", "shape": [3]}}},
        "at": {"type": "Discrete", "n": 5},
    },
}


def test_each_part_comes_back_as_it_went_into_a_row_of_bytes() -> None:
    parts: tuple[Part, ...] = (Part(("a",), (3,), "image", "uint8"), Part(("b", "c"), (2, 2), "float", "float32"))
    parts += (Part(("n",), (), "integer", "int64"), Part(("t",), (TEXT,), "text", "uint8"))
    columns = {
        "a": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "b/c": np.arange(8, dtype=np.float32).reshape(2, 2, 2) - 0.5,
        "n": np.array([-(2**40), 7]),
        "t": to_bytes(["go to the door", ""]),
    }
    rows = pack(columns, parts)
    assert rows.shape == (2, row_size(parts))
    for name, values in columns.items():
        np.testing.assert_array_equal(view(rows, parts)[name], values)
    again = view(rows.reshape(1, 2, -1), parts)
    assert again.shape == (1, 2)
    assert np.shares_memory(again["n"], rows) or again["n"].base is not None


def test_a_long_text_is_cut_between_characters_and_marked() -> None:
    texts = ["héllo", "é" * 200, "x" * TEXT, "x" * (TEXT + 1)]
    rows = to_bytes(texts)
    assert [to_text(row) for row in rows[[0, 2]]] == [texts[0], texts[2]]
    assert were_cut(rows).tolist() == [False, True, False, True]
    assert to_text(rows[1]) == "é" * 126 + "…"
    np.testing.assert_array_equal(to_bytes(map(to_text, rows)), rows)


def test_a_spec_without_parts_is_stored_and_hashed_as_it_always_was() -> None:
    assert "parts" not in walk((3, 4)).spec.to_json()
    assert "parts" in MISSION.to_json()
    assert Spec.from_json(json.loads(json.dumps(MISSION.to_json()))) == MISSION
    assert store.digest(walk((3, 4))) == "d54c1857463ade828dbc4464c4a10ef4aa280c6436e6e1f841f9cab040a4cc7b"


def test_data_sets_of_d4rl_keep_their_hashes(real: Path) -> None:
    data = load(Request("hopper-medium", "d4rl", real / "hopper_medium-v2.hdf5"))
    assert data.origin.digest == "6f70afa9d1f5791829c2fe580606de459972c8124025495edb5d9b1c810a6b2f"


def test_parts_that_do_not_fill_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="does not hold the parts of mission"):
        replace(MISSION, observation_shape=(7,))
    with pytest.raises(ValueError, match="kind 'sound'"):
        Part(("a",), (), "sound", "uint8")
    with pytest.raises(ValueError, match=r"shape \(5,\) and sizes \(2, 3\)"):
        Part(("a",), (5,), "integer", "int64", (2, 3))


def test_texts_images_and_grids_are_kept_apart_and_numbers_alone_are_not() -> None:
    found = layout(TREE)
    assert [(part.name, part.kind, part.sizes) for part in found.kept_apart] == [
        ("at", "integer", (5,)),
        ("board", "integer", (7,)),
        ("body/arm", "float", ()),
        ("camera", "image", ()),
        ("say", "text", ()),
    ]
    rows = found.rows(
        {
            "say": ["a"],
            "board": np.ones((1, 5, 5)),
            "camera": np.ones((1, 16, 20, 3)),
            "body": {"arm": np.ones((1, 3))},
            "at": [3],
        }
    )
    assert rows.shape == (1, *found.shape)
    assert view(rows, found.kept_apart)["body/arm"].tolist() == [[1, 1, 1]]
    numbers = {name: TREE["subspaces"][name] for name in ("at", "body")}  # type: ignore[index]
    plain = layout({"type": "Dict", "subspaces": numbers})
    assert (plain.kept_apart, plain.shape, plain.dtype) == ((), (4,), "float32")


def test_a_minigrids_cells_are_whole_numbers_unless_a_wrapper_draws_them() -> None:
    pytest.importorskip("minigrid", reason="needs minigrid: pip install -r requirements-extra.txt")
    row = environment("MiniGrid-FourRooms-v0")
    image = next(part for part in row.parts if part.name == "image")
    assert (image.kind, image.shape, image.sizes) == ("integer", (7, 7, 3), (11, 6, 4))
    drawn = {"image": {"type": "Box", "dtype": "uint8", "shape": [56, 56, 3], "low": 0, "high": 255}}
    rest = {"direction": {"type": "Discrete", "n": 4}, "mission": {"type": "Text"}}
    [picture] = (part for part in layout({"type": "Dict", "subspaces": drawn | rest}).parts if part.name == "image")
    assert (picture.kind, picture.sizes) == ("image", ())


def test_windows_and_histories_move_rows_of_parts_and_pad_with_zeros() -> None:
    data = walk((5, 3), spec=MISSION)
    window = cut(data, np.array([0, 5]), np.array([1, 7]), 4)
    assert window.observations.shape == (2, 4, *MISSION.observation_shape)
    assert not window.observations[0, :2].any()
    np.testing.assert_array_equal(window.observations[1, 1:], data.observations[5:8])
    history = History(MISSION, 2, 0.0, longest=2)
    for step in range(3):
        history.observe(data.observations[[step, step + 5]], np.zeros(2), np.ones(2, bool))
        history.record(np.zeros(2, np.int64), np.ones(2, bool))
    np.testing.assert_array_equal(history.window(2, np.ones(2, bool)).observations[1], data.observations[6:8])


def test_parts_are_stored_mapped_and_selected(tmp_path: Path) -> None:
    data = walk((5, 3), spec=MISSION)
    store.save(tmp_path / "columns", data)
    again = store.load(tmp_path / "columns")
    assert again.spec == data.spec
    assert store.digest(again) == again.origin.digest == store.digest(data)
    np.testing.assert_array_equal(again.select(np.array([1])).observations, data.observations[5:])


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trajectories:
    """Made-up steps of an environment with parts, with a folder for Minari's data sets."""
    pytest.importorskip("minigrid", reason="needs minigrid: pip install -r requirements-extra.txt")
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path))
    data = walk((5, 3, 1), spec=replace(environment("MiniGrid-FourRooms-v0").spec(), max_episode_steps=100))
    return data.with_details({})


def test_parts_to_minari_and_back_change_nothing(rooms: Trajectories) -> None:
    folder = export.to_minari(rooms, "ours/rooms-v0")
    again = minari.read(folder, rooms.spec, "rooms")
    assert store.digest(again) == store.digest(rooms)
    package = pytest.importorskip("minari", reason="needs minari: pip install -r requirements-extra.txt")
    [first, *_] = package.load_dataset("ours/rooms-v0").iterate_episodes([0])
    columns = view(rooms.observations, rooms.spec.parts)
    np.testing.assert_array_equal(first.observations["image"][:5], columns["image"][:5])
    assert first.observations["mission"][:5] == [to_text(row) for row in columns["mission"][:5]]
    loaded = load(Request("ours/rooms-v0"))
    np.testing.assert_array_equal(loaded.observations, rooms.observations)


def test_what_is_no_cell_and_texts_that_were_cut_are_noticed(rooms: Trajectories) -> None:
    view(rooms.observations, rooms.spec.parts)["mission"][2] = to_bytes(["long " * 100])[0]
    folder = export.to_minari(rooms, "ours/rooms-v0")
    [caveat] = minari.read(folder, rooms.spec, "rooms").origin.details["caveats"][-1:]
    assert caveat == "1 of 9 texts of mission are longer than the 256 bytes kept."
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file["episode_1/observations/image"][1, 2, 3] = (12, 0, 0)
    with pytest.raises(DatasetError, match=r"image holds 12 at step 6, where .* has values below \(11, 6, 4\)"):
        minari.read(folder, rooms.spec, "rooms")
    with pytest.raises(UserError, match=r"layout has one array of observations, and MiniGrid.* has direction, image"):
        export.to_d4rl(rooms, folder / "file.hdf5")


def test_a_file_of_ones_own_may_hold_parts(tmp_path: Path) -> None:
    data = walk((4, 3), spec=MISSION)
    with h5py.File(tmp_path / "own.hdf5", "w") as file:
        columns = view(data.observations, MISSION.parts)
        for part in MISSION.parts:
            place, values = f"observations/{part.name}", columns[part.name]
            file[place] = [to_text(row) for row in values] if part.kind == "text" else values
        file["actions"], file["rewards"], file["terminals"] = data.actions, data.rewards, data.terminated
    again = own_files.read(tmp_path / "own.hdf5", MISSION, "own")
    np.testing.assert_array_equal(again.observations, data.observations)
    with h5py.File(tmp_path / "own.hdf5", "a") as file:
        del file["observations/mission"]
    with pytest.raises(DatasetError, match="observations/mission is not there: write it as"):
        own_files.read(tmp_path / "own.hdf5", MISSION, "own")


def test_a_recorded_image_is_shown_beside_its_text() -> None:
    data = walk((5, 3), spec=MISSION)
    columns = view(data.observations, MISSION.parts)
    picture, title = frame(data) or (np.zeros(0), "")
    np.testing.assert_array_equal(picture, columns["picture"][0])
    assert title == f"the first step: {to_text(columns['mission'][0])}"
    assert frame(walk((5,))) is None
