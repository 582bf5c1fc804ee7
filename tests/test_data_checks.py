"""What a file says is checked when it is loaded: whose recording it is, and that a record can hold it in the end."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from experiments import run
from report.store import config_hash, read_record
from sources import collect, export
from sources.loading import Request, describe, load
from tests.recordings import SPEC, made_up, table, write_d4rl
from tests.skips import recorded
from tests.toys import walk
from training.settings import parse
from trajectories import foreign, minari_folders
from trajectories.catalog import environment, recorded_in
from trajectories.errors import DatasetError, UserError
from trajectories.formats import own_files
from trajectories.types import Provenance

TINY = ["--model", "bc", "--updates", "1", "--episodes", "1", "--width", "8", "--layers", "1", "--batch-size", "4"]


@pytest.mark.parametrize("name", ["halfcheetah-medium", "halfcheetah-medium-replay", "mine@halfcheetah"])
def test_another_environments_file_of_the_same_shapes_is_refused(real: Path, name: str) -> None:
    file = real / "walker2d_medium-v2.hdf5"
    message = "walker2d_medium-v2.hdf5 is hardly a recording of halfcheetah: .* 18 deviations from those of "
    for _ in range(2):  # also when its columns are cached
        with pytest.raises(DatasetError, match=message + r"halfcheetah-medium \(nearest is walker2d-medium\)"):
            load(Request(name, path=file))
    assert load(Request(name, path=file, allow_mismatch=True)).spec.name == "halfcheetah"
    with pytest.raises(DatasetError, match="hardly"):
        load(Request(name, path=file))


def test_allow_mismatch_prints_a_caveat_and_is_the_same_run(real: Path, tmp_path: Path) -> None:
    data = load(Request("halfcheetah-medium", path=real / "walker2d_medium-v2.hdf5", allow_mismatch=True))
    assert "Beware: Its states are not those of D4RL's own file: means are up to 18 deviations away." in describe(data)
    plain, allowed = (parse(["--env", "halfcheetah-medium", *more]) for more in ([], ["--allow-mismatch"]))
    assert config_hash(plain.resolved()) == config_hash(allowed.resolved())
    assert "--allow-mismatch" in allowed.command()
    words = [*TINY, "--env", "halfcheetah-medium", "--path", str(real / "walker2d_medium-v2.hdf5")]
    with pytest.raises(UserError, match="--allow-mismatch"):
        run.main([*words, "--results-dir", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_no_policy_is_rolled_out_in_another_environment(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "reroll", lambda *_: pytest.fail("it was rolled out"))
    with pytest.raises(DatasetError, match="hardly a recording of halfcheetah"):
        load(Request("halfcheetah-medium", "reroll", real / "walker2d_medium-v2.hdf5", steps=10))


def test_states_far_from_the_published_ones_give_a_caveat(real: Path) -> None:
    assert "not those of D4RL's own" in describe(load(Request("hopper-medium", path=real / "hopper_medium.hdf5")))
    assert "not those of" not in describe(load(Request("hopper-medium", path=real / "hopper_medium-v2.hdf5")))
    assert "not those of" not in describe(load(Request("hopper-medium-v0", path=real / "hopper_medium.hdf5")))


def test_antmazes_early_timeouts_and_single_steps_give_caveats(real: Path) -> None:
    data = load(Request("antmaze-medium-diverse-v0", path=recorded("more/antmaze-medium-diverse-v0.hdf5")))
    assert data.lengths.tolist() == [65, 1, 1]
    assert "Beware: D4RL's v0 marks time-outs out of step with the ant's real starts" in describe(data)
    assert "Beware: 2 of 3 episodes are a single step long." in describe(data)
    assert "out of step" not in describe(load(Request("hopper-medium-v0", path=real / "hopper_medium.hdf5")))


@pytest.mark.parametrize("column", ["terminals", "timeouts", "rewards"])
def test_a_column_of_two_numbers_a_step_is_refused(tmp_path: Path, column: str) -> None:
    columns = table(made_up([30, 30]))
    columns[column] = np.stack([columns[column]] * 2, axis=1)
    with pytest.raises(DatasetError, match=f"{column} (has the shape|are) .*2.*: write"):
        own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")


# ---- nothing that a file says prevents the record -------------------------------------------------------------------


def test_a_run_on_a_file_with_odd_metadata_ends_in_a_record(tmp_path: Path) -> None:
    file = write_d4rl(tmp_path / "toy.hdf5", table(walk([19, 19], spec=environment("toy").spec())))
    odd = {"loss": np.nan, "limit": np.inf, "entropy": 0.5, "digest": "of another", "steps": -1, "caveats": "none"}
    with h5py.File(file, "a") as opened:
        for key, value in odd.items():
            opened[f"metadata/{key}"] = value
    run.main([*TINY, "--env", "toy-medium", "--path", str(file), "--results-dir", str(tmp_path / "runs")])
    (folder,) = (tmp_path / "runs").glob("bc-*")
    data = read_record(folder).data
    assert data["metadata"] == odd | {"loss": "nan", "limit": "inf"}
    assert (data["steps"], len(data["digest"])) == (38, 64), "what a file says is not taken for what we say"
    assert "caveats" not in data


def test_details_are_always_what_json_can_hold() -> None:
    odd = {"a": np.float32(np.nan), "b": (np.int64(1), b"\xff", None), "c\ud800": "\ud800", "d": {"e": -np.inf}}
    details = Provenance("a", "file", "", odd).details
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    json.dumps(details, ensure_ascii=False).encode()
    assert details["b"] == [1, "\ufffd", None]


def test_rewards_that_add_up_to_infinity_are_refused(tmp_path: Path) -> None:
    columns = table(made_up([20, 20]))
    columns["rewards"] = np.full(40, 3e38, np.float32)
    with pytest.raises(DatasetError, match=r"rewards, as large as 3e\+38, add up to infinity"):
        own_files.read(write_d4rl(tmp_path / "a.hdf5", columns), SPEC, "made-up")


@pytest.mark.parametrize("scores", [(1.0, 1.0), (float("nan"), 1.0), (0.0, float("inf")), ("0", 1.0)])
def test_equal_reference_scores_are_not_used(
    tmp_path: Path, scores: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path))
    data = replace(
        walk([20, 30], spec=environment("Hopper-v4").spec()), origin=Provenance("mine@Hopper-v4", "file", "")
    )
    folder = export.to_minari(data, "mine/hopper-v0")
    metadata = json.loads(minari_folders.metadata_file(folder).read_text())
    minari_folders.metadata_file(folder).write_text(
        json.dumps(metadata | dict(zip(foreign.SCORES, scores, strict=True)))
    )
    assert recorded_in(folder).name == "Hopper-v4"
    written = json.dumps(dict(zip(foreign.SCORES, scores, strict=True)))
    with pytest.raises(UserError, match="between which nothing can be normalized"):
        environment(f"Hopper-v4?{written}")
