"""data.py: what there is, what is in one, verified, exported, removed; and every real file plays its environment."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from environments.make import make
from experiments import data as verbs
from sources import data_pictures
from sources.data_report import duplicates, histogram, not_finite
from sources.experts import table as policies
from sources.inventory import kept
from sources.loading import Request, describe, load
from tests.recordings import made_up, table, write_d4rl
from tests.toys import walk
from training.evaluate import play
from training.settings import Settings, parse
from trajectories.atomic import file_lock
from trajectories.catalog import dataset, dataset_names, environment
from trajectories.errors import UserError
from trajectories.types import Trajectories

PIECES = {  # of D4RL's own files, by the data set they belong to
    "hopper_medium-v2": "hopper-medium",
    "walker2d_medium-v2": "walker2d-medium",
    "halfcheetah_medium-v2": "halfcheetah-medium",
    "hopper_medium": "hopper-medium-v0",
    "hopper_medium_replay-v1": "hopper-medium-replay-v1",
    "walker2d_medium_replay-v1": "walker2d-medium-replay-v1",
    "hopper_random-v1": "hopper-random-v1",
    "ant_random-v1": "ant-random-v1",
    "pen-human-v1": "pen-human",
    "pen-expert-v1": "pen-expert",
    "antmaze-umaze-v0": "antmaze-umaze-v0",
}


class Repeats:
    """A player that does again what was recorded, from the first step of the data on."""

    def __init__(self, data: Trajectories) -> None:
        self.actions, self.step = data.actions, 0

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        action = self.actions[self.step % len(self.actions)]
        self.step += 1
        return action[None]


@pytest.mark.parametrize("file", PIECES)
def test_every_real_file_loads_and_plays_an_episode_in_its_environment(real: Path, file: str) -> None:
    assert {path.stem for path in real.glob("*.hdf5")} >= set(PIECES)
    data = load(Request(PIECES[file], path=real / f"{file}.hdf5"))
    row = dataset(PIECES[file]).environment
    if row.family == "adroit":
        pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    assert data.spec == replace(row.spec(), max_episode_steps=max(row.max_episode_steps, int(data.lengths.max())))
    played = play(Repeats(data), make(row.name, 1), [0])
    assert 1 <= played.lengths[0] <= row.max_episode_steps
    assert np.isfinite(played.returns[0])


def test_ants_observations_are_trimmed_only_where_nothing_is_lost(real: Path, tmp_path: Path) -> None:
    data = load(Request("ant-random-v1", path=real / "ant_random-v1.hdf5"))
    assert data.observations.shape == (366, 27)
    columns = table(walk([5], spec=environment("ant").spec()))
    columns["observations"] = np.pad(columns["observations"], ((0, 0), (0, 84)))
    columns["observations"][3, 60] = 1e-6
    with pytest.raises(UserError, match="last 84 observations are not zero"):
        load(Request("ant-random", path=write_d4rl(tmp_path / "ant.hdf5", columns)))


def test_an_environments_caveat_is_printed_and_kept_for_the_record(real: Path) -> None:
    data = load(Request("pen-human", path=real / "pen-human-v1.hdf5"))
    assert "Beware: Recorded in MuJoCo" in describe(data)
    assert data.origin.details["differs"] == environment("pen").caveat


def test_a_d4rl_view_of_cells_is_read_as_a_row_and_its_actions_as_choices(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "observations": rng.integers(0, 9, (8, 7, 7, 3)).astype(np.float32),
        "actions": np.arange(8, dtype=np.float32) % 7,
        "rewards": np.zeros(8, np.float32),
        "terminals": np.arange(8) == 4,
    }
    data = load(Request("minigrid-fourrooms", path=write_d4rl(tmp_path / "rooms.hdf5", columns)))
    assert data.observations.shape == (8, 147)
    assert data.actions.tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    for wrong, value in ((1.5, "1.5"), (7, "7"), (-1, "-1")):
        columns["actions"][2] = wrong
        with pytest.raises(UserError, match=rf"hold {value}.* at step 2, but the environment's are 0 to 6"):
            load(Request("minigrid-fourrooms", path=write_d4rl(tmp_path / "rooms.hdf5", columns)))


def test_data_of_ones_own_are_played_in_the_environment_that_the_name_says(tmp_path: Path) -> None:
    file = write_d4rl(tmp_path / "mine.hdf5", table(walk([5, 4], spec=environment("Hopper-v4").spec())))
    data = load(Request("mine@Hopper-v4", path=file))
    assert (data.spec.name, data.origin.name, data.origin.source) == ("Hopper-v4", "mine@Hopper-v4", "file")
    with pytest.raises(UserError, match=r"mine@Hopper-v4 is data of your own: name their file with --path"):
        load(Request("mine@Hopper-v4"))
    with pytest.raises(UserError, match="observations have the shape 11, but the environment's have 17"):
        load(Request("mine@Walker2d-v4", path=file))


def test_the_list_has_every_data_set_and_says_what_is_cached(own_cache: Path, capsys: pytest.CaptureFixture) -> None:
    verbs.main(["collect", "toy-medium", "--steps", "60"])
    verbs.main(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert re.search(
        r"^toy-medium +collected\n  in the cache: collected [\d.]+ MB, columns", "\n".join(lines), re.MULTILINE
    )
    assert re.search(r"^walker2d-expert +d4rl reroll collected minari", "\n".join(lines), re.MULTILINE)
    assert not any(line.startswith("hopper-medium-v1") for line in lines)
    listed = {line.split()[0] for line in lines}
    assert listed >= {name for name in dataset_names() if not name.endswith(("-v0", "-v1"))}
    verbs.main(["list", "hopper-medium", "--versions"])
    assert "hopper-medium-v1" in capsys.readouterr().out
    with pytest.raises(UserError, match="No data set's name contains 'xyzzy'"):
        verbs.main(["list", "xyzzy"])


@pytest.mark.parametrize("name", ["toy-medium", "breakout"])
def test_a_cache_that_is_a_file_is_named_and_not_what_is_missing_in_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / "cache"
    file.write_text("")
    with pytest.raises(UserError, match=r"cache is a file: name a folder with --data-dir"):
        load(Request(name, "collected", steps=200, data_dir=file))


def test_what_is_cached_is_counted_for_its_own_data_set_alone(tmp_path: Path) -> None:
    (tmp_path / "collected").mkdir()
    (tmp_path / "collected" / "hopper-medium-replay-d4rl-10-seed0-abc.hdf5").write_bytes(b"1234")
    (tmp_path / "columns" / f"hopper-medium-replay-collected-{'0' * 16}").mkdir(parents=True)
    assert kept(tmp_path, "hopper-medium") == []
    held = kept(tmp_path, "hopper-medium-replay")
    assert [(one.source, one.columns, one.size) for one in held] == [("collected", False, 4), ("collected", True, 0)]
    for name in ("5-episodes-seed0-toy-2-0a", "99-cut-20-after-success-seed0-toy-2"):  # an expert's episodes
        (tmp_path / "collected" / f"hopper-medium-{name}.hdf5").write_bytes(b"1")
    assert [one.source for one in kept(tmp_path, "hopper-medium")] == ["collected", "collected"]


def left_by_kills(cache: Path) -> list[Path]:
    """What killed processes leave of hopper-medium: a recording, a download, and columns."""
    names = [
        "collected/.hopper-medium-d4rl-10-seed0-abc.hdf5.0123abcd.tmp",
        "d4rl/hopper_medium-v2.hdf5.0123abcd.part",
        f"columns/.hopper-medium-collected-{'0' * 16}.0123abcd.tmp/rewards.npy",
    ]
    for name in names:
        (cache / name).parent.mkdir(parents=True)
        (cache / name).write_bytes(b"0" * 10**6)
    return [cache / name for name in names]


def test_what_killed_processes_left_is_listed_and_removed(own_cache: Path, capsys: pytest.CaptureFixture) -> None:
    left = left_by_kills(own_cache)
    verbs.main(["list", "hopper-medium"])
    assert re.search(r"^  in the cache: unfinished 3\.0 MB$", capsys.readouterr().out, re.MULTILINE)
    assert kept(own_cache, "hopper-medium-replay") == []
    verbs.main(["remove", "hopper-medium"])
    assert capsys.readouterr().out.count("(1.0 MB)") == 3
    assert not [path for path in left if path.exists()]
    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_what_another_process_is_making_is_not_removed(own_cache: Path) -> None:
    left = left_by_kills(own_cache)
    with file_lock(own_cache / "collected" / "hopper-medium-d4rl-10-seed0-abc.hdf5"):
        left[0].write_bytes(b"1")
        with pytest.raises(UserError, match="is being made by another process"):
            verbs.main(["remove", "hopper-medium", "--source", "collected"])
    assert left[0].exists()


def test_show_prints_the_numbers_beside_the_published_ones_and_draws_them(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    picture = tmp_path / "hopper.png"
    file = str(real / "hopper_medium-v2.hdf5")
    verbs.main(["show", "hopper-medium", "--path", file, "--picture", str(picture)])
    printed = capsys.readouterr().out
    data = load(Request("hopper-medium", path=Path(file)))
    assert f"{data.returns.mean():.5g} ±" in printed
    row = dataset("hopper-medium")
    cells = next(line for line in printed.splitlines() if line.startswith("  10 ")).split()
    assert float(cells[3]) == pytest.approx(float(data.observations[:, 10].mean()), rel=1e-4)
    assert float(cells[5]) == pytest.approx((row.state_mean or ())[10], rel=1e-4)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"name it .png, .svg or .pdf"):
        verbs.main(["show", "hopper-medium", "--path", file, "--picture", "hopper.bmp"])


def test_show_says_so_where_it_cannot_keep_the_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise UserError("/there/pictures cannot be written.")

    monkeypatch.setattr(data_pictures, "draw", refuse)
    words = ["show", "toy-medium", "--source", "collected", "--steps", "50"]
    verbs.main(words)
    assert capsys.readouterr().out.endswith("no picture: /there/pictures cannot be written.\n")
    with pytest.raises(UserError, match="cannot be written"):
        verbs.main([*words, "--picture", "there.png"])


def test_what_is_wrong_with_steps_is_counted() -> None:
    data = made_up([5, 5])
    assert (duplicates(data), not_finite(data)) == (0, 0)
    for column in (data.observations, data.actions, data.rewards):
        column[7] = column[2]
    assert duplicates(data) == 1
    data.observations[3, 1], data.rewards[4] = np.nan, np.inf
    assert not_finite(data) == 2


def test_the_histogram_counts_every_episode_once() -> None:
    lines = histogram(np.array([0.0, 0.1, 5.0, 10.0]))
    assert sum(int(line.split()[-1]) for line in lines) == 4
    assert len(histogram(np.ones(3))) == 1


def test_verify_notices_a_changed_column(own_cache: Path, capsys: pytest.CaptureFixture) -> None:
    verbs.main(["verify", "toy-medium", "--source", "collected", "--steps", "60"])
    assert "as when it was stored" in capsys.readouterr().out
    column = next(own_cache.glob("columns/toy-medium-collected-*/rewards.npy"))
    content = bytearray(column.read_bytes())
    content[-1] ^= 1
    column.write_bytes(content)
    with pytest.raises(UserError, match=r"has been changed in the cache.*data.py remove toy-medium"):
        verbs.main(["verify", "toy-medium", "--source", "collected", "--steps", "60"])


def test_what_is_exported_in_d4rls_layout_is_the_same_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "toy.hdf5"
    verbs.main(["export", "toy-medium", "--source", "collected", "--steps", "50", "--to", "d4rl", "--out", str(file)])
    data, back = load(Request("toy-medium", "collected", steps=50)), load(Request("toy-medium", path=file))
    assert back.origin.digest == data.origin.digest
    assert back.unfinished_steps == data.unfinished_steps == 5
    with pytest.raises(UserError, match="is there already"):
        verbs.main(
            ["export", "toy-medium", "--source", "collected", "--steps", "50", "--to", "d4rl", "--out", str(file)]
        )
    with pytest.raises(UserError, match="--to is 'zip': choose one of d4rl, minari"):
        verbs.main(["export", "toy-medium", "--to", "zip"])


def test_remove_takes_a_data_set_out_of_the_cache_and_nothing_else(own_cache: Path, tmp_path: Path) -> None:
    own = write_d4rl(tmp_path / "mine.hdf5", table(walk([5, 4], spec=environment("toy").spec())))
    load(Request("toy-medium", path=own))
    for name in ("toy-medium", "toy-expert"):
        load(Request(name, "collected", steps=50))
    verbs.main(["remove", "toy-medium", "--dry-run"])
    assert len(list(own_cache.glob("columns/toy-medium-*"))) == 2
    verbs.main(["remove", "toy-medium", "--source", "collected"])
    assert [path.name.rsplit("-", 1)[0] for path in own_cache.glob("columns/toy-medium-*")] == ["toy-medium-file"]
    verbs.main(["remove", "toy-medium"])
    assert own.exists()
    assert not list(own_cache.glob("*/toy-medium*"))
    assert len(list(own_cache.glob("*/toy-expert*"))) == 2
    with pytest.raises(UserError, match="holds nothing of toy-medium"):
        verbs.main(["remove", "toy-medium"])


def test_the_policies_readme_is_what_their_cards_and_counts_give() -> None:
    assert policies.main(policies.Options(check=True)) == 0


def test_a_policys_card_that_changed_makes_the_readme_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    better = {robot: {**card, "seed": card["seed"] + 1} for robot, card in policies.cards().items()}
    monkeypatch.setattr(policies, "cards", lambda: better)
    assert policies.main(policies.Options(check=True)) == 1


def test_a_run_on_data_of_ones_own_says_how_to_run_it_again(tmp_path: Path) -> None:
    file = tmp_path / "my data.hdf5"
    settings = parse(["--path", str(file), "--task", 'Pendulum-v1?{"g": 9}', "--updates", "7"])
    assert settings.run.env == ('my data@Pendulum-v1?{"g": 9}',)
    resolved = Settings(replace(settings.run, source="file"), settings.config, settings.machine)
    again = parse([*shlex.split(resolved.command())[2:], "--path", str(file)])
    assert again.run.env == settings.run.env
    assert (again.run.source, again.run.updates) == ("auto", 7)
    assert "task" not in resolved.resolved()["run"]
    named = parse(["--path", str(file), "--task", "Pendulum-v1", "--env", "mine"])
    assert named.run.env == ("mine@Pendulum-v1",)
    with pytest.raises(UserError, match="name it with --path"):
        parse(["--task", "Pendulum-v1"])


def test_data_of_earlier_policies_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "load", lambda request: pytest.fail("it was collected anew"))
    (tmp_path / "collected").mkdir()
    (tmp_path / "collected" / "hopper-medium-d4rl-1000000-seed0-000000000000.hdf5").touch()
    assert policies.count("hopper-medium", tmp_path) is None
