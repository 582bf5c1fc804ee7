"""Trajectory Transformer: its values, bins, windows, loss, and a task that only planning ahead solves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.toys import walk
from trajectories.errors import DatasetError, UserError
from trajectories.types import Provenance, Spec, Trajectories
from trajectory_transformer.config import Config
from trajectory_transformer.discretizer import Discretizer
from trajectory_transformer.model import TrajectoryBatch, TrajectoryTransformer
from trajectory_transformer.values import penalized, values

SMALL = Config(
    context=4, batch_size=40, width=16, layers=2, heads=2, bins=7, horizon=3, beam_width=4, planning_context=3
)  # 40 windows are more than one piece
LENGTHS = (12, 1, 7, 12, 3)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    return walk(LENGTHS)


@pytest.fixture
def model(data: Trajectories) -> TrajectoryTransformer:
    torch.manual_seed(0)
    model = TrajectoryTransformer(SMALL, data.spec)
    model.calibrate(data)
    return model.eval()


def test_values_are_what_the_recursion_from_the_episodes_end_gives(data: Trajectories) -> None:
    naive = np.zeros(len(data))
    for first, end in zip(data.starts[:-1], data.starts[1:], strict=True):
        for step in range(end - 2, first - 1, -1):
            naive[step] = data.rewards[step + 1] + 0.9 * naive[step + 1]
    np.testing.assert_allclose(values(data.rewards, data.starts, 0.9), naive, rtol=1e-5, atol=1e-6)


def test_only_a_step_that_ends_the_task_is_paid_the_penalty(data: Trajectories) -> None:
    penalized_data = penalized(data.rewards, data.terminated, -100.0)
    assert (penalized_data[data.terminated] == -100).all()
    np.testing.assert_array_equal(penalized_data[~data.terminated], data.rewards[~data.terminated])


@pytest.mark.parametrize("method", ["quantile", "uniform"])
def test_a_number_comes_back_from_its_bin_within_half_its_width(method: str) -> None:
    column = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    discretizer = Discretizer(1, 10)
    discretizer.fit(0, column, method)
    numbers = torch.from_numpy(column)[:, None]
    tokens = discretizer.encode(numbers)
    width = discretizer.edges[0].diff()[tokens[:, 0]]
    assert ((discretizer.decode(tokens) - numbers)[:, 0].abs() <= width / 2 + 1e-5).all()
    if method == "quantile":
        assert np.ptp(np.bincount(tokens[:, 0])) <= 2


@pytest.mark.parametrize("method", ["quantile", "uniform"])
def test_the_penalty_can_have_the_lowest_bin_for_itself(data: Trajectories, method: str) -> None:
    reward, penalty = -2, -100.0
    for own in (False, True):
        model = TrajectoryTransformer(replace(SMALL, penalty_bin=own, discretizer=method), data.spec)
        model.calibrate(data)
        numbers = torch.from_numpy(model.columns(data)[0].rewards)
        tokens = model.discretizer.encode(numbers[:, None], model.tokens_per_step + reward)[:, 0]
        in_lowest = torch.from_numpy(data.terminated) == (tokens == 0)
        assert bool(in_lowest.all()) == (own or method == "uniform")
        decoded = model.discretizer.decode(torch.zeros(1, 1, dtype=torch.long), model.tokens_per_step + reward)
        assert (abs(decoded.item() - penalty) < 1e-3) == own


def test_a_penalty_that_is_not_below_all_rewards_has_no_bin_for_itself(data: Trajectories) -> None:
    model = TrajectoryTransformer(replace(SMALL, penalty_bin=True, termination_penalty=0.0), data.spec)
    with pytest.raises(UserError, match="--penalty-bin: the penalty is 0"):
        model.calibrate(data)


def test_numbers_outside_the_recorded_range_fall_into_the_outermost_bins() -> None:
    discretizer = Discretizer(2, 10)
    far = torch.tensor([[-9.0, 9.0], [9.0, -9.0]])
    assert discretizer.encode(far).tolist() == [[0, 9], [9, 0]]


def test_the_audit_counts_used_empty_and_coinciding_bins() -> None:
    discretizer = Discretizer(1, 4)
    column = np.array([0, 0, 0, 0, 1], np.float32)
    discretizer.fit(0, column, "quantile")
    audit = discretizer.audit(0, column, "reward")
    assert (audit.used, audit.empty, audit.duplicate) == (1, 3, 3)
    assert audit.largest_error == 0.5


def test_a_column_with_a_hole_is_refused() -> None:
    with pytest.raises(DatasetError, match="nan"):
        Discretizer(1, 4).fit(0, np.array([0, np.nan], np.float32), "quantile")


def test_mean_and_percentile_read_the_bins_and_the_stop_token_counts_nothing() -> None:
    discretizer = Discretizer(1, 4)
    discretizer.edges[0] = torch.tensor([0.0, 2, 4, 6, 8])
    probabilities = torch.tensor([0.25, 0.25, 0.0, 0.25, 0.25])
    assert discretizer.mean(probabilities, 0) == pytest.approx((1 + 3 + 7) / 4)
    assert discretizer.percentile(probabilities, 0, 0.2) == 1
    assert discretizer.percentile(probabilities, 0, 0.6) == 7


def test_what_lies_after_an_episodes_end_is_the_stop_token_up_to_the_time_limit(
    model: TrajectoryTransformer, data: Trajectories
) -> None:
    batch = model.sample(data, np.random.default_rng(0))
    tokens, learned = model.tokenize(batch)
    real = batch.mask.sum(1)
    begins = batch.timesteps.gather(1, (4 - real)[:, None])[:, 0]
    for row in range(len(real)):
        assert (tokens[row, : real[row]] < 7).all()
        assert (tokens[row, real[row] :] == 7).all()
        assert learned[row].sum() == min(4, 12 - begins[row])
    assert (real < 4).any()
    assert not learned.all()


def test_tokens_are_the_bins_of_the_steps_they_were_cut_from(model: TrajectoryTransformer, data: Trajectories) -> None:
    tokens, _ = model.tokenize(model.sample(data, np.random.default_rng(3)))
    penalized_data = penalized(data.rewards, data.terminated, -100.0)
    values_of = values(penalized_data, data.starts, 0.99)
    recorded = model.discretizer.encode(
        torch.from_numpy(np.c_[data.observations, data.actions, penalized_data, values_of].astype(np.float32))
    )
    for row, begin in zip(tokens, np.random.default_rng(3).integers(len(data), size=40), strict=True):
        end = min(begin + 4, data.starts[data.episode_of(np.array([begin]))[0] + 1])
        assert torch.equal(row[: end - begin], recorded[begin:end])


def test_the_loss_is_the_weighted_mean_over_every_learned_token(
    model: TrajectoryTransformer, data: Trajectories
) -> None:
    batch = model.sample(data, np.random.default_rng(0))
    tokens, learned = model.tokenize(batch)
    logits = model.network.logits(model.network(tokens.flatten(1)))
    terms = []
    for row in range(len(tokens)):
        for place in range(1, 4 * 7):
            if learned[row, place // 7]:
                weight = 5.0 if place % 7 in (3, 4) else 1.0
                terms.append(weight * F.cross_entropy(logits[row, place - 1], tokens[row].flatten()[place]))
    torch.testing.assert_close(model.loss(batch)["total"], torch.stack(terms).mean(), rtol=1e-5, atol=1e-5)


def test_no_token_reads_a_past_value_or_ahead(model: TrajectoryTransformer) -> None:
    tokens = torch.randint(0, 7, (1, 28))
    with torch.no_grad():
        before = model.network(tokens)
        for changed in range(28):
            other = tokens.clone()
            other[0, changed] = (other[0, changed] + 1) % 7
            moved = (model.network(other) - before).abs().amax(-1)[0] > 1e-7
            is_value = changed % 7 == 6
            assert moved.tolist() == [place == changed if is_value else place >= changed for place in range(28)]


def test_each_dimension_has_its_own_tokens_and_all_share_the_stop_token(model: TrajectoryTransformer) -> None:
    network = model.network
    torch.testing.assert_close(network.embed(torch.full((1, 7), 2))[0, 3], network.embedding.weight[3 * 7 + 2])
    stops = network.embed(torch.full((1, 7), 7))[0]
    torch.testing.assert_close(stops, network.embedding.weight[-1].expand(7, -1))


def test_a_batch_keeps_its_values_when_it_moves(model: TrajectoryTransformer, data: Trajectories) -> None:
    batch = model.sample(data, np.random.default_rng(0)).to("cpu")
    assert isinstance(batch, TrajectoryBatch)
    assert torch.isfinite(model.loss(batch)["total"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"planning_context": 1}, "planning-context"),
        ({"beam_width": 0}, "beam-width"),
        ({"prefix": -1}, "prefix"),
    ],
)
def test_settings_that_cannot_work_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        TrajectoryTransformer(replace(SMALL, **change), walk((3,)).spec)  # type: ignore[arg-type]


def test_weight_decay_spares_biases_norms_and_embeddings(model: TrajectoryTransformer) -> None:
    decayed, spared = (group["params"] for group in model.parameter_groups())
    assert len(decayed) + len(spared) == len(list(model.parameters()))
    assert all(weight.ndim > 1 for weight in decayed)
    assert any(weight is model.network.embedding.weight for weight in spared)


# A fork: one step down pays 1 at once, four steps up pay 3 in the end. Behavior goes up half of the time, so that
# having gone up once it expects 3 / 8: who looks one step ahead goes down.
LONG = 4
FORK = Spec("fork", (1,), (), max_episode_steps=LONG, actions=2)


def fork(stage: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stages 0 to LONG - 1 on the way up, LONG if lost or done: the next stage, and what the step pays."""
    rewards = np.where((stage == 0) & ~up, 1.0, np.where((stage == LONG - 1) & up, 3.0, 0.0))
    return np.where(up & (stage < LONG), stage + 1, LONG), rewards


def recorded_forks(episodes: int) -> Trajectories:
    up = np.random.default_rng(0).random((LONG, episodes)) < 0.5
    stages, rewards = [np.zeros(episodes)], []
    for step in range(LONG):
        stage, reward = fork(stages[-1], up[step])
        stages.append(stage)
        rewards.append(reward)
    return Trajectories.of(
        FORK,
        Provenance("fork", "made-up", "0"),
        observations=np.stack(stages[:-1], 1).reshape(-1, 1).astype(np.float32),
        actions=up.T.reshape(-1).astype(np.int64),
        rewards=np.stack(rewards, 1).reshape(-1).astype(np.float32),
        terminated=np.zeros(LONG * episodes, bool),
        starts=np.arange(0, LONG * episodes + 1, LONG),
    )


def fork_return(model: TrajectoryTransformer, horizon: int, episodes: int = 20) -> float:
    model.config = replace(model.config, horizon=horizon)
    player = model.player(episodes, 0.0)
    stage, penalized_data, total = np.zeros(episodes), np.zeros(episodes), 0.0
    for _ in range(LONG):
        actions = player.act(stage[:, None].astype(np.float32), penalized_data, np.ones(episodes, bool))
        stage, penalized_data = fork(stage, actions == 1)
        total += float(penalized_data.mean())
    return total


def test_several_steps_of_planning_find_what_one_step_misses() -> None:
    torch.manual_seed(0)
    data = recorded_forks(1000)
    config = Config(
        context=LONG, batch_size=64, width=32, layers=2, heads=2, bins=12, dropout=0.0, discretizer="uniform",
        beam_width=128, expand=1, cdf_actions=0.2,
    )  # fmt: skip
    model = TrajectoryTransformer(config, FORK)
    model.calibrate(data)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    updates = 300
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, updates)
    for update in range(updates):
        optimizer.zero_grad()
        model.loss(model.sample(data, np.random.default_rng(update)))["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    assert fork_return(model, horizon=1) < 1.5
    assert fork_return(model, horizon=LONG) > 2.5


def test_the_audit_of_every_dimension_is_printed_and_kept_as_json(data: Trajectories, capsys) -> None:
    model = TrajectoryTransformer(SMALL, data.spec)
    model.calibrate(data)
    printed = capsys.readouterr().err
    rows = json.loads(json.dumps(model.metadata()))["discretizer audit"]
    assert len(rows) == model.tokens_per_step
    assert all(row["name"] in printed and row["used"] + row["empty"] == SMALL.bins for row in rows)


def test_values_by_blocks_of_episodes_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = walk((5, 40, 1, 9, 33, 2))
    whole = values(data.rewards, data.starts, 0.9)
    monkeypatch.setattr("trajectory_transformer.values.BLOCK", 12)
    assert np.array_equal(values(data.rewards, data.starts, 0.9), whole)


def test_bins_of_very_many_steps_are_fitted_to_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data = walk((12,) * 40)
    whole, some = (TrajectoryTransformer(SMALL, data.spec) for _ in range(2))
    whole.calibrate(data)
    monkeypatch.setattr("trajectory_transformer.model.FITTED", 100)
    some.calibrate(data)
    assert not torch.equal(some.discretizer.edges, whole.discretizer.edges)
    spread = np.abs(data.observations[::5, 0]).max()
    assert some.discretizer.edges[0].abs().max() == pytest.approx(spread)
