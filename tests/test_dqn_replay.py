"""Files as Dopamine's buffer writes them are read exactly: every window is what a naive reading of them gives."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from environments.scores import normalized
from sources import dqn_replay_download, export
from sources import fetch as fetching
from sources.data_report import print_summary
from sources.loading import Request, describe, load
from training.record import behavior
from trajectories import store
from trajectories.catalog import dataset, environment
from trajectories.errors import DatasetError, UserError
from trajectories.formats import dqn_replay
from trajectories.formats.dqn_replay import Selection, file_name
from trajectories.types import Spec, Trajectories
from trajectories.windows import cut

SPEC = environment("breakout").spec()
Step = tuple[np.ndarray, int, float, bool]


class Buffer:
    """Dopamine's circular buffer in a few lines: three blanks before each episode, a file each time it is full."""

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder, self.capacity, self.added, self.logged = folder, capacity, 0, 0
        self.rows: list[Step] = [(np.zeros((84, 84), np.uint8), 0, 0.0, False)] * capacity
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, step: Step) -> None:
        if self.added == 0 or self.rows[(self.added - 1) % self.capacity][3]:
            for _ in range(3):
                self._add((np.zeros((84, 84), np.uint8), 0, 0.0, False))
        self._add(step)

    def _add(self, step: Step) -> None:
        self.rows[self.added % self.capacity] = step
        self.added += 1
        if self.added % self.capacity == self.capacity - 1:  # one short of full, as Dopamine's logging buffer has it
            self.log()

    def log(self) -> None:
        columns = [np.array(column) for column in zip(*self.rows, strict=True)]
        for name, values, dtype in zip(dqn_replay.COLUMNS, columns, ("u1", "i4", "f4", "u1"), strict=True):
            write(self.folder / file_name(name, self.logged), values.astype(dtype))
        write(self.folder / f"add_count_ckpt.{self.logged}.gz", np.array(self.added))
        self.logged += 1


def write(path: Path, values: np.ndarray) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        np.save(file, values)


def game(rng: np.random.Generator, length: int) -> list[Step]:
    """An episode whose frames are one number each, 84 x 84 times, never 0; its last step is the terminal one."""
    return [
        (
            np.full((84, 84), rng.integers(1, 256), np.uint8),
            int(rng.integers(4)),
            float(rng.integers(-1, 2)),
            step == length - 1,
        )
        for step in range(length)
    ]


def written(folder: Path, lengths: list[int], capacity: int, seed: int = 0) -> list[list[Step]]:
    rng = np.random.default_rng(seed)
    buffer, games = Buffer(folder, capacity), [game(rng, length) for length in lengths]
    for each in games:
        for step in each:
            buffer.add(step)
    buffer.log()  # what has been begun: only the first rows are of this round
    return games


def read(folder: Path, selection: Selection | None = None) -> Trajectories:
    return dqn_replay.read(folder, SPEC, "breakout", frames=folder.parent / "frames.npy", selection=selection)


def naive_reading(folder: Path) -> list[list[Step]]:
    """The whole episodes of a folder, step by step."""
    episodes = []
    for number in range(len(list(folder.glob("add_count*")))):
        names = (*dqn_replay.COLUMNS, "add_count")
        files = [folder / (file_name(n, number) if n != "add_count" else f"add_count_ckpt.{number}.gz") for n in names]
        *values, added = [np.load(gzip.open(file)) for file in files]  # noqa: SIM115
        episode: list[Step] | None = [] if number == 0 else None  # None: in the middle of another episode
        for row in range(int(added) % len(values[0])):
            frame, action, reward, terminal = (column[row] for column in values)
            if row == 0 and not any(values[0][each].any() for each in range(3)):
                episode = []
            if episode is not None and (frame.any() or episode):
                episode.append((frame, int(action), float(reward), bool(terminal)))
            if terminal:
                episodes += [episode] if episode else []
                episode = []
    return episodes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Breakout" / "1" / "replay_logs"


def test_every_window_of_several_checkpoints_is_what_a_naive_reading_gives(folder: Path) -> None:
    """Episodes cross the ends of checkpoints, end with lives, and a last file holds what an earlier round left."""
    rng = np.random.default_rng(1)
    written(folder, rng.integers(1, 30, 60).tolist(), capacity=150)
    data, expected = read(folder), naive_reading(folder)
    assert 20 < len(expected) == data.episodes
    assert data.lengths.tolist() == [len(episode) for episode in expected]
    assert data.observations.shape == (len(data), 84, 84)
    last = np.arange(len(data))
    batch = cut(data, data.starts[data.episode_of(last)], last, 5)
    assert batch.observations.shape == (len(data), 5, 4, 84, 84)
    row = 0
    for episode in expected:
        for now in range(len(episode)):
            for place in range(5):
                step = now - 4 + place
                assert bool(batch.mask[row, place]) == (step >= 0)
                for frame in range(4):
                    shown = step - 3 + frame
                    value = episode[shown][0][0, 0] if 0 <= shown <= step and step >= 0 else 0
                    assert (batch.observations[row, place, frame].numpy() == value).all()
                if step >= 0:
                    _, action, reward, _ = episode[step]
                    assert (int(batch.actions[row, place]), float(batch.rewards[row, place])) == (action, reward)
                    assert int(batch.timesteps[row, place]) == step
                    to_come = sum(each[2] for each in episode[step:])
                    assert float(batch.returns_to_go[row, place]) == pytest.approx(to_come)
            row += 1
    assert data.terminated[data.starts[1:] - 1].all()
    assert data.terminated.sum() == data.episodes


def test_an_episode_that_a_checkpoint_s_end_cuts_is_left_out_with_both_its_halves(folder: Path) -> None:
    games = written(folder, [10, 10, 40, 10, 10], capacity=40)  # rows 0-12, 13-25, then one that ends in the next file
    data = read(folder)
    assert data.lengths.tolist() == [10, 10, 10, 10][: data.episodes]
    kept = {int(frame[0, 0]) for frame in data.observations}
    assert kept <= {int(step[0][0, 0]) for each in (0, 1, 3, 4) for step in games[each]}


def test_the_blanks_before_an_episode_are_no_steps_of_it(folder: Path) -> None:
    games = written(folder, [4, 1, 6], capacity=100)
    data = read(folder)
    assert data.lengths.tolist() == [4, 1, 6]
    assert data.observations[:, 0, 0].tolist() == [int(step[0][0, 0]) for each in games for step in each]


def test_files_without_blanks_are_read_too(folder: Path) -> None:
    folder.mkdir(parents=True)
    steps = [step for length in (3, 1, 5) for step in game(np.random.default_rng(length), length)]
    columns = [np.array(column) for column in zip(*steps, strict=True)]
    for name, values, dtype in zip(dqn_replay.COLUMNS, columns, ("u1", "i4", "f4", "u1"), strict=True):
        write(folder / file_name(name, 0), values.astype(dtype))
    assert read(folder).lengths.tolist() == [3, 1, 5]


def test_a_selection_takes_groups_of_a_checkpoint_s_first_episodes_until_enough(folder: Path) -> None:
    for number in range(4):
        part = folder.parent / f"part{number}"
        written(part, [5] * 30, capacity=1000, seed=number)
        for name in dqn_replay.COLUMNS:
            folder.mkdir(parents=True, exist_ok=True)
            (part / file_name(name, 0)).rename(folder / file_name(name, number))
        (part / "add_count_ckpt.0.gz").rename(folder / f"add_count_ckpt.{number}.gz")
    chosen = Selection(steps=250, episodes_at_once=10, seed=3)
    data = read(folder, chosen)
    assert data.episodes in (40, 50)  # a group of ten holds eighty rows with their blanks
    assert np.array_equal(read(folder, chosen).observations, data.observations)
    others = [read(folder, Selection(steps=250, seed=seed)).observations[:, 0, 0].tobytes() for seed in range(6)]
    assert len(set(others)) > 1
    assert read(folder, Selection(steps=10**9)).episodes == 120
    assert read(folder, Selection(checkpoints=2)).episodes == 60
    assert read(folder, Selection(checkpoints=2, first_steps=81)).episodes == 20


@pytest.mark.parametrize(("last", "first"), [(3, 47), (50, 0), (80, 0)])
def test_own_checkpoints_and_fetched_ones_are_chosen_by_one_rule(
    folder: Path, monkeypatch, last: int, first: int
) -> None:
    written(folder, [7] * 104, capacity=20)  # checkpoints 0 to 51; the public files are 0 to 50, of which 50 is unread
    opened: list[int] = []
    checkpoint = dqn_replay._checkpoint

    def noting(*words):
        opened.append(words[1])
        return checkpoint(*words)

    monkeypatch.setattr(dqn_replay, "_checkpoint", noting)
    read(folder, dqn_replay_download.selection(20, last, 0))
    assert opened == list(range(first, 50))
    fetched = {int(name.split(".")[1]) for name in dqn_replay_download.shards(last)}
    assert sorted(fetched) == opened


def test_a_folder_without_a_checkpoint_that_is_read_is_refused(folder: Path) -> None:
    written(folder, [7] * 3, capacity=20)
    with pytest.raises(DatasetError, match="holds checkpoints 0 to 1, and none below 0"):
        read(folder, Selection(below=0))


def test_every_checkpoint_is_drawn_equally_often() -> None:
    ends = np.arange(10, 1001, 10)
    nothing = np.zeros(0)
    found = [dqn_replay.Checkpoint(number, nothing, nothing, nothing, ends - 10, ends) for number in range(5)]
    taken = np.array([dqn_replay._selected(found, Selection(steps=1000, seed=seed)) for seed in range(200)])
    assert (taken.sum(axis=1) == 100).all()
    np.testing.assert_allclose(taken.mean(axis=0), 20, atol=3)


def test_the_cache_keeps_each_frame_once_and_the_same_files_have_the_same_digest(folder: Path, tmp_path: Path) -> None:
    written(folder, [12, 9, 30], capacity=500)
    request = Request("breakout", path=tmp_path, data_dir=tmp_path / "cache")
    data = load(request)
    assert (data.origin.source, data.origin.digest) == ("dqn-replay", store.digest(data))
    assert data.origin.details["environment"]["sticky_actions"] == 0.0
    again = load(request)
    assert again.origin == data.origin
    (columns,) = (tmp_path / "cache" / "columns").iterdir()
    assert (columns / "observations.npy").stat().st_size == 128 + len(data) * 84 * 84
    fewer = load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache", replay_steps=1))
    assert fewer.origin.details["replay_steps"] == 1


def test_clipped_rewards_are_recognized_by_their_values(folder: Path, tmp_path: Path) -> None:
    written(folder, [12, 9, 30], capacity=500)
    clipped = load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache"))
    _spoil("reward", lambda values: 7 * values)(folder)
    raw = load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache"))
    assert (clipped.spec.clipped_rewards, raw.spec.clipped_rewards) == (True, False)
    assert "clipped" in clipped.origin.details["rewards"]
    assert "clipped" in describe(clipped)
    assert "clipped" not in str(raw.origin.details["rewards"]) + describe(raw)
    assert Spec.from_json(clipped.spec.to_json()) == clipped.spec


def test_a_sum_of_clipped_rewards_is_not_normalized_as_if_it_were_points(folder: Path, tmp_path: Path, capsys) -> None:
    written(folder, [12, 9, 30], capacity=500)
    clipped = load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache"))
    row, points = environment("breakout"), replace(clipped, spec=replace(clipped.spec, clipped_rewards=False))
    assert behavior(clipped, row).normalized is None
    assert behavior(points, row) == replace(
        behavior(clipped, row), normalized=normalized("breakout", points.returns).mean()
    )
    for data, words in ((clipped, ", of clipped rewards"), (points, ", normalized ")):
        print_summary(data)
        assert words in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("returns"))


def test_what_is_exported_is_read_again_as_it_was(folder: Path, tmp_path: Path) -> None:
    written(folder, [12, 9, 30], capacity=500)
    data = load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache"))
    exported = [
        export.to_d4rl(data, tmp_path / "breakout.hdf5"),
        export.to_minari(data, "atari/breakout/ours-v0", tmp_path / "minari"),
    ]
    for path, source in zip(exported, ("file", "minari"), strict=True):
        again = load(Request("breakout", path=path, data_dir=tmp_path / "cache"))
        assert (again.origin.source, again.origin.digest) == (source, data.origin.digest)


def test_shards_are_fetched_once_and_only_those_of_the_last_checkpoints(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(folder, [12, 9, 30], capacity=500)
    urls_fetched = []

    def deliver(urls: list[str], destination: Path, known: object) -> Path:
        urls_fetched.append(urls[0])
        column = destination.name.split("_")[1]
        destination.write_bytes((folder / file_name(column, 0)).read_bytes())
        return destination

    monkeypatch.setattr(dqn_replay_download, "fetch", deliver)
    cache = tmp_path / "cache"
    request = Request("breakout", "dqn-replay", data_dir=cache, replay_checkpoints=2)
    data = load(request)
    assert len(urls_fetched) == 8
    assert all("/dqn/Breakout/1/replay_logs/%24store%24_" in url for url in urls_fetched)
    assert {url.rpartition("ckpt.")[2] for url in urls_fetched} == {"48.gz", "49.gz"}
    assert dqn_replay_download.is_here(cache, dataset("breakout"), 2)
    assert not dqn_replay_download.is_here(cache, dataset("breakout"), 3)
    assert load(Request("breakout", data_dir=cache, replay_checkpoints=2)).origin.digest == data.origin.digest  # auto
    assert len(urls_fetched) == 8


def test_without_a_network_the_message_says_a_game_s_files_cannot_be_fetched(tmp_path: Path, monkeypatch) -> None:
    def refuse(urls: list[str], destination: Path, known: object) -> Path:
        raise fetching.FetchError(destination.name, "no route")

    monkeypatch.setattr(dqn_replay_download, "fetch", refuse)
    with pytest.raises(UserError, match=r"terminal|action.*cannot be fetched.*--path"):
        load(Request("breakout", "dqn-replay", data_dir=tmp_path))


def _spoil(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / file_name(name, 0)
        write(path, change(np.load(gzip.open(path))))  # noqa: SIM115

    return spoil


def _truncate(folder: Path) -> None:
    path = folder / file_name("observation", 0)
    path.write_bytes(path.read_bytes()[:1500])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / file_name("reward", 0)).unlink(), r"has no \$store\$_reward_ckpt.0.gz"),
        (_truncate, r"observation_ckpt.0.gz is truncated or damaged"),
        (_spoil("action", lambda values: values[:-1]), "columns have different lengths"),
        (_spoil("action", lambda values: values + 4), "actions hold .* but the environment's are 0 to 3"),
        (_spoil("reward", lambda values: values + np.nan), "rewards holds nan"),
        (_spoil("terminal", lambda values: 0 * values), "holds no whole episode"),
        (_spoil("terminal", lambda values: values + 3), "terminal holds 3"),
        (_spoil("observation", lambda values: values[:, :80]), "where frames are uint8"),
        (_spoil("action", lambda values: np.stack([values, values], 1)), r"of the shape \(60, 2\), where one number"),
        (_spoil("reward", lambda values: np.stack([values, values], 1)), r"of the shape \(60, 2\), where one number"),
        (_spoil("terminal", lambda values: np.stack([values, values], 1)), r"of the shape \(60, 2\), where one number"),
        (_spoil("reward", lambda values: values.astype(str)), "<U.* where one number a step is meant"),
        (lambda folder: write(folder / "add_count_ckpt.0.gz", np.zeros((1, 2))), r"\(1, 2\), where one number"),
        (lambda folder: (folder / file_name("action", 0)).write_bytes(b"no gzip"), "truncated or damaged"),
        (lambda folder: [file.unlink() for file in folder.iterdir()], "holds no files of DQN-replay"),
    ],
)
def test_bad_files_give_one_sentence(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    written(folder, [20, 20], capacity=60)
    spoil(folder)
    with pytest.raises(DatasetError, match=sentence) as caught:
        load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache"))
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("columns/*"))


@pytest.mark.parametrize(("place", "what"), [("nowhere", "is not there"), ("a-file", "is a file")])
def test_a_path_that_is_no_folder_gives_one_sentence(tmp_path: Path, place: str, what: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(DatasetError, match=f"{place} {what}, .*check --path"):
        load(Request("breakout", "dqn-replay", path=tmp_path / place, data_dir=tmp_path / "cache"))


def test_objects_in_a_file_are_never_unpickled(folder: Path, tmp_path: Path) -> None:
    written(folder, [20], capacity=60)
    with gzip.open(folder / file_name("action", 0), "wb") as file:
        np.save(file, np.array([print] * 60, dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match="it holds object"):
        load(Request("breakout", path=tmp_path, data_dir=tmp_path / "cache"))


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (Request("hopper-medium", "dqn-replay"), "Atari's games, and not hopper-medium"),
        (Request("breakout", "dqn-replay", replay_steps=0), "--replay-steps 0 leaves nothing"),
        (Request("breakout", "dqn-replay", replay_checkpoints=-1), "--replay-checkpoints -1 leaves nothing"),
        (Request("alien"), "There is no player of alien here"),
        (Request("alien", "collected"), "There is no player of alien here"),
        (Request("breakouts"), "did you mean breakout"),
    ],
)
def test_requests_that_cannot_be_meant_are_answered_in_a_sentence(
    tmp_path: Path, request_: Request, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        load(replace(request_, data_dir=tmp_path))
