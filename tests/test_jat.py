"""JAT's Parquet files: each domain's layout as the hub has it, damaged ones, and how they are fetched."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from sources import jat_download
from sources.fetch import FetchError
from sources.loading import Request, load
from tests.toys import MISSION, PARTS
from trajectories import jat_names
from trajectories.catalog import dataset, environment
from trajectories.errors import DatasetError, UserError
from trajectories.formats import arrow_lists, jat
from trajectories.parts import row_size, to_text, view
from trajectories.types import Spec, Trajectories

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install -r requirements-extra.txt")
parquet = pytest.importorskip("pyarrow.parquet")

LENGTHS = (3, 1, 5)
RNG = np.random.default_rng(0)
HOPPER = Spec("Hopper-v4", (11,), (3,), 5)
FLOATS = pyarrow.list_(pyarrow.list_(pyarrow.float32()))
WHOLE = pyarrow.list_(pyarrow.list_(pyarrow.int64()))
IMAGES = pyarrow.list_(pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))


def divided(values: np.ndarray) -> list[list]:
    """A column's rows as a list for each episode."""
    return [piece.tolist() for piece in np.split(values, np.cumsum(LENGTHS)[:-1])]


def control(steps: int = sum(LENGTHS)) -> dict[str, Any]:
    """What MuJoCo's and Meta-World's files hold."""
    return {
        "continuous_observations": pyarrow.array(divided(RNG.normal(size=(steps, 11)).astype(np.float32)), FLOATS),
        "continuous_actions": pyarrow.array(divided(RNG.uniform(-1, 1, (steps, 3)).astype(np.float32)), FLOATS),
        "rewards": pyarrow.array(divided(RNG.normal(size=steps).astype(np.float32)), pyarrow.list_(pyarrow.float32())),
    }


def write(folder: Path, columns: dict[str, Any], name: str = "train-00000-of-00001.parquet", rows: int = 2) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    parquet.write_table(pyarrow.table(columns), folder / name, row_group_size=rows)
    return folder


def read(folder: Path, spec: Spec = HOPPER) -> Trajectories:
    return jat.read(folder, spec, "mujoco-hopper", observations=folder / "observations.npy")


def flat(columns: dict[str, Any], name: str) -> np.ndarray:
    return np.concatenate([np.array(row, np.float32) for row in columns[name].to_pylist()])


def test_numbers_are_read_as_they_are_and_short_episodes_terminate(tmp_path: Path) -> None:
    columns = control()
    data = read(write(tmp_path, columns))
    np.testing.assert_array_equal(data.observations, flat(columns, "continuous_observations"))
    np.testing.assert_array_equal(data.actions, flat(columns, "continuous_actions"))
    np.testing.assert_array_equal(data.rewards, flat(columns, "rewards"))
    assert data.lengths.tolist() == [*LENGTHS]
    assert np.flatnonzero(data.terminated).tolist() == [2, 3]  # the third is as long as the time limit
    assert data.finished.all()


def test_meta_worlds_episodes_are_cut_and_never_terminate(tmp_path: Path) -> None:
    data = read(write(tmp_path, control()), Spec("metaworld-reach", (11,), (3,), 500))
    assert not data.terminated.any()
    assert data.finished.all()


def test_several_files_are_one_data_set_and_test_files_are_left_out(tmp_path: Path) -> None:
    whole = control()
    for number in (1, 0):
        part = {name: column.slice(number * 2, 2 - number) for name, column in whole.items()}
        write(tmp_path, part, f"train-0000{number}-of-00002.parquet")
    write(tmp_path, control(), "test-00000-of-00001.parquet")
    data = read(tmp_path)
    np.testing.assert_array_equal(data.observations, flat(whole, "continuous_observations"))
    assert data.origin.details["files"] == 2


def missions(texts: tuple[str, ...] = ("go to the red ball", "öffne", "x" * 300)) -> dict[str, Any]:
    """What BabyAI's files hold, of the parts of tests/toys.py: cells, and the direction behind them."""
    steps = sum(LENGTHS)
    cells = RNG.integers([3, 4], size=(steps, 4, 2)).reshape(steps, 8)
    numbers = np.concatenate([cells, RNG.integers(4, size=(steps, 1))], axis=1)
    spoken = [[text] * length for text, length in zip(texts, LENGTHS, strict=True)]
    return {
        "text_observations": pyarrow.array(spoken, pyarrow.list_(pyarrow.string())),
        "discrete_observations": pyarrow.array(divided(numbers), WHOLE),
        "discrete_actions": pyarrow.array(divided(RNG.integers(5, size=steps)), pyarrow.list_(pyarrow.int64())),
        "rewards": pyarrow.array(divided(np.zeros(steps)), pyarrow.list_(pyarrow.float32())),
    }


SPOKEN = tuple(part for part in PARTS if part.name in ("cells", "facing", "mission"))
LEVEL = Spec("level", (row_size(SPOKEN),), (), 12, actions=5, observation_dtype="uint8", parts=SPOKEN)


def test_missions_and_cells_become_parts(tmp_path: Path) -> None:
    columns = missions()
    data = read(write(tmp_path, columns), LEVEL)
    shown, numbers = view(np.asarray(data.observations), SPOKEN), flat(columns, "discrete_observations")
    np.testing.assert_array_equal(shown["cells"].reshape(-1, 8), numbers[:, :8])
    np.testing.assert_array_equal(shown["facing"], numbers[:, 8])
    assert [to_text(shown["mission"][step]) for step in (0, 3)] == ["go to the red ball", "öffne"]
    assert to_text(shown["mission"][4]).endswith("x…")
    assert data.actions.tolist() == flat(columns, "discrete_actions").tolist()
    assert "5 of 9 texts of mission are longer" in str(data.origin.details["caveats"])


def test_babyais_148_numbers_are_the_direction_and_the_view_of_its_own_levels(tmp_path: Path) -> None:
    steps = sum(LENGTHS)
    image = RNG.integers([11, 6, 4], size=(steps, 7, 7, 3))
    numbers = np.concatenate([RNG.integers(4, size=(steps, 1)), image.reshape(steps, 147)], axis=1)
    columns = missions() | {"discrete_observations": pyarrow.array(divided(numbers), WHOLE)}
    write(tmp_path / "babyai-go-to-local", columns)
    data = load(Request("babyai-go-to-local", "jat", tmp_path, data_dir=tmp_path / "cache"))
    shown = view(np.asarray(data.observations), data.spec.parts)
    np.testing.assert_array_equal(shown["direction"], numbers[:, 0])
    np.testing.assert_array_equal(shown["image"], image)


def screens(size: int = 84) -> tuple[dict[str, Any], np.ndarray]:
    """What Atari's files hold, and the newest frames."""
    steps = sum(LENGTHS)
    stacks = RNG.integers(256, size=(steps, size, size, 4), dtype=np.uint8)
    pngs = []
    for stack in stacks:
        file = io.BytesIO()
        Image.fromarray(stack).save(file, "PNG")
        pngs.append({"bytes": file.getvalue(), "path": None})
    ends = np.cumsum([0, *LENGTHS])
    return {
        "image_observations": pyarrow.array([pngs[a:b] for a, b in pairwise(ends)], IMAGES),
        "discrete_actions": pyarrow.array(divided(RNG.integers(6, size=steps)), pyarrow.list_(pyarrow.int64())),
        "rewards": pyarrow.array(divided(RNG.integers(-1, 2, steps)), pyarrow.list_(pyarrow.float32())),
    }, stacks[..., -1]


def test_of_stacked_frames_the_newest_is_kept(tmp_path: Path) -> None:
    columns, newest = screens()
    write(tmp_path / "atari-pong", columns)
    data = load(Request("pong", "jat", tmp_path, data_dir=tmp_path / "cache"))
    np.testing.assert_array_equal(data.observations, newest)
    assert data.lengths.tolist() == [*LENGTHS]
    assert data.terminated.sum() == 3
    assert data.spec.clipped_rewards
    assert data.origin.source == "jat"


def test_a_folder_of_ones_own_is_recognized_without_its_source(tmp_path: Path) -> None:
    columns = control()
    folder = write(tmp_path / "mine", columns)
    data = load(Request("mine@Hopper-v4", "auto", folder, data_dir=tmp_path / "cache"))
    np.testing.assert_array_equal(data.observations, flat(columns, "continuous_observations"))
    assert data.origin.source == "jat"


def gap(columns: dict[str, Any]) -> None:
    rows = columns["rewards"].to_pylist()
    columns["rewards"] = pyarrow.array([None, *rows[1:]], columns["rewards"].type)


def hole(columns: dict[str, Any]) -> None:
    rows = columns["rewards"].to_pylist()
    rows[0][0] = None
    columns["rewards"] = pyarrow.array(rows, columns["rewards"].type)


def shorter(columns: dict[str, Any]) -> None:
    rows = columns["rewards"].to_pylist()
    columns["rewards"] = pyarrow.array([rows[0][:-1], *rows[1:]], columns["rewards"].type)


def uneven(columns: dict[str, Any]) -> None:
    rows = columns["continuous_actions"].to_pylist()
    rows[2][1] = rows[2][1][:2]
    columns["continuous_actions"] = pyarrow.array(rows, FLOATS)


def words(columns: dict[str, Any]) -> None:
    columns["continuous_actions"] = pyarrow.array([["a"] * length for length in LENGTHS])


def nan(columns: dict[str, Any]) -> None:
    rows = columns["continuous_observations"].to_pylist()
    rows[1][0][4] = float("nan")
    columns["continuous_observations"] = pyarrow.array(rows, FLOATS)


def tokens(columns: dict[str, Any]) -> None:
    del columns["continuous_actions"]


def flat_rewards(columns: dict[str, Any]) -> None:
    columns["rewards"] = pyarrow.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (gap, "1 lists of a column are missing"),
        (hole, "1 gaps"),
        (shorter, "3 continuous_observations and 2 rewards"),
        (uneven, "lists of a column hold 2 to 3 numbers"),
        (words, "values of string"),
        (nan, "observations"),
        (tokens, "neither continuous_actions nor discrete_actions"),
        (flat_rewards, "holds double where lists belong"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(damage: Any, message: str, tmp_path: Path) -> None:
    columns = control()
    damage(columns)
    with pytest.raises(DatasetError, match=message):
        read(write(tmp_path, columns, rows=3))


def refusal(folder: Path, otherwise: str) -> str:
    """The message about damaged files, if there is one."""
    try:
        read(folder)
    except DatasetError as error:
        return str(error)
    return otherwise


@pytest.mark.parametrize("place", [0, 10, 400, -200, -6])
def test_a_file_with_other_bytes_is_refused_or_read_whole(place: int, tmp_path: Path) -> None:
    file = write(tmp_path, control()) / "train-00000-of-00001.parquet"
    content = bytearray(file.read_bytes())
    content[place] ^= 0xFF
    file.write_bytes(content)
    assert str(file) in refusal(tmp_path, str(file))


def test_more_values_than_a_file_can_hold_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, control())
    monkeypatch.setattr("trajectories.formats.limits.SMALL", 0)
    monkeypatch.setattr(arrow_lists, "NUMBER", 1 << 20)
    with pytest.raises(DatasetError, match="which no compression does"):
        read(tmp_path)


def test_what_another_environment_shows_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "texts", missions())
    for spec, message in ((HOPPER, "shows one array"), (MISSION, "shows cells, facing, mission, picture, speed")):
        with pytest.raises(DatasetError, match=message):
            read(tmp_path / "texts", spec)
    write(tmp_path / "small", screens(size=36)[0])
    with pytest.raises(DatasetError, match="images of 36 x 36 pixels with 4 channels"):
        read(tmp_path / "small", environment("pong").spec())
    columns, _ = screens()
    columns["image_observations"] = pyarrow.array([[{"bytes": b"no image"}] * length for length in LENGTHS], IMAGES)
    with pytest.raises(DatasetError, match="damaged"):
        read(write(tmp_path / "no", columns), environment("pong").spec())


def test_a_folder_without_such_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no train-\*\.parquet, nor does atari-pong below it"):
        load(Request("pong", "jat", tmp_path, data_dir=tmp_path / "cache"))
    with pytest.raises(UserError, match="JAT has no hopper-medium"):
        load(Request("hopper-medium", "jat", data_dir=tmp_path / "cache"))


def test_names_are_those_of_jat() -> None:
    ours = ("ms_pacman", "metaworld-reach", "mujoco-walker")
    theirs = [jat_names.configuration(dataset(name)) for name in ours]
    assert theirs == ["atari-mspacman", "metaworld-reach", "mujoco-walker"]
    assert dataset("mujoco-walker").env == "Walker2d-v4"


# ---- the hub --------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """Files by address; the class has them."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A hub on this machine, empty."""
    Hub.files = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(jat_download, "LISTING", f"{address}/tree/{{configuration}}")
        monkeypatch.setattr(jat_download, "ADDRESS", f"{address}/files/{{path}}")
        yield Hub.files
        server.shutdown()


def published(hub: dict[str, bytes], tmp_path: Path) -> dict[str, Any]:
    """Put a data set of two files on the hub; returns what they hold."""
    columns, rows = control(), []
    for number in range(2):
        name = f"train-0000{number}-of-00002.parquet"
        part = {name: column.slice(number, 1 + number) for name, column in columns.items()}
        content = (write(tmp_path / "hub", part, name) / name).read_bytes()
        hub[f"/files/mujoco-hopper/{name}"] = content
        row = {"type": "file", "path": f"mujoco-hopper/{name}", "size": len(content)}
        rows.append(row | {"lfs": {"oid": hashlib.sha256(content).hexdigest()}})
    rows.append({"type": "file", "path": "mujoco-hopper/test-00000-of-00001.parquet", "size": 3})
    hub["/tree/mujoco-hopper"] = json.dumps(rows).encode()
    return columns


def test_files_are_fetched_once_and_checked(hub: dict[str, bytes], tmp_path: Path) -> None:
    columns = published(hub, tmp_path)
    data = load(Request("mujoco-hopper", "auto", data_dir=tmp_path / "cache"))
    np.testing.assert_array_equal(data.observations, flat(columns, "continuous_observations"))
    hub.clear()
    jat_download.fetched(tmp_path / "cache", "mujoco-hopper")
    (tmp_path / "cache" / "jat" / "mujoco-hopper" / "train-00001-of-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(FetchError):
        jat_download.fetched(tmp_path / "cache", "mujoco-hopper")


@pytest.mark.parametrize("listing", ["[]", "{}", "[3]", "nonsense", '[{"path": 3}]', '[{"path": "../../x"}]'])
def test_a_list_of_files_that_is_none_is_refused(listing: str, hub: dict[str, bytes], tmp_path: Path) -> None:
    hub["/tree/mujoco-hopper"] = listing.encode()
    with pytest.raises(FetchError, match="the hub's list of files cannot be read"):
        jat_download.fetched(tmp_path, "mujoco-hopper")


def test_a_file_of_another_hash_is_refused(hub: dict[str, bytes], tmp_path: Path) -> None:
    published(hub, tmp_path)
    name = "/files/mujoco-hopper/train-00001-of-00002.parquet"
    hub[name] = hub[name][:40] + b"x" + hub[name][41:]
    with pytest.raises(FetchError, match="it delivers another file"):
        jat_download.fetched(tmp_path / "cache", "mujoco-hopper")
