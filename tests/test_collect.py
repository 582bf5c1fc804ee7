"""Recording: behavior policies, and what they write."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sources import collect, rollout
from sources.collect import available, play, policies_digest, reroll
from sources.experts import policy
from sources.experts.d4rl_policy import from_d4rl
from tests.skips import recorded
from trajectories.catalog import environment
from trajectories.errors import DatasetError, UserError
from trajectories.formats import d4rl, own_files


def columns(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_d4rls_policy_is_as_likely_to_act_as_recorded_as_d4rl_says() -> None:
    for robot in ("hopper", "walker2d", "halfcheetah"):
        path = recorded(f"d4rl/{robot}_medium-v2.hdf5")
        behavior = from_d4rl(path)
        assert isinstance(behavior, policy.TanhGaussian)
        mean, std = behavior.distribution(columns(path)["observations"])
        actions, expected = (columns(path)[name].astype(np.float64) for name in ("actions", "infos/action_log_probs"))
        inside = np.abs(actions).max(1) < 0.99  # nearer the limits, float32 has lost what the tanh was taken of
        before = np.arctanh(np.where(inside[:, None], actions, 0))
        densities = -0.5 * np.square((before - mean) / std) - np.log(std * np.sqrt(2 * np.pi))
        ours = (densities - np.log(1 - np.square(actions) + 1e-6)).sum(1)  # 1e-6: rlkit's
        np.testing.assert_allclose(ours[inside], expected[inside], atol=1e-3)


def test_a_squashed_policy_is_stored_and_played_as_it_is_stored(tmp_path: Path) -> None:
    original = from_d4rl(recorded("d4rl/hopper_medium-v2.hdf5"))
    policy.save(tmp_path / "one.safetensors", original, {})
    stored = policy.load(tmp_path / "one.safetensors")
    policy.save(tmp_path / "two.safetensors", stored, {})
    again = policy.load(tmp_path / "two.safetensors")
    observations = columns(recorded("d4rl/hopper_medium-v2.hdf5"))["observations"][:50]
    chance = np.random.default_rng(0).standard_normal((50, 3))
    assert isinstance(stored, policy.TanhGaussian)
    np.testing.assert_array_equal(again.act(observations, chance), stored.act(observations, chance))
    np.testing.assert_allclose(
        stored.act(observations, chance), original.act(observations, chance), atol=0.01
    )  # half precision


def test_adroits_policy_has_the_recorded_means_and_deviations() -> None:
    path = recorded("d4rl/pen-expert-v1.hdf5")
    behavior, found = from_d4rl(path), columns(path)
    assert isinstance(behavior, policy.Gaussian)
    still = np.zeros_like(found["actions"], dtype=np.float64)
    expected = np.clip(found["infos/action_mean"], -1, 1)
    np.testing.assert_allclose(behavior.act(found["observations"], still), expected, atol=1e-6)
    np.testing.assert_allclose(behavior.log_std, found["infos/action_log_std"][7])
    drawn = (found["actions"] - found["infos/action_mean"]) / np.exp(behavior.log_std)
    inside = np.abs(found["actions"]) < 1  # the others were clipped, and show less
    assert 0.8 < drawn[inside].std() < 1.05


def test_adroits_expert_plays_again_about_as_well_as_it_did(tmp_path: Path) -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    source, path = recorded("d4rl/pen-expert-v1.hdf5"), tmp_path / "pen.hdf5"
    reroll(source, path, "pen", steps=800, seed=0)
    data = own_files.read(path, environment("pen").spec(), "pen-expert", "reroll")
    assert data.returns[:-1].mean() > 1500  # the file's two episodes: see its own returns; random play earns about 96
    assert {"infos/qpos", "infos/qvel"} <= set(columns(path))


def test_a_rerolled_file_reads_like_d4rls_and_carries_its_policy(tmp_path: Path) -> None:
    source, path = recorded("d4rl/hopper_medium-v2.hdf5"), tmp_path / "reroll.hdf5"
    reroll(source, path, "hopper", steps=1500, seed=1)
    original, ours = columns(source), columns(path)
    assert set(original) - set(ours) == {"infos/action_log_probs"}
    for name in ("observations", "next_observations", "actions", "rewards", "terminals", "timeouts"):
        assert ours[name].dtype == original[name].dtype
        assert ours[name].shape == (1500, *original[name].shape[1:])
    assert d4rl.policy_digest(path) == d4rl.policy_digest(source)
    data = own_files.read(path, environment("hopper").spec(), "hopper-medium", "reroll")
    assert data.episodes > 1
    assert 100 < data.returns[:-1].mean() < 3600
    assert data.origin.details["metadata"]["physics"] == "d4rl"


def test_recorded_steps_follow_from_one_another(tmp_path: Path) -> None:
    path = tmp_path / "random.hdf5"
    collect.collect("hopper", "random", path, steps=300)
    file = columns(path)
    inside = ~(file["terminals"] | file["timeouts"])[:-1]
    np.testing.assert_array_equal(file["next_observations"][:-1][inside], file["observations"][1:][inside])
    np.testing.assert_array_equal(file["observations"][:, :5], file["infos/qpos"][:, 1:])
    assert file["terminals"].any()
    assert np.abs(file["actions"]).max() <= 1


@pytest.mark.parametrize("quality", ["random", "medium", "medium-replay", "expert"])
def test_the_same_seed_gives_the_same_file_however_many_copies_play(
    quality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for name, seed, copies in (("a", 0, 32), ("b", 0, 32), ("c", 0, 3), ("d", 1, 32)):
        monkeypatch.setattr(collect, "COPIES", copies)
        collect.collect("hopper", quality, tmp_path / name, steps=700, seed=seed)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] == files[2] != files[3]


def test_a_file_ends_unfinished_and_its_parts_end_by_time_out(tmp_path: Path) -> None:
    path = tmp_path / "toy.hdf5"
    collect.collect("toy", "medium", path, steps=110)
    ends = np.flatnonzero(columns(path)["timeouts"])
    assert ends.tolist() == [19, 39, 54, 74, 94]  # 55 steps of each behavior, in episodes of 20
    data = own_files.read(path, environment("toy").spec(), "toy-medium", "collected")
    assert data.lengths.tolist() == [20, 20, 15, 20, 20, 15]


def test_the_toys_behavior_policies_differ_in_their_returns(tmp_path: Path) -> None:
    path = tmp_path / "toy.hdf5"
    collect.collect("toy", "medium", path)
    data = own_files.read(path, environment("toy").spec(), "toy-medium", "collected")
    assert len(data) == 20_000
    slow, fast = data.returns[: data.episodes // 2], data.returns[data.episodes // 2 :]
    assert slow.mean() == pytest.approx(6, abs=0.2)
    assert fast.mean() == pytest.approx(18, abs=0.3)
    assert not np.array_equal(data.observations[0], data.observations[20])  # each episode has its own start


def test_whole_episodes_are_played_once_each_in_the_order_of_their_numbers() -> None:
    few = play("hopper", policy.Uniform(3), 3, seed=4)
    many = play("hopper", policy.Uniform(3), 40, seed=4)
    np.testing.assert_array_equal(few[0], many[0][:3])
    assert len(many[0]) == len(many[1]) == 40


def test_no_more_is_played_than_the_file_needs() -> None:
    copies = collect.make("toy", 8)
    episodes = list(rollout.rolled(copies, policy.Uniform(1), (0,), steps=200))  # type: ignore[arg-type]
    assert 200 <= sum(len(episode["rewards"]) for episode in episodes) <= 200 + 8 * copies.spec.max_episode_steps


def test_an_interrupted_recording_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(collect, "_append", interrupt)
    with pytest.raises(KeyboardInterrupt):
        collect.collect("toy", "expert", tmp_path / "toy.hdf5", steps=100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("robot", "source", "sentence"),
    [
        ("walker2d", "hopper_medium-v2", "does not fit walker2d"),
        ("hopper", "hopper_medium", "does not carry its behaviou?r policy"),
        ("hopper", "missing", "There is no file"),
    ],
)
def test_a_file_without_the_right_policy_is_refused(robot: str, source: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "missing.hdf5" if source == "missing" else recorded(f"d4rl/{source}.hdf5")
    with pytest.raises(DatasetError, match=sentence):
        reroll(path, tmp_path / "reroll.hdf5", robot, steps=10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 10, "seed": -1}, {"steps": 10, "physics": "newton"}])
def test_impossible_recordings_are_refused_in_a_sentence(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        collect.collect("hopper", "random", tmp_path / "file.hdf5", **wrong)
    assert not list(tmp_path.iterdir())


def test_only_what_has_policies_is_available() -> None:
    assert available("toy", "medium")
    assert available("ant", "random")
    assert not available("ant", "medium-replay")
    with pytest.raises(UserError, match=r"No behaviou?r policy of ours"):
        policies_digest("ant", "medium-replay")


def test_a_damaged_policy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "medium.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="restore it from the repository"):
        policy.load(path)
