"""Windows are what a naive loop would cut, for learning and for acting alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import SPEC, STACKED, made_up
from trajectories.batch import Batch
from trajectories.types import Spec, Trajectories
from trajectories.windows import History, cut, sample_windows

COLUMNS = ("observations", "actions", "rewards", "returns_to_go", "timesteps", "mask")
LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=8)


def naive(data: Trajectories, last: int, length: int) -> dict[str, np.ndarray]:
    """One window that ends at step `last`, by a loop over its steps."""
    episode = max(e for e in range(data.episodes) if data.starts[e] <= last)
    window: dict[str, np.ndarray] = {
        "observations": np.zeros((length, *data.spec.observation_shape), np.float32),
        "actions": np.zeros((length, *data.spec.action_shape), np.float32),
        "rewards": np.zeros(length, np.float32),
        "returns_to_go": np.zeros(length, np.float32),
        "timesteps": np.zeros(length, np.int64),
        "mask": np.zeros(length, bool),
    }
    for place in range(length):
        row = last - (length - 1 - place)
        if row >= data.starts[episode]:
            window["observations"][place] = observations(data, row, episode)
            window["actions"][place] = data.actions[row]
            window["rewards"][place] = data.rewards[row]
            window["returns_to_go"][place] = data.rewards[row : data.starts[episode + 1]].sum(dtype=np.float64)
            window["timesteps"][place] = row - data.starts[episode]
            window["mask"][place] = True
    return window


def observations(data: Trajectories, row: int, episode: int) -> np.ndarray:
    """What an environment shows at a row: its observation, or its last frames, blank before the episode."""
    if data.spec.frame_stack == 1:
        return data.observations[row]
    blank = np.zeros(data.spec.frame_shape, np.float32)
    rows = range(row - data.spec.frame_stack + 1, row + 1)
    return np.stack([data.observations[r] if r >= data.starts[episode] else blank for r in rows])


def every_window(data: Trajectories, length: int) -> Batch:
    last = np.arange(len(data))
    return cut(data, data.starts[data.episode_of(last)], last, length)


def assert_is(batch: Batch, index: int, expected: dict[str, np.ndarray]) -> None:
    for name in COLUMNS:
        found = getattr(batch, name)[index].numpy()
        assert found.dtype == expected[name].dtype
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@given(lengths=LENGTHS, length=st.integers(1, 15), spec=st.sampled_from([SPEC, STACKED]))
@settings(max_examples=100)
def test_windows_equal_a_naive_recomputation(lengths: list[int], length: int, spec: Spec) -> None:
    data = made_up(lengths, spec)
    batch = every_window(data, length)
    for last in range(len(data)):
        assert_is(batch, last, naive(data, last, length))


@given(lengths=LENGTHS, length=st.integers(1, 15), seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_no_window_crosses_an_episode(lengths: list[int], length: int, seed: int) -> None:
    data = made_up(lengths)
    batch = sample_windows(data, np.random.default_rng(seed), 16, length)
    rows = batch.observations[..., 0].numpy().astype(int) - 1  # see made_up
    mask = batch.mask.numpy()
    for window, real in zip(rows, mask, strict=True):
        assert real[-1]
        assert len(set(data.episode_of(window[real]))) == 1
        assert np.array_equal(window[real], np.arange(window[-1] - real.sum() + 1, window[-1] + 1))
        assert real.sum() == min(length, window[-1] - data.starts[data.episode_of(window[-1:])[0]] + 1)


def test_timesteps_and_returns_to_go_are_right_at_every_start_and_end() -> None:
    data = made_up([5, 1, 9])
    batch = every_window(data, 4)
    for start, end in zip(data.starts[:-1], data.starts[1:], strict=True):
        assert batch.timesteps[start, -1] == 0
        assert batch.mask[start].tolist() == [False, False, False, True]
        assert batch.returns_to_go[start, -1] == pytest.approx(data.rewards[start:end].sum(), abs=1e-5)
        assert batch.timesteps[end - 1, -1] == end - start - 1
        assert batch.returns_to_go[end - 1, -1] == pytest.approx(data.rewards[end - 1], abs=1e-5)


@pytest.mark.parametrize("spec", [SPEC, STACKED])
def test_padding_is_zero_throughout(spec: Spec) -> None:
    batch = every_window(made_up([2, 7, 3], spec), 6)
    assert not batch.mask.all()
    for name in COLUMNS:
        assert not getattr(batch, name)[~batch.mask].any()


def test_steps_are_drawn_uniformly_hence_episodes_by_their_length() -> None:
    data = made_up([1, 9, 40])
    batch = sample_windows(data, np.random.default_rng(0), 20_000, 1)
    counts = np.bincount(batch.observations[:, -1, 0].numpy().astype(int) - 1, minlength=len(data))
    assert counts.min() > 0.75 * 20_000 / len(data)
    assert counts.max() < 1.25 * 20_000 / len(data)


def test_only_the_generator_decides_a_sample() -> None:
    data = made_up([8, 30])
    first, again, other = (sample_windows(data, np.random.default_rng(seed), 8, 5) for seed in (3, 3, 4))
    assert (first.observations == again.observations).all()
    assert not (first.observations == other.observations).all()


def test_strided_columns_give_the_same_windows() -> None:
    data = made_up([6, 8])
    wide = np.repeat(data.observations, 2, axis=1)
    strided = replace(data, observations=wide[:, ::2])
    assert not strided.observations.flags.c_contiguous
    assert (every_window(strided, 5).observations == every_window(data, 5).observations).all()


def test_cutting_leaves_the_data_as_they_were() -> None:
    data = made_up([3, 4])
    before = {name: getattr(data, name).copy() for name in ("observations", "actions", "rewards", "returns_to_go")}
    every_window(data, 6).observations.fill_(7)
    for name, values in before.items():
        assert np.array_equal(getattr(data, name), values)


def test_frames_are_stored_once_and_stacked_without_a_copy() -> None:
    data = made_up([5, 9], STACKED)
    assert data.observations.shape == (14, 3)
    batch = sample_windows(data, np.random.default_rng(0), 8, 6)
    assert batch.observations.shape == (8, 6, 4, 3)
    assert batch.observations.untyped_storage().nbytes() == 8 * (6 + 3) * 3 * 4


def test_a_stack_never_shows_another_episode_s_frames_but_blank_ones() -> None:
    data = made_up([3, 5, 1, 4], STACKED)
    batch = every_window(data, 3)
    for episode, start in enumerate(data.starts[:-1].tolist()):
        rows = batch.observations[start, -1, :, 0].tolist()  # see made_up
        assert rows == [0, 0, 0, start + 1], episode
    assert batch.observations[7, -1, :, 0].tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("context", [1, 5])
@pytest.mark.parametrize("spec", [SPEC, STACKED])
@pytest.mark.parametrize("bounded", [True, False])
def test_acting_windows_equal_recorded_windows(context: int, spec: Spec, bounded: bool) -> None:
    """Playing a recording again gives, at every step, the recording's own window, less what is not known yet."""
    lengths = [7, 49, 1]
    data = made_up(lengths, spec)
    for episode, (start, end) in enumerate(zip(data.starts[:-1], data.starts[1:], strict=True)):
        target = float(data.rewards[start:end].sum(dtype=np.float64))
        history = History(spec, episodes=1, target_return=target, longest=context if bounded else None)
        live = np.ones(1, bool)
        for row in range(start, end):
            earned = data.rewards[row - 1 : row] if row > start else np.zeros(1, np.float32)
            history.observe(observations(data, row, episode)[None], earned, live)
            acting, recorded = history.window(context, live), naive(data, row, context)
            recorded["actions"][-1] = 0  # not chosen yet
            recorded["rewards"][-1] = 0  # not earned yet
            assert_is(acting, 0, recorded)
            history.record(data.actions[row : row + 1], live)
        assert history.steps == lengths[episode]


@pytest.mark.parametrize("spec", [SPEC, STACKED])
def test_a_history_s_memory_is_bounded_by_the_longest_window(spec: Spec) -> None:
    spec = replace(spec, max_episode_steps=1000)
    data = made_up([400, 400, 400], spec)
    whole, bounded = History(spec, 3, 20.0), History(spec, 3, 20.0, longest=6)
    assert len(bounded.rewards) <= 3 * 2 * (6 + spec.frame_stack)
    for step in range(400):
        rows, live = data.starts[:-1] + step, np.array([True, step < 250, step < 3])
        earned = data.rewards[rows - 1]
        shown = np.stack([observations(data, row, episode) for episode, row in enumerate(rows.tolist())])
        for history in (whole, bounded):
            history.observe(shown, earned, live)
        for name in COLUMNS:
            assert torch.equal(*(getattr(history.window(6, live), name) for history in (whole, bounded))), name
        for history in (whole, bounded):
            history.record(data.actions[rows[live]], live)
    with pytest.raises(ValueError, match="a window of 7 steps"):
        bounded.window(7, live)


def test_acting_windows_of_finished_episodes_are_left_out() -> None:
    history = History(SPEC, episodes=3, target_return=10.0)
    everyone, some = np.ones(3, bool), np.array([True, False, True])
    history.observe(np.ones((3, 3), np.float32), np.zeros(3), everyone)
    history.record(np.full((3, 2), 0.5, np.float32), everyone)
    history.observe(np.full((3, 3), 2, np.float32), np.array([1.0, 5.0, 3.0]), some)
    window = history.window(2, some)
    assert window.observations.shape == (2, 2, 3)
    assert window.returns_to_go.tolist() == [[10, 9], [10, 7]]
    assert window.actions[:, 0].tolist() == [[0.5, 0.5]] * 2


def test_best_keeps_the_episodes_of_highest_return_in_their_order() -> None:
    data = made_up([10, 10, 10, 10], seed=5)
    best = data.best(0.5)
    expected = np.sort(np.argsort(data.returns)[2:])
    assert best.episodes == 2
    np.testing.assert_allclose(best.returns, data.returns[expected])
    for index, episode in enumerate(expected):
        ours, theirs = slice(*best.starts[index : index + 2]), slice(*data.starts[episode : episode + 2])
        assert np.array_equal(best.observations[ours], data.observations[theirs])
    assert data.best(1.0).episodes == 4
    assert data.best(0.01).episodes == 1


def test_delayed_rewards_come_at_the_last_step_and_leave_every_return_as_it_was() -> None:
    data = made_up([4, 6])
    delayed = data.delayed()
    np.testing.assert_allclose(delayed.returns, data.returns, rtol=1e-5)
    assert np.flatnonzero(delayed.rewards).tolist() == [3, 9]
    np.testing.assert_allclose(delayed.returns_to_go[:4], data.returns[0], rtol=1e-5)


def test_a_spec_without_stacks_is_written_as_it_always_was() -> None:
    assert "frame_stack" not in SPEC.to_json()
    assert STACKED.to_json()["frame_stack"] == 4
    for spec in (SPEC, STACKED):
        assert Spec.from_json(spec.to_json()) == spec
