"""The planner that is used against the one that defines it, and the player around it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toys import walk
from trajectory_transformer import planner, reference_planner
from trajectory_transformer.config import Config
from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.kv_cache import KVCache, prefix_tree
from trajectory_transformer.model import TrajectoryTransformer
from trajectory_transformer.network import Network
from trajectory_transformer.search import Plan, SamplingFilter, Search, sample_tokens, top_beams

CHOICES = st.builds(SamplingFilter, top=st.sampled_from([0, 1, 3]), cdf=st.sampled_from([0.0, 0.4, 0.6]))


def scattered(search: Search, bins: int, size: tuple[int, int, int], seed: int) -> tuple[Network, Discretizer]:
    """A network whose outputs differ much, and bins of any width."""
    torch.manual_seed(seed)
    width, layers, heads = size
    network = Network(search.past + 1, search.tokens, bins, width, layers, heads, 0.0).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn_like(weights) * 0.1)
        network.heads.mul_(3)
    discretizer = Discretizer(search.tokens, bins)
    discretizer.edges.copy_(torch.randn(search.tokens, bins + 1).sort(-1).values)
    return network, discretizer


def questions(search: Search, bins: int, episodes: int, transitions: int) -> tuple[torch.Tensor, torch.Tensor]:
    contexts = torch.randint(0, bins, (episodes, transitions * search.tokens + search.observation_size))
    draws = torch.rand(episodes, search.horizon, search.tokens, search.candidates, dtype=torch.float64)
    return contexts, draws


@settings(max_examples=60, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    transitions=st.integers(0, 5),
    past=st.integers(1, 4),
    horizon=st.integers(1, 6),
    beams=st.tuples(st.integers(1, 6), st.integers(1, 3)),
    choices=st.tuples(CHOICES, CHOICES),
    percentile=st.sampled_from([0.0, 0.7]),
)
def test_the_fast_planner_plans_what_the_reference_plans(
    seed: int,
    sizes: tuple[int, int],
    transitions: int,
    past: int,
    horizon: int,
    beams: tuple[int, int],
    choices: tuple[SamplingFilter, SamplingFilter],
    percentile: float,
) -> None:
    search = Search(*sizes, horizon, *beams, past, 0.99, *choices, percentile)
    network, discretizer = scattered(search, 9, (8, 2, 2), seed)
    network.double()
    contexts, draws = questions(search, 9, 2, transitions)
    fast = planner.plan(network, discretizer, search, contexts, draws)
    for episode in range(2):
        plain = reference_planner.plan(network, discretizer, search, contexts[episode], draws[episode])
        assert torch.equal(fast.tokens[episode], plain.tokens[0])
        torch.testing.assert_close(fast.values[episode], plain.values[0], rtol=0, atol=1e-6)


def test_the_fast_planner_agrees_in_single_precision_at_the_papers_network() -> None:
    search = Search(11, 3, 7, 8, 2, 4, 0.99, SamplingFilter(top=1), SamplingFilter(cdf=0.6))
    network, discretizer = scattered(search, 100, (128, 4, 4), seed=0)
    contexts, draws = questions(search, 100, 1, 4)
    fast = planner.plan(network, discretizer, search, contexts, draws)
    plain = reference_planner.plan(network, discretizer, search, contexts[0], draws[0])
    assert torch.equal(fast.tokens, plain.tokens)
    torch.testing.assert_close(fast.values, plain.values, rtol=0, atol=1e-4)
    assert fast.forward_passes == plain.forward_passes
    assert fast.tokens_read < plain.tokens_read / 10


def test_no_token_is_read_twice_while_the_window_holds_the_whole_plan() -> None:
    search = Search(11, 3, 5, 8, 2, 9, 0.99, SamplingFilter(top=1), SamplingFilter(cdf=0.6))
    network, discretizer = scattered(search, 100, (128, 4, 4), seed=0)
    contexts, draws = questions(search, 100, 1, 5)
    fast = planner.plan(network, discretizer, search, contexts, draws)
    plain = reference_planner.plan(network, discretizer, search, contexts[0], draws[0])
    assert torch.equal(fast.tokens, plain.tokens)
    torch.testing.assert_close(fast.values, plain.values, rtol=0, atol=1e-4)
    context = 5 * 15 + 11  # past values are not read
    assert fast.tokens_read == context + 5 * 16 * (3 + 1) + 4 * 8 * (1 + 11)  # 16 candidates act, 8 beams go on


@pytest.mark.parametrize(("transitions", "past", "horizon"), [(0, 3, 5), (2, 2, 5), (5, 2, 4), (3, 9, 4)])
def test_plans_in_static_shapes_are_the_plans(
    transitions: int, past: int, horizon: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(3, 2, horizon, 6, 2, past, 0.99, SamplingFilter(top=4), SamplingFilter())  # beams that differ
    network, discretizer = scattered(search, 9, (8, 2, 2), seed=3)
    network.double()
    contexts, draws = questions(search, 9, 3, transitions)
    plain = planner.plan(network, discretizer, search, contexts, draws)

    class Static(KVCache):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.static = True

    monkeypatch.setattr(planner, "KVCache", Static)
    static = planner.plan(network, discretizer, search, contexts, draws)
    assert torch.equal(static.tokens, plain.tokens)
    torch.testing.assert_close(static.values, plain.values)
    assert static.tokens_read >= plain.tokens_read


def test_episodes_planned_together_are_planned_as_if_alone() -> None:
    search = Search(3, 2, 5, 6, 2, 2, 0.99, SamplingFilter(top=4), SamplingFilter())  # beams that differ
    network, discretizer = scattered(search, 9, (8, 2, 2), seed=3)
    network.double()
    contexts, draws = questions(search, 9, 4, 3)
    together = planner.plan(network, discretizer, search, contexts, draws).tokens
    for episode in range(4):
        alone = planner.plan(network, discretizer, search, contexts[[episode]], draws[[episode]]).tokens
        assert torch.equal(alone[0], together[episode])


def test_a_plan_whose_time_is_up_is_the_best_so_far() -> None:
    search = Search(3, 2, 5, 6, 2, 2, 0.99, SamplingFilter(top=1), SamplingFilter(cdf=0.6))
    network, discretizer = scattered(search, 9, (8, 2, 2), seed=1)
    contexts, draws = questions(search, 9, 2, 3)
    hurried = planner.plan(network, discretizer, search, contexts, draws, seconds=1e-9)
    short = planner.plan(network, discretizer, replace(search, horizon=1), contexts, draws)
    assert hurried.tokens.shape == (2, 1, 7)
    assert torch.equal(hurried.tokens, short.tokens)


def test_a_family_holds_every_distinct_past_once_and_each_window_can_be_read_back() -> None:
    windows = torch.tensor([[1, 2, 3, 1, 1, 1], [1, 2, 3, 2, 2, 2], [1, 2, 3, 1, 1, 1], [1, 2, 4, 1, 1, 1]])
    levels, leaves = prefix_tree(windows, 3)
    assert [level.tokens.shape for level in levels] == [(2, 2), (3, 3)]  # the last value is read, past ones are not
    for window, leaf in zip(windows, leaves, strict=True):
        assert torch.equal(levels[1].tokens[leaf], window[3:])
        assert torch.equal(levels[0].tokens[levels[1].parents[leaf]], window[:2])


def test_a_draw_picks_the_token_whose_share_it_falls_into() -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log().expand(4, -1)
    draws = torch.tensor([0.05, 0.25, 0.55, 0.99], dtype=torch.float64)
    assert sample_tokens(logits, SamplingFilter(), draws).tolist() == [0, 1, 2, 3]
    # 0.1 and 0.2 go (0.3 < 0.6, with 0.3 it would be 0.6 or so): 0.3 and 0.4 share the rest
    assert sample_tokens(logits, SamplingFilter(cdf=0.5), draws).tolist() == [2, 2, 3, 3]
    assert sample_tokens(logits, SamplingFilter(top=1), draws).tolist() == [3, 3, 3, 3]
    assert sample_tokens(logits, SamplingFilter(top=2), draws).tolist() == [2, 2, 3, 3]


def test_if_the_filter_leaves_no_token_all_are_equally_likely() -> None:
    draws = torch.tensor([0.1, 0.3, 0.6, 0.9], dtype=torch.float64)
    assert sample_tokens(torch.zeros(4, 4), SamplingFilter(cdf=0.1), draws).tolist() == [0, 1, 2, 3]


def test_the_best_candidates_live_in_an_order_that_values_do_not_decide() -> None:
    sequences = torch.tensor([[[1, 2], [3, 4], [5, 6], [7, 8]]])
    one = top_beams(torch.tensor([[4.0, 3.0, 2.0, 1.0]]), sequences, 3)
    other = top_beams(torch.tensor([[2.0, 3.0, 4.0, 1.0]]), sequences, 3)
    assert sorted(one[0].tolist()) == [0, 1, 2]
    assert torch.equal(one, other)


SMALL = Config(context=4, width=16, layers=2, heads=2, bins=7, horizon=3, beam_width=4, planning_context=3)


def played(steps: int = 5, **changes: object) -> tuple[np.ndarray, list[np.ndarray]]:
    """Actions (steps, E, A) of a small model on made-up observations, and the plans made."""
    torch.manual_seed(0)
    data = walk((12, 7))
    model = TrajectoryTransformer(replace(SMALL, **changes), data.spec)  # type: ignore[arg-type]
    model.calibrate(data)
    player = model.player(3, 0.0, seed=5)
    rng = np.random.default_rng(1)
    actions, plans = [], []
    for _ in range(steps):
        observations = rng.normal(3, 2, (3, 3)).astype(np.float32)
        actions.append(player.act(observations, rng.normal(size=3), np.ones(3, bool)))
        plans.append(model.discretizer.decode(player.plan).numpy())
    return np.stack(actions), plans


def test_nothing_is_planned_after_the_stop_token() -> None:
    data = walk((12, 7))
    model = TrajectoryTransformer(SMALL, data.spec)
    model.calibrate(data)
    player = model.player(1, 0.0)
    player.act(data.observations[:1], np.zeros(1), np.ones(1, bool))
    player.plan = torch.tensor([0, SMALL.bins, SMALL.bins])[None, :, None].expand(1, 3, 7)
    assert np.isfinite(player.planned()).all(-1).tolist() == [[True, False, False]]


def test_plans_do_not_depend_on_how_many_fit_into_memory() -> None:
    np.testing.assert_array_equal(played(plan_memory=1.0)[0], played(plan_memory=1e-9)[0])


def test_a_plan_is_played_for_as_many_steps_as_set() -> None:
    actions, plans = played(plan_every=3, steps=4)
    assert plans[0].shape == (3, 3, 7)
    for step in range(3):
        np.testing.assert_array_equal(plans[step], plans[0])
        np.testing.assert_allclose(actions[step], plans[0][:, step, 3:5])
    assert not np.array_equal(plans[3], plans[0])


def test_under_a_time_limit_the_player_still_acts() -> None:
    actions, plans = played(plan_seconds=1e-6)
    assert np.isfinite(actions).all()
    assert plans[0].shape == (3, 1, 7)


def test_the_player_shows_the_planner_what_was_recorded_of_the_last_transitions() -> None:
    torch.manual_seed(0)
    data = walk((12, 12))
    model = TrajectoryTransformer(SMALL, data.spec)
    model.calibrate(data)
    player = model.player(1, 0.0)
    observations = data.observations[:4]
    actions, rewards = [], np.array([0.0, 0.5, -0.5, 0.25])
    for step in range(4):
        actions.append(player.act(observations[[step]], rewards[[step]], np.ones(1, bool))[0])
    recorded = np.c_[observations[:3], np.stack(actions[:3]), rewards[1:]].astype(np.float32)
    expected = model.discretizer.encode(torch.from_numpy(recorded))[-2:]  # planning_context - 1 transitions
    assert torch.equal(torch.cat(player.past)[:, :6], expected)


def test_a_plan_begins_from_as_many_played_transitions_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def noted(*arguments: Any) -> Plan:
        lengths.append(arguments[3].shape[1])
        return planner.plan(*arguments)

    monkeypatch.setattr("trajectory_transformer.player.plan", noted)
    played(prefix=1, steps=4)
    assert lengths == [3, 7 + 3, 7 + 3, 7 + 3]
    lengths.clear()
    played(steps=4)
    assert lengths == [3, 7 + 3, 14 + 3, 14 + 3]  # as many as the planner sees


@pytest.mark.parametrize("prefix", [True, False])
def test_a_context_can_be_left_out(prefix: bool) -> None:
    assert np.isfinite(played(prefix_context=prefix)[0]).all()
