"""Data sets larger than memory: opened at once, read and sampled without staying resident. Their files are sparse."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from gato import prompts
from gato.config import Config
from sources.description import moments
from trajectories import store
from trajectories.types import Provenance, Spec, Trajectories
from trajectories.windows import sample_windows

STEPS = 2_000_000
SPEC = Spec("large", observation_shape=(30,), action_shape=(3,), max_episode_steps=1000)
MB = 1 << 20

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trajectories:
    """264 MB of zeros that take no room on the disk, of which every column counts as large."""
    monkeypatch.setattr(store, "LARGE", MB)
    widths = {"observations": (30,), "actions": (3,), "rewards": (), "terminated": (), "returns_to_go": ()}
    for name, shape in widths.items():
        dtype = bool if name == "terminated" else np.float32
        np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", dtype, (STEPS, *shape))
    starts = np.arange(0, STEPS + 1, SPEC.max_episode_steps)
    np.save(tmp_path / "starts.npy", starts)
    provenance = {"origin": asdict(Provenance("large", "file", "")), "spec": SPEC.to_json(), "steps": STEPS}
    provenance["unfinished"] = []
    (tmp_path / store.PROVENANCE).write_text(json.dumps({**provenance, "episodes": len(starts) - 1}))
    return store.load(tmp_path)


def resident() -> int:
    """Bytes of this process that are in memory now."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


def test_opening_reads_nothing(large: Trajectories) -> None:
    before = resident()
    assert len(large) == STEPS
    assert resident() - before < 5 * MB


def test_what_was_read_is_let_go_of(large: Trajectories) -> None:
    before = resident()
    assert float(large.observations.sum()) == 0
    assert resident() - before > 200 * MB
    store.drop_pages(large.observations)
    assert resident() - before < 20 * MB


def test_statistics_of_a_large_column_do_not_keep_it_in_memory(large: Trajectories) -> None:
    before = resident()
    mean, deviation = moments(large.observations)
    assert not mean.any()
    assert not deviation.any()
    assert resident() - before < 60 * MB


def windows(data: Trajectories, rng: np.random.Generator) -> None:
    sample_windows(data, rng, 64, 20)


def prompted(data: Trajectories, rng: np.random.Generator) -> None:
    prompts.sample(data, rng, 64, Config(context=20, prompt_share=1.0))


@pytest.mark.parametrize("sample", [windows, prompted])
def test_sampling_a_large_data_set_does_not_fill_the_memory(
    large: Trajectories, sample: Callable[[Trajectories, np.random.Generator], None]
) -> None:
    before, rng, most = resident(), np.random.default_rng(0), 0
    for _ in range(200):
        sample(large, rng)
        most = max(most, resident())
    assert most - before < 130 * MB


def test_small_columns_stay_where_they_are(large: Trajectories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LARGE", 1 << 30)
    assert float(large.rewards.sum()) == 0
    before = resident()
    store.drop_pages(large.rewards)
    assert abs(resident() - before) < MB
