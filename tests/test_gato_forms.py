"""Prompts, and the two forms that other code bases document: gato-torch's raw tokens and GIA's modalities."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gato import Config, Gato, preset
from gato.compat import gato_torch, gia
from gato.prompts import join, other_episodes
from tests.toys import POINT, walk
from trajectories.errors import UserError
from trajectories.types import Trajectories

SMALL = Config(context=6, batch_size=64, width=32, layers=2, heads=2, head_width=16, hidden=64, prompt_steps=2)
SHARED = replace(SMALL, layout="shared", text=True, images=True)
LENGTHS = (12, 7, 12, 9, 1)


def numbered() -> Trajectories:
    """Episodes whose observations say which episode and which step they are."""
    data = walk(LENGTHS)
    episode = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    step = np.concatenate([np.arange(length) for length in LENGTHS])
    return replace(data, observations=np.stack([episode, step, np.ones_like(step)], axis=1).astype(np.float32))


# Prompts


@pytest.mark.parametrize("source", ["any", "alike"])
def test_a_prompt_is_never_of_its_sequence_s_own_episode(source):
    model, data = Gato(replace(SMALL, prompt_share=1.0, prompt_from=source), POINT), numbered()
    for seed in range(20):
        batch = model.sample(data, np.random.default_rng(seed))
        own = batch.observations[:, -1, 0]
        others = batch.prompt.observations[:, :, 0]
        assert not ((others == own[:, None]) & batch.prompt.mask).any()


def test_prompts_of_alike_return_are_other_episodes_of_neighboring_rank():
    data = walk([3] * 100)
    rank = np.argsort(np.argsort(data.returns, kind="stable"))
    own = np.arange(100).repeat(50)
    others = other_episodes(data, own, np.random.default_rng(0), alike=True)
    distance = np.abs(rank[others] - rank[own])
    assert distance.min() == 1
    assert distance.max() == 5


def test_a_quarter_of_the_sequences_have_prompts_half_of_them_from_an_end():
    model, data = Gato(replace(SMALL, batch_size=4000), POINT), numbered()
    batch = model.sample(data, np.random.default_rng(0))
    prompted = batch.prompt.mask.any(dim=1)
    assert prompted.float().mean() == pytest.approx(0.25, abs=0.03)
    last = batch.prompt.observations[prompted][:, -1]
    long = last[:, 0] != 4  # the last episode has one step, which is its end and its only piece
    ends = last[long, 1] == torch.tensor(LENGTHS)[last[long, 0].long()] - 1
    # half are ends, and a uniform piece of 11, 6, 11 or 8 places is the end by chance
    by_chance = np.mean([1 / 11, 1 / 6, 1 / 11, 1 / 8])
    assert ends.float().mean() == pytest.approx(0.5 + 0.5 * by_chance, abs=0.05)


def test_prompt_and_window_together_keep_within_the_context_and_end_now():
    model, data = Gato(replace(SMALL, prompt_share=0.5), POINT), numbered()
    batch = model.sample(data, np.random.default_rng(0))
    whole = join(batch)
    steps = whole.mask.sum(dim=1)
    assert steps.max() == SMALL.context
    rows = torch.arange(len(steps))
    assert torch.equal(whole.observations[rows, steps - 1], batch.observations[:, -1])
    assert not (whole.mask[:, 1:] & ~whole.mask[:, :-1]).any()  # no gap


def test_a_single_episode_cannot_prompt_itself():
    data = walk((12,))
    assert Gato(replace(SMALL, prompt_share=1.0), POINT).sample(data, np.random.default_rng(0)).prompt is None


def test_the_same_generator_draws_the_same_batch():
    model, data = Gato(SMALL, POINT), numbered()
    one, other = (model.sample(data, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(one.observations, other.observations)
    assert torch.equal(one.prompt.observations, other.prompt.observations)


def test_acting_best_means_the_end_of_the_episode_with_the_highest_return():
    model, data = Gato(SMALL, POINT), numbered()
    model.calibrate(data)
    pieces, which = model.demonstration(0).choose("best", 3, seed=0)
    best = int(np.argmax(data.returns))
    assert pieces.observations[which][:, -1, :2].tolist() == [[best, LENGTHS[best] - 1]] * 3


def test_a_demonstration_can_be_given_as_a_file(tmp_path):
    model = Gato(SMALL, POINT)
    np.savez(tmp_path / "mine.npz", observations=np.ones((5, 3)), actions=np.zeros((5, 2)))
    model.config = replace(SMALL, prompt=str(tmp_path / "mine.npz"))
    assert model.player(2).act(np.zeros((2, 3), np.float32), np.zeros(2), np.ones(2, bool)).shape == (2, 2)


@pytest.mark.parametrize("wrong", ["absent", "shape", "key", "pickle"])
def test_a_file_that_is_no_demonstration_is_refused(tmp_path, wrong):
    path = tmp_path / "mine.npz"
    if wrong == "shape":
        np.savez(path, observations=np.ones((5, 4)), actions=np.zeros((5, 2)))
    elif wrong == "key":
        np.savez(path, observations=np.ones((5, 3)))
    elif wrong == "pickle":
        np.savez(path, observations=np.array([{}]), actions=np.zeros((5, 2)))
    model = Gato(replace(SMALL, prompt=str(path)), POINT)
    with pytest.raises(UserError, match=r"mine\.npz"):
        model.player(1)


def test_a_gato_without_demonstrations_says_so():
    with pytest.raises(UserError, match="--prompt none"):
        Gato(SMALL, POINT).player(1)


# gato-torch's form


def raw_inputs():
    """The README's example completed: twice 20 patches, a continuous and a discrete value: 44 tokens of 768."""
    edges = torch.linspace(0, 1, 6)
    rows = [torch.arange(4).repeat_interleave(5) / 4 + shift for shift in (0, 0.25)]
    columns = [edges[:-1].repeat(4), edges[1:].repeat(4)]
    rest = torch.zeros(2)
    blocks = []
    for value, action in ((0.25, 624.0), (0.12, 295.0)):
        numbers = torch.tensor([value, action])[:, None].expand(2, 768)
        blocks.append(torch.cat([torch.rand(20, 768), numbers]))
    twice = lambda x: torch.cat([x, x])[None]  # noqa: E731
    encoding = twice(torch.tensor([0] * 20 + [1, 2]))
    row_pos = tuple(twice(torch.cat([row, rest])) for row in rows)
    col_pos = tuple(twice(torch.cat([column, rest])) for column in columns)
    position = twice(torch.arange(22))
    mask = twice(torch.tensor([1] * 21 + [0]))
    return torch.cat(blocks)[None], (encoding, row_pos, col_pos), (position, mask)


def documented(**changes) -> gato_torch.Gato:
    arguments = {
        "input_dim": 768,
        "img_patch_size": 16,
        "token_sequence_length": 1024,
        "vocabulary_size": 32000,
        "actions_size": 1024,
        "continuous_values_size": 1024,
        "num_transformer_blocks": 2,
        "num_attention_heads": 4,
        "layer_width": 64,
        "feedforward_hidden_size": 128,
        "key_value_size": 16,
        "dropout_rate": 0.0,
        "num_group_norm_groups": 32,
        "discretize_depth": 128,
        "local_position_encoding_size": 512,
        "max_seq_len": 8192,
    }
    return gato_torch.Gato(**{**arguments, **changes})


def test_gato_torch_s_example_as_printed_is_answered_in_one_sentence():
    input_dim = 768
    input_ids = torch.cat(
        [torch.rand((1, 1, input_dim)) for _ in range(20)]
        + [torch.full((1, 1, input_dim), 0.25), torch.full((1, 1, input_dim), 624.0)]
        + [torch.rand((1, 1, input_dim)) for _ in range(20)]
        + [torch.full((1, 1, input_dim), 0.12), torch.full((1, 1, input_dim), 295.0)],
        dim=1,
    )
    encoding = torch.tensor([[0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 2]])
    row_pos = (
        torch.tensor([[0.00, 0.25, 0.50, 0.75, 0, 0, 0.00, 0.25, 0.50, 0.75, 0, 0]]),
        torch.tensor([[0.25, 0.50, 0.75, 1.00, 0, 0, 0.25, 0.50, 0.75, 1.00, 0, 0]]),
    )
    col_pos = (
        torch.tensor([[0.00, 0.00, 0.00, 0.80, 0, 0, 0.00, 0.00, 0.00, 0.80, 0, 0]]),
        torch.tensor([[0.20, 0.20, 0.20, 1.00, 0, 0, 0.20, 0.20, 0.20, 1.00, 0, 0]]),
    )
    obs = (
        torch.tensor([[0, 1, 2, 19, 20, 21, 0, 1, 2, 19, 20, 21]]),
        torch.tensor([[1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0]]),
    )
    with pytest.raises(UserError) as error:
        documented()((input_ids, (encoding, row_pos, col_pos), obs))
    assert str(error.value) == "encoding describes 12 tokens, but input_ids has 44: describe each."


@pytest.mark.parametrize(("name", "size"), [("small", "79M"), ("baseline", "364M"), ("large", "1.18B")])
def test_gato_torch_s_sizes_are_the_paper_s(name, size):
    config, paper = getattr(gato_torch.GatoConfig, name)(), preset(size)
    with torch.device("meta"):
        gato = gato_torch.Gato(config)
    built = (gato.config.layers, gato.config.heads, gato.config.width, gato.config.hidden, gato.config.head_width)
    assert built == (paper.layers, paper.heads, paper.width, paper.hidden, paper.head_width)


def test_arguments_change_a_size_of_gato_torch_s():
    with torch.device("meta"):
        gato = gato_torch.Gato(gato_torch.GatoConfig.small(), num_transformer_blocks=1)
    assert (gato.config.layers, gato.config.width) == (1, 768)


def test_gato_torch_s_example_gives_hidden_states():
    hidden = documented().eval()(raw_inputs())
    assert hidden.shape == (1, 44, 64)
    assert torch.isfinite(hidden).all()


def test_the_raw_form_is_causal_and_reads_every_token():
    torch.manual_seed(0)
    model = documented().eval()
    ids, positions, observed = raw_inputs()
    before = model((ids, positions, observed))
    for changed in (3, 20, 21):  # a patch, a continuous value, an action
        other = ids.clone()
        other[0, changed] = 5 if changed == 21 else -0.5
        after = model((other, positions, observed))
        torch.testing.assert_close(after[:, :changed], before[:, :changed])
        assert not torch.allclose(after[:, changed], before[:, changed])


def test_action_tokens_of_the_raw_form_share_one_position():
    model = documented().eval()
    ids, positions, (position, mask) = raw_inputs()
    moved = position.masked_fill(mask == 0, 7)
    assert torch.equal(model((ids, positions, (moved, mask))), model((ids, positions, (position, mask))))


def test_the_raw_form_refuses_arrays_that_do_not_describe_every_token():
    ids, (encoding, rows, columns), observed = raw_inputs()
    with pytest.raises(UserError, match="encoding describes 12 tokens, but input_ids has 44"):
        documented()((ids, (encoding[:, :12], rows, columns), observed))
    with pytest.raises(UserError, match="encoding 3"):
        documented()((ids, (encoding + 1, rows, columns), observed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocabulary_size": 50257}, "fixed at 32000"),
        ({"actions_size": 18}, "actions_size is 18"),
        ({"input_dim": 700}, "700"),
    ],
)
def test_gato_torch_s_constants_cannot_be_changed(change, words):
    with pytest.raises(UserError, match=words):
        documented(**change)


# GIA's form


def ant(batch: int = 2, steps: int = 28) -> dict[str, torch.Tensor]:
    return {
        "rewards": torch.zeros(batch, steps),
        "continuous_observations": torch.randn(batch, steps, 27),
        "continuous_actions": torch.rand(batch, steps, 8) * 2 - 1,
        "continuous_observations_attention_mask": torch.ones(batch, steps, dtype=torch.bool),
        "continuous_actions_attention_mask": torch.ones(batch, steps, dtype=torch.bool),
    }


def baby(batch: int = 1, steps: int = 39) -> dict[str, torch.Tensor]:
    return {
        "text_observations": torch.randint(32_000, (batch, steps, 7)),
        "discrete_observations": torch.randint(4, (batch, steps, 1)),
        "image_observations": torch.randint(256, (batch, steps, 16, 3, 16, 16)).byte(),
        "patches_positions": torch.rand(batch, steps, 16, 2, 2).sort(dim=-1).values,
        "discrete_actions": torch.randint(7, (batch, steps, 1)),
    }


def test_gia_s_batches_give_logits_over_33025_ids_and_the_loss_of_ignorance():
    model = gia.Gato(SHARED)
    for batch, tokens in ((ant(), 28 * 36), (baby(), 39 * 26)):
        output = model(batch)
        assert output.logits.shape[1:] == (tokens, 33_025)
        assert output.loss.item() == pytest.approx(np.log(33_025), abs=0.5)


def test_only_text_and_actions_are_targets_and_never_the_separator():
    output = gia.Gato(SHARED)(baby())
    target = output.loss_mask.reshape(39, 26)
    assert target.sum(dim=0).tolist() == [38, *[39] * 6, *[0] * 18, 39]  # nothing stands before the very first token
    assert (output.tokens.reshape(39, 26)[:, 24] == 33_024).all()


def test_a_loss_mask_takes_tokens_out_of_the_loss():
    batch = ant()
    batch["continuous_actions_loss_mask"] = torch.arange(28).expand(2, 28) >= 20
    assert gia.Gato(SHARED)(batch).loss_mask.sum() == 2 * 8 * 8


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_neither_loss_nor_logits(side):
    torch.manual_seed(0)
    model, batch = gia.Gato(SHARED).eval(), ant(steps=4)
    alone = model(batch)
    padded = {}
    for key, value in batch.items():
        blank = torch.zeros(2, 3, *value.shape[2:], dtype=value.dtype)
        padded[key] = torch.cat([blank, value] if side == "left" else [value, blank], dim=1)
    output = model(padded)
    real = output.logits[:, 3 * 36 :] if side == "left" else output.logits[:, : 4 * 36]
    torch.testing.assert_close(output.loss, alone.loss)
    torch.testing.assert_close(real, alone.logits)


def test_the_first_valid_token_is_not_predicted_from_padding():
    batch = baby(steps=3)
    for key in ("text_observations", "discrete_observations", "image_observations", "discrete_actions"):
        batch[f"{key}_attention_mask"] = torch.tensor([[False, True, True]])
    target = gia.Gato(SHARED)(batch).loss_mask.reshape(3, 26)
    assert target.sum(dim=1).tolist() == [0, 7, 8]


def test_gia_s_form_needs_the_shared_layout():
    with pytest.raises(UserError, match="layout shared"):
        gia.Gato(SMALL)(ant())


def test_a_batch_with_nothing_to_read_is_refused():
    with pytest.raises(UserError, match="text_observations"):
        gia.Gato(SHARED)({"rewards": torch.zeros(1, 2)})


def test_text_beyond_the_vocabulary_and_patches_without_places_are_refused():
    batch = baby()
    with pytest.raises(UserError, match="Text id"):
        gia.Gato(SHARED)({**batch, "text_observations": batch["text_observations"] + 32_000})
    del batch["patches_positions"]
    with pytest.raises(UserError, match="patches_positions"):
        gia.Gato(SHARED)(batch)
