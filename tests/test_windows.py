"""Windows are what a naive loop would cut, for learning and for acting alike."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import SPEC, made_up
from trajectories.types import Batch, Trajectories
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
            window["observations"][place] = data.observations[row]
            window["actions"][place] = data.actions[row]
            window["rewards"][place] = data.rewards[row]
            window["returns_to_go"][place] = data.rewards[row : data.starts[episode + 1]].sum(dtype=np.float64)
            window["timesteps"][place] = row - data.starts[episode]
            window["mask"][place] = True
    return window


def every_window(data: Trajectories, length: int) -> Batch:
    last = np.arange(len(data))
    return cut(data, data.starts[data.episode_of(last)], last, length)


def assert_is(batch: Batch, index: int, expected: dict[str, np.ndarray]) -> None:
    for name in COLUMNS:
        found = getattr(batch, name)[index].numpy()
        assert found.dtype == expected[name].dtype
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@given(lengths=LENGTHS, length=st.integers(1, 15))
@settings(deadline=None, max_examples=60)
def test_windows_equal_a_naive_recomputation(lengths: list[int], length: int) -> None:
    data = made_up(lengths)
    batch = every_window(data, length)
    for last in range(len(data)):
        assert_is(batch, last, naive(data, last, length))


@given(lengths=LENGTHS, length=st.integers(1, 15), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
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


def test_padding_is_zero_throughout() -> None:
    batch = every_window(made_up([2, 7, 3]), 6)
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


def test_acting_windows_equal_recorded_windows() -> None:
    """Playing a recording again gives, at every step, the recording's own window, less what is not known yet."""
    lengths, context = [7, 12, 1], 5
    data = made_up(lengths)
    for episode, (start, end) in enumerate(zip(data.starts[:-1], data.starts[1:], strict=True)):
        target = float(data.rewards[start:end].sum(dtype=np.float64))
        history = History(SPEC, episodes=1, target_return=target)
        live = np.ones(1, bool)
        for row in range(start, end):
            earned = data.rewards[row - 1 : row] if row > start else np.zeros(1, np.float32)
            history.observe(data.observations[row : row + 1], earned, live)
            acting, recorded = history.window(context, live), naive(data, row, context)
            recorded["actions"][-1] = 0  # not chosen yet
            recorded["rewards"][-1] = 0  # not earned yet
            assert_is(acting, 0, recorded)
            history.record(data.actions[row : row + 1], live)
        assert history.steps == lengths[episode]


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
