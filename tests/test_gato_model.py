"""What Gato learns from, what it may not see, and how it acts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gato import SIZES, Config, Corpus, Gato, MixedBatch, Mixture, preset
from gato.embedding import PatchEncoder, position_index
from gato.model import parameters
from gato.observations import tokens_per_step
from gato.stream import TokenType
from gato.text import Text
from gato.transformer import Transformer, attend
from tests.toys import POINT, walk
from training.registry import find
from training.settings import parse
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Provenance, Spec, Trajectories

SMALL = Config(context=6, batch_size=16, width=32, layers=2, heads=2, head_width=16, hidden=64, prompt_steps=2)
LENGTHS = (12, 7, 12, 9, 3)
HOPPER = Spec("hopper", (11,), (3,), max_episode_steps=1000)
PICTURES = Spec("pictures", (20, 32), (), max_episode_steps=8, actions=5, observation_dtype="uint8")


def gato(config: Config = SMALL, **options) -> Gato:
    torch.manual_seed(0)
    data = walk(LENGTHS)
    model = Gato(config, data.spec, **options)
    model.calibrate(data)
    return model.eval()


def pictures(episodes: int = 4) -> Trajectories:
    rng = np.random.default_rng(0)
    steps = episodes * PICTURES.max_episode_steps
    return Trajectories.of(
        PICTURES,
        Provenance("pictures", "made-up", "0"),
        observations=rng.integers(256, size=(steps, 20, 32)).astype(np.uint8),
        actions=rng.integers(5, size=steps),
        rewards=np.ones(steps),
        terminated=np.zeros(steps, bool),
        starts=np.arange(0, steps + 1, PICTURES.max_episode_steps),
    )


def full_batch(prompted: bool = False) -> Batch:
    config = replace(SMALL, prompt_share=float(prompted))
    return Gato(config, POINT).sample(walk(LENGTHS), np.random.default_rng(0))


def played(model: Gato, steps: int, episodes: int = 3, seed: int = 0, **options) -> np.ndarray:
    observations = np.random.default_rng(1).normal(3, 2, (steps, episodes, 3)).astype(np.float32)
    player = model.player(episodes, 0.0, seed, **options)
    live = np.ones(episodes, bool)
    return np.stack([player.act(now, np.zeros(episodes), live) for now in observations])


class Recurrent(nn.Module):
    """Another causal sequence model, to take the transformer's place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.cells = nn.GRU(width, width, batch_first=True)

    def forward(self, x):
        return self.after(self.cells(self.before(x))[0])


# Learning


def test_only_the_tokens_before_an_action_token_are_read_to_learn_it():
    stream = gato().stream(full_batch())
    ((hidden, targets),) = gato().predict(stream)
    assert (
        len(hidden)
        == len(targets)
        == int(stream.valid[stream.token_types.expand_as(stream.valid) == TokenType.ACTION].sum())
    )
    assert bool(((targets >= 33_024) & (targets < 34_048)).all())


def test_a_token_s_prediction_does_not_see_the_token_itself_or_what_follows():
    model, batch = gato(), full_batch()
    before = model.predict(model.stream(batch))[0][0].reshape(-1, 2, 32)
    changed = replace(batch, actions=torch.cat([batch.actions[:, :, :1], -batch.actions[:, :, 1:]], dim=2))
    after = model.predict(model.stream(changed))[0][0].reshape(-1, 2, 32)
    first = torch.tensor([0, *np.cumsum(batch.mask.sum(1).numpy())[:-1]])  # each sequence's first step
    torch.testing.assert_close(after[first], before[first])
    assert not torch.allclose(after, before)


def test_padding_changes_nothing():
    model, batch = gato(), full_batch(prompted=True)
    noise = torch.randn_like(batch.observations).masked_fill(batch.mask[:, :, None], 0)
    noisy = replace(batch, observations=batch.observations + noise)
    assert not torch.equal(noisy.observations, batch.observations)
    assert torch.equal(model.loss(noisy)["total"], model.loss(batch)["total"])


def test_reading_some_positions_gives_what_reading_all_gives():
    torch.manual_seed(0)
    transformer, x = Transformer(SMALL), torch.randn(2, 12, 32)
    read = torch.tensor([2, 3, 11])
    torch.testing.assert_close(transformer.at(x, read), transformer(x)[:, read])


def test_attention_by_hand_is_the_fused_attention():
    torch.manual_seed(0)
    parts, transformer = [torch.randn(2, 2, 20, 16) for _ in range(3)], Transformer(SMALL)
    bias = transformer.bias(torch.arange(20)[:, None] - torch.arange(20))
    prefers_manual_attention = attend(*(part.bfloat16() for part in parts), bias, 0.0)
    torch.testing.assert_close(prefers_manual_attention.float(), attend(*parts, bias, 0.0), atol=0.03, rtol=0.03)


@pytest.mark.parametrize("size", ["tiny", "79M"])
def test_initial_weights_have_the_set_std_and_less_on_entering_the_residual(size: str) -> None:
    config = preset(size, layers=2)
    assert config.initializer_range == {"tiny": 0.09, "79M": 0.02}[size]
    width = {name: weight.std().item() for name, weight in Transformer(config).named_parameters()}
    assert width["blocks.0.attention.project.weight"] == pytest.approx(config.initializer_range, rel=0.02)
    assert width["blocks.0.feedforward.leave.weight"] == pytest.approx(config.initializer_range / 2, rel=0.02)


def test_without_recency_attention_is_plain_causal_attention():
    parts, transformer = [torch.randn(2, 2, 20, 16) for _ in range(3)], Transformer(replace(SMALL, alibi=False))
    bias = transformer.bias(torch.arange(20)[:, None] - torch.arange(20))
    torch.testing.assert_close(attend(*parts, bias, 0.0), attend(*parts, None, 0.0))


def test_legal_logits_lose_nothing_but_the_impossible():
    batch = full_batch()
    legal, full = gato(replace(SMALL, text=True)), gato(replace(SMALL, logits="full"))
    full.load_state_dict(legal.state_dict())
    assert legal.loss(batch)["total"] < full.loss(batch)["total"]
    ((hidden, targets),) = full.predict(full.stream(batch))
    scores = full.logits(hidden, slice(0, 34_049))[:, 33_024:34_048]
    prefers_manual_attention = nn.functional.cross_entropy(scores, targets - 33_024)
    torch.testing.assert_close(legal.loss(batch)["total"], prefers_manual_attention)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_small_gato_learns_to_turn_what_it_sees_into_an_action(recurrent):
    torch.manual_seed(0)
    data = walk([12] * 200)
    data = replace(data, actions=np.clip((data.observations[:, :2] - 3) / 6, -1, 1))
    config = replace(SMALL, batch_size=32, learning_rate=3e-3)
    model = Gato(config, data.spec, transformer=Recurrent(32) if recurrent else None)
    model.calibrate(data)
    optimizer = torch.optim.AdamW(model.parameter_groups(), config.learning_rate)
    for update in range(250 if recurrent else 150):
        loss = model.loss(model.sample(data, np.random.default_rng([0, update])))["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    player, live = model.player(64), np.ones(64, bool)
    observations = np.random.default_rng(5).normal(3, 2, (64, 3)).astype(np.float32)
    expected = np.clip((observations[:, :2] - 3) / 6, -1, 1)
    error = np.abs(player.act(observations, np.zeros(64), live) - expected).mean()
    assert error < 0.12  # a constant action errs by 0.27


def test_a_prompted_gato_does_as_either_demonstration_did(tmp_path):
    torch.manual_seed(0)
    data = walk([12] * 60)
    moves = np.repeat(np.where(np.arange(60) % 2, 0.5, -0.5), 12)  # half the episodes earn by going forward
    data = Trajectories.of(
        data.spec,
        data.origin,
        observations=data.observations,
        actions=np.repeat(moves[:, None], 2, axis=1),
        rewards=moves,
        terminated=data.terminated,
        starts=data.starts,
    )
    model = Gato(replace(SMALL, prompt_from="alike", prompt_share=0.75, learning_rate=3e-3), data.spec)
    model.calibrate(data)
    optimizer = torch.optim.AdamW(model.parameter_groups(), 3e-3)
    for update in range(100):
        loss = model.loss(model.sample(data, np.random.default_rng([0, update])))["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.savez(tmp_path / "back.npz", observations=data.observations[:12], actions=data.actions[:12])
    for prompt, move in (("best", 0.5), (str(tmp_path / "back.npz"), -0.5)):
        model.config = replace(model.config, prompt=prompt)
        assert (np.abs(played(model, 1)[0] - move) < 0.05).all()


# Acting


@pytest.mark.parametrize("alibi", [True, False])
@pytest.mark.parametrize("prompt", ["none", "end", "uniform", "best"])
@pytest.mark.parametrize("action_positions", ["shared", "own", "none"])
def test_cached_keys_give_the_actions_of_recomputation_within_one_context(prompt, action_positions, alibi):
    config = replace(SMALL, alibi=alibi, prompt=prompt, action_positions=action_positions, timestep_positions=True)
    model = gato(config)
    steps = SMALL.context - (0 if prompt == "none" else SMALL.prompt_steps)
    rolling = played(model, steps, seed=3)
    model.config = replace(config, memory="recompute")
    np.testing.assert_allclose(rolling, played(model, steps, seed=3), atol=1e-6)


def test_beyond_the_context_one_layer_keeps_exactly_its_window():
    """Keys of a first layer know nothing but their own token, so the ring must equal the window for ever."""
    model = gato(replace(SMALL, layers=1))
    rolling = played(model, 11)
    model.config = replace(model.config, memory="recompute")
    np.testing.assert_allclose(rolling, played(model, 11), atol=1e-6)


def test_an_episode_s_actions_do_not_depend_on_which_others_still_play():
    model = gato(replace(SMALL, decoding="sampled", temperature=1.0, prompt="uniform"))
    together = played(model, 9)
    observations = np.random.default_rng(1).normal(3, 2, (9, 3, 3)).astype(np.float32)
    player, live = model.player(3), np.ones(3, bool)
    for step, now in enumerate(observations):
        live[0] = step < 2
        live[2] = step < 6
        actions = player.act(now, np.zeros(3), live)
        np.testing.assert_allclose(actions[live], together[step][live], atol=1e-6)
        assert not actions[~live].any()


def test_a_recurrent_network_can_take_the_transformer_s_place_and_act():
    model = gato(transformer=Recurrent(32))
    assert played(model, 8).shape == (8, 3, 2)
    assert torch.isfinite(model.loss(full_batch())["total"])


def test_discrete_actions_from_pictures_are_legal():
    data = pictures()
    model = Gato(SMALL, data.spec)
    model.calibrate(data)
    assert tokens_per_step(PICTURES) == 4 + 1 + 1
    player = model.player(2)
    for step in range(8):
        actions = player.act(data.observations[[step, step + 8]], np.zeros(2), np.ones(2, bool))
        assert actions.shape == (2,)
        assert actions.dtype == np.int64
        assert ((actions >= 0) & (actions < 5)).all()


# Several tasks


def test_one_gato_learns_from_trajectories_pictures_and_text_at_once():
    torch.manual_seed(0)
    words = Corpus("words", np.array(Text().encode("to be or not to be, " * 20)))
    mixture = Mixture((walk(LENGTHS), pictures(), words), weights=(2.0, 1.0, 1.0))
    model = Gato(replace(SMALL, text=True), mixture.spec)
    model.calibrate(mixture)
    batch = model.sample(mixture, np.random.default_rng(0))
    assert isinstance(batch, MixedBatch)
    model.loss(batch.to("cpu"))["total"].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.count_tokens(batch) > 0
    assert played(model, 2, task="point").shape == (2, 3, 2)
    assert model.player(2, task="pictures").act(pictures().observations[:2], np.zeros(2), np.ones(2, bool)).shape == (
        2,
    )


def test_the_share_of_each_task_follows_its_weight():
    mixture = Mixture((walk(LENGTHS), pictures()), weights=(3.0, 1.0))
    counts = sum(mixture.counts(np.random.default_rng(seed), 64) for seed in range(50))
    np.testing.assert_allclose(counts / counts.sum(), [0.75, 0.25], atol=0.03)


def test_a_player_of_several_tasks_needs_the_task():
    model = Gato(SMALL, (POINT, PICTURES))
    with pytest.raises(UserError, match="point, pictures"):
        model.player(1)
    with pytest.raises(UserError, match="'chess'"):
        model.player(1, task="chess")


# Sizes and options


@pytest.mark.parametrize(
    ("size", "millions"),  # 12 width^2 a layer and one table; README.md on the paper's numbers
    [("tiny", 0.725), ("79M", 83.3), ("364M", 393.4), ("1.18B", 1279.4)],
)
def test_the_sizes_have_their_parameters_counted_without_memory(size, millions):
    assert parameters(preset(size), POINT) / 1e6 == pytest.approx(millions, rel=0.01)


def test_tiny_has_the_decision_transformer_s_number_of_parameters():
    other = find("dt").model(find("dt").config(), HOPPER)
    assert parameters(Config(), HOPPER) == pytest.approx(sum(p.numel() for p in other.parameters()), rel=0.05)


@pytest.mark.parametrize("size", SIZES)
def test_a_size_is_a_preset_of_the_command_line(size):
    settings = parse(["--model", "gato", "--preset", size, "--layers", "3"])
    assert settings.config == replace(preset(size), layers=3)


def test_help_names_the_sizes(capsys):
    with pytest.raises(SystemExit, match="0"):
        parse(["--model", "gato", "--help"])
    assert "Presets of gato: default, smoke, tiny, 79M, 364M, 1.18B" in " ".join(capsys.readouterr().out.split())


def test_another_model_has_not_gato_s_sizes():
    with pytest.raises(UserError, match="'79M' for dt: choose one of default, paper, smoke"):
        parse(["--model", "dt", "--preset", "79M"])


def test_a_patch_s_position_is_drawn_within_its_interval_and_its_middle_when_acting():
    intervals = torch.tensor([[[0.25, 0.5], [0.4, 0.6]]])
    assert position_index(intervals, training=False).tolist() == [[48, 64]]
    drawn = torch.cat([position_index(intervals, training=True) for _ in range(400)])
    assert (drawn[:, 0].min(), drawn[:, 0].max()) == (32, 63)
    assert (drawn[:, 1].min(), drawn[:, 1].max()) == (51, 76)


def test_an_empty_interval_at_the_far_edge_stays_on_the_table():
    edge = torch.ones(1, 2, 2)
    assert position_index(edge, training=True).tolist() == position_index(edge, training=False).tolist() == [[127, 127]]


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_the_patch_encoder_has_as_many_blocks_as_set(blocks):
    encoder = PatchEncoder(replace(SMALL, patch_blocks=blocks))
    assert encoder(torch.randn(5, 3, 16, 16)).shape == (5, 32)


@pytest.mark.parametrize(
    "change",
    [
        {"observation_positions": False},
        {"timestep_positions": True},
        {"action_positions": "none"},
        {"action_positions": "own"},
        {"patch_positions": False},
        {"feedforward": "geglu"},
        {"layout": "shared"},
        {"logits": "full"},
        {"ordinal_init": False},
        {"alibi": False},
        {"prompt_steps": 0},
        {"stochastic_depth": 0.5, "dropout": 0.1},
    ],
)
def test_every_switch_leaves_a_gato_that_learns_and_acts(change):
    data = pictures()
    model = Gato(replace(SMALL, **change), data.spec)
    model.calibrate(data)
    model.loss(model.sample(data, np.random.default_rng(0)))["total"].backward()
    assert model.player(2).act(data.observations[:2], np.zeros(2), np.ones(2, bool)).shape == (2,)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("layout", "both", "layout is 'both': choose one of shared, split"),
        ("logits", "some", "logits is 'some': "),
        ("memory", "short", "memory is 'short': "),
        ("decoding", "mean", "decoding is 'mean': "),
        ("temperature", "0.0", "a number above 0"),
        ("prompt-steps", "8", "prompt_steps is 8"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(option, value, words):
    with pytest.raises(UserError, match=words):
        parse(["--model", "gato", f"--{option}", value])


def test_a_size_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=", ".join(SIZES)):
        preset("2B")


def test_an_observation_with_more_tokens_than_positions_is_refused():
    wide = Spec("wide", (600,), (2,), max_episode_steps=5)
    model = Gato(SMALL, wide)
    with pytest.raises(UserError, match="601 positions"):
        model.loss(model.sample(walk((5, 5), spec=wide), np.random.default_rng(0)))


def test_a_gato_without_text_or_images_says_how_to_build_one_with_them():
    with pytest.raises(UserError, match="text=True"):
        Gato(SMALL, POINT).loss(Corpus("words", np.arange(50)).sample(np.random.default_rng(0), 2, 8))
    seeing, blind = Gato(SMALL, PICTURES), Gato(SMALL, POINT)
    stream = seeing.stream(seeing.sample(pictures(), np.random.default_rng(0)))
    with pytest.raises(UserError, match="images=True"):
        blind.embedding(stream)


def test_a_batch_of_no_known_task_is_refused():
    model = Gato(SMALL, PICTURES)
    with pytest.raises(UserError, match="pictures"):
        model.loss(full_batch())
