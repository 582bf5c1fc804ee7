"""A training's policies: stored in one file, chosen, and played as its replay buffer was filled."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from environments.scores import normalized
from sources import collect
from sources.collect import available, policies_digest
from sources.experts import choose, recipes, snapshots
from sources.experts.policy import Gaussian, Layer, Noiseless, Policy, TanhGaussian, save
from tests.test_collect import columns
from trajectories.catalog import dataset
from trajectories.errors import UserError

ROBOTS = tuple(env for env in ("hopper", "walker2d", "halfcheetah", "ant") if snapshots.read(env))
BEST = {"hopper": 95, "walker2d": 95, "halfcheetah": 70, "ant": 95}  # the least that an expert scores
SETTINGS = {"learning_rate": 3e-4, "batch_size": 8, "gradient_steps": 1, "actor": 4, "critic": 8, "warmup": 40}


def some(seed: int, noise: float = 0.0) -> TanhGaussian:
    """A hopper's policy that was never trained."""
    rng = np.random.default_rng(seed)

    def layer(rows: int, columns: int) -> Layer:
        return Layer(rng.normal(size=(rows, columns)), rng.normal(size=columns))

    return TanhGaussian((layer(11, 4), layer(4, 4)), layer(4, 3), Layer(np.zeros((4, 3)), np.full(3, noise)))


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> snapshots.Snapshots:
    """A training of 500 steps that kept a snapshot every 100, and is medium after 300."""
    monkeypatch.setattr(snapshots, "FOLDER", tmp_path)
    card: dict[str, Any] = {"settings": [{"from": 0, **SETTINGS}], "medium": {"steps": 300}, "expert": {"steps": 500}}
    snapshots.write("hopper", [(steps, some(steps)) for steps in range(0, 501, 100)], card)
    found = snapshots.read("hopper")
    assert found is not None
    return found


def test_snapshots_are_played_as_they_were_stored(trained: snapshots.Snapshots) -> None:
    observed, chance = np.random.default_rng(0).normal(size=(2, 7, 11))
    first, again = some(200), trained.policy(200)
    np.testing.assert_allclose(again.act(observed, chance[:, :3]), first.act(observed, chance[:, :3]), atol=0.02)
    assert len({trained.identity(steps) for steps in trained.steps}) == 6


def test_a_replay_buffer_holds_what_each_snapshot_played_until_the_next(trained: snapshots.Snapshots) -> None:
    assert trained.intervals(300) == [(0, 100), (100, 100), (200, 100)]
    assert trained.intervals(500, most=250) == [(200, 50), (300, 100), (400, 100)]
    parts = recipes.parts("hopper", "medium-replay")
    assert [(part.name, part.steps) for part in parts] == [
        ("random", 40),
        ("after 0", 60),
        ("after 100", 100),
        ("after 200", 100),
    ]
    assert len(recipes.parts("hopper", "full-replay")) == 6


def test_replay_data_are_whole_episodes_of_the_snapshots_in_their_order(
    trained: snapshots.Snapshots, tmp_path: Path
) -> None:
    collect.collect("hopper", "medium-replay", tmp_path / "file", steps=900)
    file = columns(tmp_path / "file")
    assert len(file["rewards"]) == 900
    assert not file["timeouts"].any()  # nothing is cut: hoppers that were never trained fall soon
    ends = np.flatnonzero(file["terminals"]) + 1
    stops = [int(min([*ends[ends >= steps], 900])) for steps in (120, 300, 600, 900)]  # the first are uniform actions
    for taken, begin, stop in zip((0, 100, 200), stops, stops[1:], strict=False):
        assert [_likely(trained.policy(one), file, begin, stop) for one in (0, 100, 200)].index(True) == taken // 100


def _likely(policy: TanhGaussian, file: dict[str, np.ndarray], begin: int, stop: int) -> bool:
    """Whether these steps' actions are the policy's: noise of mean 0 and deviation 1, as far as float32 can show."""
    mean, std = policy.distribution(file["observations"][begin:stop])
    actions = file["actions"][begin:stop].astype(np.float64)
    inside = np.abs(actions) < 0.999
    noise = ((np.arctanh(np.where(inside, actions, 0)) - mean) / std)[inside]
    return bool(np.abs(noise).max() < 5)


def test_half_and_half_is_cut_where_the_halves_meet(trained: snapshots.Snapshots, tmp_path: Path) -> None:
    collect.collect("hopper", "medium-expert", tmp_path / "file", steps=301)
    file = columns(tmp_path / "file")
    assert file["timeouts"].sum() <= 1
    assert file["timeouts"][149] or file["terminals"][149]


def test_an_expert_of_another_training_records_the_other_half(
    trained: snapshots.Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "hopper").mkdir()
    other = some(99)
    save(tmp_path / "hopper" / "expert.safetensors", other, {"steps": 7})
    trained.card["expert"] = {"steps": 7, "file": "hopper/expert.safetensors"}
    (tmp_path / "hopper.json").write_text(json.dumps(trained.card))
    medium, expert = recipes.parts("hopper", "medium-expert")
    assert (medium.name, expert.name) == ("medium", "expert")
    played = expert.policy()
    assert isinstance(played, TanhGaussian)
    np.testing.assert_allclose(played.mean.weight, other.mean.weight, rtol=1e-2)
    assert not available("hopper", "full-replay")


def test_other_snapshots_or_other_intervals_are_other_data(
    trained: snapshots.Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    qualities = ("medium", "expert", "medium-expert", "medium-replay", "full-replay")
    digests = {quality: policies_digest("hopper", quality) for quality in qualities}
    assert len(set(digests.values())) == 5
    later = [(max(0, steps - 1), some(steps)) for steps in range(0, 501, 100)]
    snapshots.write("hopper", later, {**trained.card, "medium": {"steps": 299}, "expert": {"steps": 499}})
    assert policies_digest("hopper", "medium") == digests["medium"]
    assert policies_digest("hopper", "medium-replay") != digests["medium-replay"]


def test_damaged_snapshots_are_refused_in_a_sentence(trained: snapshots.Snapshots) -> None:
    snapshots.files("hopper")[0].write_bytes(b"nothing")
    with pytest.raises(UserError, match="restore them from the repository"):
        snapshots.read("hopper")


def checkpoints(folder: Path, returns: dict[int, float], policy: Callable[[int], Policy] = some) -> Path:
    """What train.py leaves behind."""
    folder.mkdir()
    with (folder / "curve.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("steps", "return_mean"), *returns.items()])
    for steps in returns:
        settings = {**SETTINGS, "gradient_steps": 1 if steps <= 400_000 else 4}
        card = {"environment": "hopper", "algorithm": "SAC", "steps": steps, "seed": 3, "physics": "d4rl"}
        card |= {"settings": settings}
        save(folder / f"{steps:08d}.safetensors", policy(steps), card)
    return folder


def test_medium_earns_as_d4rls_with_noise_and_without_near_where_d4rls_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = {
        0: 20.0,
        200_000: 1400.0,
        300_000: 1500.0,
        400_000: 1450.0,
        410_000: 1300.0,
        800_000: 3300.0,
        900_000: 99.0,
    }
    without_noise = {200_000: 1400, 300_000: 1500, 400_000: 2500}  # one that is good only where it is exact

    def earned(env: str, file: Path, seed: int, of: Any) -> np.ndarray:
        steps = int(file.stem)
        noiseless = of is Noiseless
        mean = without_noise.get(steps, 10) if noiseless else {410_000: 1000}.get(steps, curve[steps])
        return np.full((2, 100), float(mean))

    monkeypatch.setattr(choose, "earned", earned)
    monkeypatch.setattr(snapshots, "FOLDER", tmp_path)
    choose.main(choose.Config(checkpoints(tmp_path / "training", curve), "hopper"))
    found = snapshots.read("hopper")
    assert found is not None
    assert found.steps == (0, 200_000, 300_000, 400_000, 410_000, 800_000)
    assert (found.card["medium"]["steps"], found.card["expert"]["steps"]) == (300_000, 800_000)
    assert found.card["medium"]["without_noise_mean"] == 1500
    assert [(stage["from"], stage["gradient_steps"]) for stage in found.card["settings"]] == [(0, 1), (400_000, 4)]
    assert json.loads(snapshots.files("hopper")[1].read_text()) == found.card


def test_policies_that_normalize_what_they_observe_are_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy(seed: int) -> Gaussian:
        unlike = some(seed)
        return Gaussian(np.zeros(11), np.ones(11), unlike.hidden, unlike.mean, np.full(3, -2.0))

    monkeypatch.setattr(choose, "earned", lambda env, file, seed, of: np.full((2, 100), 1400.0))
    monkeypatch.setattr(snapshots, "FOLDER", tmp_path)
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    folder = checkpoints(tmp_path / "training", {0: 20.0, 5000: 1400.0, 9000: 1500.0}, policy)
    choose.main(choose.Config(folder, "hopper", medium=5000, expert=9000, noise=0.5))
    assert available("hopper", "medium")
    assert available("hopper", "medium-expert")
    assert not available("hopper", "medium-replay")
    found = snapshots.read("hopper")
    assert found is not None
    assert (found.card["medium"]["steps"], found.card["medium"]["file"]) == (5000, "hopper/medium.safetensors")
    assert (found.steps, found.card["snapshots"]) == ((), [])
    (part,) = recipes.parts("hopper", "medium")
    noise, observed = np.ones((1, 3)), np.ones((1, 11))
    half = replace(policy(5000), log_std=np.full(3, -2.0 + np.log(0.5)))
    np.testing.assert_allclose(part.policy().act(observed, noise), half.act(observed, noise), atol=2e-3)


def test_only_a_policy_with_one_deviation_is_given_less_noise(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path / "training", {0: 20.0, 5000: 1400.0})
    with pytest.raises(UserError, match="leave it out for SAC's"):
        choose.main(choose.Config(folder, "hopper", medium=5000, expert=5000, noise=0.5))


def test_a_training_that_never_was_medium_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path / "training", {0: 20.0, 5000: 300.0})
    with pytest.raises(UserError, match="earns about 1422, with noise and without: train on"):
        choose.main(choose.Config(folder, "hopper"))


def test_a_snapshot_is_kept_every_so_often_and_after_medium_more_rarely() -> None:
    kept = choose.kept(list(range(0, 1_000_001, 1000)), medium=52_000, expert=900_000)
    assert kept[:12] == [*range(0, 52_000, 5000), 52_000]
    assert len(kept) == 12 + choose.LATER
    assert kept[-1] == 900_000


def test_without_noise_a_policy_does_its_mean_action() -> None:
    loud, observed = some(0, noise=1.0), np.ones((5, 11))
    mean, _ = loud.distribution(observed)
    quiet = Noiseless(loud)
    np.testing.assert_array_equal(
        quiet.act(observed, quiet.draw(np.random.default_rng(0), 5)), np.tanh(mean).astype(np.float32)
    )


# ---- ours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_robot_can_be_collected_in_every_quality_that_its_training_had(robot: str) -> None:
    card = card_of(robot)
    replayed = [quality for quality, level in recipes.REPLAY.items() if "file" not in card[level]]
    qualities = ["random", "medium", "medium-expert", "expert", *replayed]
    assert all(available(robot, quality) for quality in qualities)
    assert len({policies_digest(robot, quality) for quality in qualities}) == len(qualities)
    assert all(len(recipes.parts(robot, quality)) > 40 for quality in replayed)
    assert all(not available(robot, quality) for quality in recipes.REPLAY if quality not in replayed)


@pytest.mark.parametrize("robot", ROBOTS)
def test_medium_earns_as_d4rls_with_noise_and_without_and_expert_is_better(robot: str) -> None:
    card, theirs = card_of(robot), dataset(f"{robot}-medium").mean_return
    assert card["medium"]["return_mean"] == pytest.approx(theirs, rel=0.1)
    assert card["medium"]["without_noise_mean"] == pytest.approx(theirs, rel=0.2)
    assert card["expert"]["score"] >= BEST[robot]
    for one in (card["medium"], card["expert"]):
        assert one["score"] == pytest.approx(float(normalized(robot, np.array(one["return_mean"]))), abs=0.05)


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("level", ["medium", "expert"])
def test_a_chosen_snapshot_earns_what_its_card_says(robot: str, level: str) -> None:
    card = card_of(robot)[level]
    (part,) = recipes.parts(robot, level)
    returns, _ = collect.play(robot, part.policy(), 12, seed=7)
    middle = np.median(returns)  # one of a hundred episodes of the expert falls
    assert abs(middle - card["return_mean"]) < 4 * card["return_std"] / np.sqrt(len(returns)) + 1


def test_all_policies_together_are_small() -> None:
    assert sum(path.stat().st_size for path in snapshots.FOLDER.rglob("*.safetensors")) < 4e6


def card_of(robot: str) -> dict[str, Any]:
    trained = snapshots.read(robot)
    assert trained is not None
    return trained.card
