"""Where episodes end: at their marks and at the time limit; and an unfinished one counts nowhere as a finished one."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from environments.scores import normalized
from experiments import data as verbs
from gato.config import Config
from gato.prompts import Demonstrations, last_rows, other_episodes, sample
from sources import export
from sources.loading import Request, describe, load
from tests.recordings import SPEC, made_up, table, write_d4rl
from tests.toys import small
from training import run as whole_run
from training.record import record
from training.settings import parse
from training.train import Progress
from trajectories import minari_folders, store
from trajectories.errors import DatasetError
from trajectories.formats import minari, own_files
from trajectories.types import Trajectories

CAR = "car@MountainCar-v0"  # 200 steps at most, each costs 1


def with_tail(lengths: list[int], tail: int) -> Trajectories:
    """Episodes that cost 1 a step, the last of which is not finished and so has the best return."""
    data = made_up([*lengths, tail], replace(SPEC, max_episode_steps=200))
    data = replace(
        data, rewards=np.full(len(data), -1, np.float32), finished=np.arange(len(lengths) + 1) < len(lengths)
    )
    left = np.repeat(data.starts[1:], data.lengths) - np.arange(len(data))
    return replace(data, returns_to_go=-left.astype(np.float32))


def mountain_car(path: Path, ends: list[int], steps: int, timeouts: bool = True) -> Path:
    rng = np.random.default_rng(0)
    columns = {
        "observations": rng.normal(size=(steps, 2)).astype(np.float32),
        "actions": rng.integers(3, size=steps),
        "rewards": np.full(steps, -1, np.float32),
        "terminals": np.isin(np.arange(1, steps + 1), ends),
    }
    return write_d4rl(path, columns | ({"timeouts": np.zeros(steps, bool)} if timeouts else {}))


def test_the_default_target_is_the_best_finished_return(tmp_path: Path) -> None:
    file = mountain_car(tmp_path / "car.hdf5", [100, 250, 400], 471)
    data = load(Request(CAR, path=file))
    assert data.returns.tolist() == [-100, -150, -150, -71]
    assert data.finished.tolist() == [True, True, True, False]
    assert whole_run.best_return(data) == -100
    assert "(the last one unfinished, 71 steps), return -133.3 ± 23.57, best -100" in describe(data)


def test_the_best_fraction_has_no_unfinished_episode() -> None:
    data = with_tail([100, 150, 120], 71)
    best = data.best(0.2)
    assert (best.returns.tolist(), best.finished.tolist()) == ([-100], [True])
    assert data.best(1.0).returns.tolist() == [-100, -150, -120]


def test_the_mean_of_the_behavior_leaves_an_unfinished_episode_out() -> None:
    data = with_tail([200] * 8, 71)
    settings = parse(["--model", "bc", "--env", "toy-medium", "--device", "cpu"])
    model, progress = small("bc", data), Progress()
    data = replace(data, origin=replace(data.origin, name="toy-medium"))
    made = record(settings, {}, data, model, progress, (), {})
    assert (made.behavior.episodes, made.behavior.mean, made.behavior.best) == (8, -200, -200)
    assert made.behavior.normalized == pytest.approx(float(normalized("toy", np.array(-200.0))))
    assert made.data["unfinished_steps"] == 71


def test_show_leaves_an_unfinished_episode_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = mountain_car(tmp_path / "car.hdf5", [200, 400], 471)
    verbs.main(["show", CAR, "--path", str(file), "--no-dimensions", "--picture", str(tmp_path / "a.png")])
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[:1].islower())
    assert shown["lengths"] == "200.0 ± 0.0, 200 to 200"
    assert shown["returns"].startswith("-200 ± 0,")
    assert shown["unfinished"].startswith("1 episode")


def test_gatos_best_prompt_is_the_end_of_a_finished_episode() -> None:
    data = with_tail([100, 150, 120], 71)
    demonstrations = Demonstrations(data.spec, steps=5)
    demonstrations.collect(data)
    np.testing.assert_array_equal(demonstrations.observations[0].numpy(), data.observations[95:100])
    ends = last_rows(data, np.array([0, 3] * 50), np.ones(100, bool), np.random.default_rng(0), 5)
    assert set(ends[::2]) == {99}
    assert len(set(ends[1::2])) > 10, "an unfinished episode has no end to show"


def test_gatos_alike_prompts_rank_finished_episodes_only() -> None:
    data = with_tail(list(range(100, 140)), 20)
    rng = np.random.default_rng(0)
    own = np.repeat(np.arange(41), 50)
    others = other_episodes(data, own, rng, alike=True)
    assert 40 not in others
    assert np.abs(others - own)[own < 40].max() <= 2
    assert len(set(others[own == 40])) > 15, "an unfinished one is like no other"
    alone = with_tail([100], 71)
    assert sample(alone, rng, 8, Config(prompt_from="alike", prompt_steps=2, prompt_share=1.0)).prompt is None


def test_where_no_episode_is_finished_all_count_with_a_caveat(tmp_path: Path) -> None:
    data = load(Request(CAR, path=mountain_car(tmp_path / "car.hdf5", [], 71)))
    assert not data.finished.any()
    assert whole_run.best_return(data) == -71
    assert data.best(0.5).episodes == 1
    assert "Beware: No episode is finished" in describe(data)


def test_what_is_unfinished_stays_so_in_the_cache_and_changes_no_digest(tmp_path: Path) -> None:
    data = with_tail([100, 150], 71)
    store.save(tmp_path / "a", data)
    assert store.load(tmp_path / "a").finished.tolist() == [True, True, False]
    assert store.digest(data) == store.digest(replace(data, finished=np.ones(3, bool)))


def test_columns_of_an_earlier_version_are_read_again_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = mountain_car(tmp_path / "car.hdf5", [200, 400], 471)
    with monkeypatch.context() as patch:
        patch.setattr(store, "VERSION", 1)
        old = load(Request(CAR, path=file, data_dir=tmp_path))
    kept = next(tmp_path.glob("columns/*/provenance.json"))
    provenance = json.loads(kept.read_text())
    del provenance["version"], provenance["unfinished"]  # as version 1 wrote it
    kept.write_text(json.dumps(provenance))
    new = load(Request(CAR, path=file, data_dir=tmp_path))
    assert new.origin.digest == old.origin.digest
    assert len(list((tmp_path / "columns").iterdir())) == 1


# ---- where episodes end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marks", ["absent", "never", "every third"])
def test_episodes_are_cut_at_the_limit_however_poorly_they_are_marked(tmp_path: Path, marks: str) -> None:
    columns = table(made_up([250]))
    columns["terminals"] = np.zeros(250, bool)
    columns["timeouts"] = np.isin(np.arange(250), [49, 99, 249] if marks == "every third" else [])
    if marks == "absent":
        del columns["timeouts"]
    data = own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")
    assert data.lengths.tolist() == [50] * 5
    assert data.spec.max_episode_steps == 50
    assert data.finished.all()
    assert f"{'1 of 3' if marks == 'every third' else '1 of 1'} episodes is longer" in describe(data)
    assert "made-up's time limit of 50 steps" in describe(data)


def test_what_a_cut_leaves_is_finished_only_where_it_terminates(tmp_path: Path) -> None:
    columns = table(made_up([70, 60]))  # 50 + 20 and 50 + 10
    columns["terminals"][69], columns["timeouts"][69] = False, True
    data = own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")
    assert data.lengths.tolist() == [50, 20, 50, 10]
    assert data.finished.tolist() == [True, False, True, True]
    assert "(1 of them unfinished)" in describe(data)


def test_without_timeouts_an_episode_ends_at_the_limit(tmp_path: Path) -> None:
    columns = table(made_up([127]))
    columns["terminals"] = np.isin(np.arange(127), [9, 69])  # then 10, 60 = 50 + 10, and 57 = 50 + 7 steps
    del columns["timeouts"]
    data = own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")
    assert data.starts.tolist() == [0, 10, 60, 70, 120, 127]
    assert data.unfinished_steps == 7


def test_longer_episodes_are_kept_where_the_row_says_that_they_are_real(real: Path, tmp_path: Path) -> None:
    data = load(Request("pen-human", path=real / "pen-human-v1.hdf5"))
    assert data.lengths.tolist() == [200, 200]
    assert data.finished.all()
    assert "Beware: 2 of 2 episodes are longer than pen's time limit of 100 steps (up to 200): kept" in describe(data)
    columns = table(made_up([250]))
    columns["terminals"] = columns["timeouts"] = np.zeros(250, bool)
    unmarked = write_d4rl(tmp_path / "a.hdf5", columns)
    assert own_files.read(unmarked, SPEC, "made-up", long_episodes=True).lengths.tolist() == [50] * 5


def test_episodes_in_pickles_are_cut_at_the_limit_too(tmp_path: Path) -> None:
    columns = table(made_up([40, 120, 30]))
    columns.pop("timeouts")
    columns["terminals"] = np.zeros(190, bool)
    parts = [slice(0, 40), slice(40, 160), slice(160, 190)]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([{name: values[part] for name, values in columns.items()} for part in parts]))
    data = own_files.read(path, SPEC, "made-up")
    assert data.lengths.tolist() == [40, 50, 50, 20, 30]
    assert data.finished.tolist() == [True, True, True, False, True], "some episodes end before the limit here"
    assert own_files.read(path, SPEC, "made-up", long_episodes=True).lengths.tolist() == [40, 120, 30]


def test_the_last_episode_of_a_pickle_is_unfinished_where_others_terminate(tmp_path: Path) -> None:
    columns = table(made_up([50, 30, 20]))
    columns.pop("timeouts")
    columns["terminals"] = np.arange(100) == 79
    parts = [slice(0, 50), slice(50, 80), slice(80, 100)]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([{name: values[part] for name, values in columns.items()} for part in parts]))
    assert own_files.read(path, SPEC, "made-up").unfinished_steps == 20


def test_minaris_flags_decide_which_episodes_are_finished(tmp_path: Path) -> None:
    folder = export.to_minari(load(Request("toy-medium", "collected", steps=50)), "ours/toy-v0", tmp_path)
    with h5py.File(folder / "data" / "main_data.hdf5", "r+") as file:
        assert [bool(one["truncations"][-1]) for one in file.values()] == [True, True, True, False]
        file["episode_0/truncations"][-1] = False
    spec = load(Request("toy-medium", "collected", steps=50)).spec
    data = minari.read(folder, replace(spec, max_episode_steps=30), "ours/toy-v0")
    assert (data.lengths.tolist(), data.finished.tolist()) == ([20, 5, 20, 5], [False, True, True, False])
    short = minari.read(folder, replace(spec, max_episode_steps=15), "ours/toy-v0")
    assert short.lengths.tolist() == [15, 5, 5, 15, 5, 5]


def test_longer_episodes_survive_the_way_to_minari_and_back(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path))
    data = load(Request("pen-human", path=real / "pen-human-v1.hdf5"))
    export.to_minari(data, "ours/pen-v0")
    assert load(Request("ours/pen-v0")).origin.digest == data.origin.digest


def test_the_unfilled_rows_of_a_buffer_are_left_out_with_a_caveat(tmp_path: Path) -> None:
    filled = table(made_up([50, 30, 7]))
    filled["terminals"][-1] = False
    columns = {name: np.concatenate([values, np.zeros_like(values[:50])]) for name, values in filled.items()}
    data = own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")
    assert data.lengths.tolist() == [50, 30, 7]
    assert "Beware: 50 of 137 rows are zero in every column" in describe(data)
    parts = [slice(0, 50), slice(50, 80), slice(80, 137)]  # the last one is unfilled from its 8th row on
    del columns["timeouts"]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([{name: values[part] for name, values in columns.items()} for part in parts]))
    assert own_files.read(path, SPEC, "made-up").lengths.tolist() == [50, 30, 7]


def test_rows_of_zeros_are_kept_where_steps_may_be_zero(tmp_path: Path) -> None:
    columns = table(made_up([50, 30]))
    for values in columns.values():
        values[[3, 78, 79]] = 0
    data = own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")
    assert len(data) == 80
    nothing = {name: np.zeros_like(values) for name, values in columns.items()}
    with pytest.raises(DatasetError, match="nothing but zeros"):
        own_files.read(write_d4rl(tmp_path / "b.hdf5", nothing), SPEC, "made-up")
