"""What a token may be, and what a timestep looks like as tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gato.patches import patch_intervals, to_patches
from gato.stream import ACTION_POSITION, TokenType, action_block, build, observation_blocks, separator_block
from gato.text import Text, train
from gato.tokens import BINS, LAYOUTS, TEXT_IDS, check_discrete, from_bins, inverse_mu_law, layout, mu_law, to_bins
from tests.skips import recorded
from trajectories.errors import UserError

ANY_FLOAT = st.floats(allow_nan=False, allow_infinity=False, width=32)
EVERY_BIN = torch.arange(BINS)


@given(st.lists(ANY_FLOAT, min_size=1), st.booleans(), st.sampled_from(sorted(LAYOUTS)))
def test_no_float_leaves_its_range_or_meets_the_separator(values, squeeze, name):
    numbers = torch.tensor(values, dtype=torch.float32)
    bins = to_bins(numbers, squeeze)
    assert bins.min() >= 0
    assert bins.max() < BINS
    ids = layout(name).observations + bins if squeeze else layout(name).actions + bins
    assert ids.min() >= TEXT_IDS
    assert ids.max() < layout(name).separator


@given(ANY_FLOAT, ANY_FLOAT)
def test_a_larger_float_never_has_a_smaller_bin(one, other):
    low, high = to_bins(torch.tensor(sorted([one, other]), dtype=torch.float32), squeeze=True)
    assert low <= high


@given(st.floats(-256, 256, width=32))
def test_a_value_comes_back_within_half_a_bin_of_where_mu_law_put_it(value):
    number = torch.tensor([value], dtype=torch.float32)
    back = from_bins(to_bins(number, squeeze=True), squeezed=True)
    assert (mu_law(back) - mu_law(number)).abs() <= 1 / BINS + 1e-6
    assert back.sign() == number.sign() or number.abs() < 0.001


@pytest.mark.parametrize("squeeze", [True, False])
def test_every_bin_s_centre_lies_in_that_bin(squeeze):
    assert torch.equal(to_bins(from_bins(EVERY_BIN, squeeze), squeeze), EVERY_BIN)


def test_the_edges_of_the_range_have_the_first_and_the_last_bin():
    edges = torch.tensor([-256.0, 256.0, -1e38, 1e38, 3.4028235e38])
    assert to_bins(edges, squeeze=True).tolist() == [0, BINS - 1, 0, BINS - 1, BINS - 1]
    assert to_bins(torch.tensor([-1.0, 1.0, 1.5]), squeeze=False).tolist() == [0, BINS - 1, BINS - 1]


def test_mu_law_is_the_paper_s_with_mu_100_and_m_256():
    values = torch.tensor([0.0, 0.5, -3.0, 256.0])
    expected = values.sign() * torch.log(values.abs() * 100 + 1) / np.log(256 * 100 + 1)
    torch.testing.assert_close(mu_law(values), expected)
    torch.testing.assert_close(inverse_mu_law(mu_law(values)), values, rtol=1e-4, atol=1e-5)


def test_mu_law_takes_what_is_beyond_256_to_the_edge():
    assert mu_law(torch.tensor([-3.4e38, 257.0, 3.4e38])).tolist() == [-1, 1, 1]


def test_actions_are_not_squeezed():
    block = action_block(torch.tensor([[[0.5]]]), layout("split"))
    assert block.ids.item() == layout("split").actions + 768  # mu-law would say 906


def test_both_vocabularies_have_the_paper_s_sizes_and_one_separates_actions():
    split, shared = layout("split"), layout("shared")
    assert (split.size, shared.size) == (34_049, 33_025)
    assert (split.observations, split.actions, split.separator) == (32_000, 33_024, 34_048)
    assert (shared.observations, shared.actions, shared.separator) == (32_000, 32_000, 33_024)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_refused(value):
    with pytest.raises(UserError, match="finite"):
        to_bins(torch.tensor([0.0, value]), squeeze=True)


@pytest.mark.parametrize("value", [-1, 1024])
def test_a_discrete_value_without_a_token_is_refused(value):
    with pytest.raises(UserError, match=str(value)):
        check_discrete(torch.tensor([value]))


def test_a_timestep_is_text_images_tensors_by_key_separator_and_action():
    tokens = layout("split")
    observation = {
        "z": torch.zeros(1, 1, 2),
        "camera": torch.zeros(1, 1, 16, 32, dtype=torch.uint8),
        "nested": {"b": torch.full((1, 1, 1), 7), "a": torch.full((1, 1, 1), 5)},
        "mission": [["go"]],
    }
    blocks = observation_blocks(observation, tokens)
    blocks += [separator_block(blocks[0], tokens), action_block(torch.tensor([[3]]), tokens)]
    stream = build(blocks, torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.long))
    words = len(Text().encode("go"))
    token_types = (
        [TokenType.TEXT] * words
        + [TokenType.PATCH] * 2
        + [TokenType.TENSOR] * 4
        + [TokenType.SEPARATOR, TokenType.ACTION]
    )
    assert stream.token_types.tolist() == [token_types]
    assert stream.ids[0, words + 2 : words + 4].tolist() == [32_005, 32_007]  # nested.a before nested.b before z
    assert stream.ids[0, -2:].tolist() == [34_048, 33_024 + 3]
    assert stream.position.tolist() == [[*range(words + 7), ACTION_POSITION]]
    assert stream.is_target().tolist() == [[kind in (TokenType.TEXT, TokenType.ACTION) for kind in token_types]]


@pytest.mark.parametrize(
    ("observation", "action", "per_step", "steps"),
    [
        (torch.zeros(1, 1, 27), torch.zeros(1, 1, 8), 36, 28),  # ant
        (  # BabyAI: 7 words and a direction, 56x56 pixels
            {
                "text": torch.zeros(1, 1, 8, dtype=torch.long),
                "image": torch.zeros(1, 1, 3, 56, 56, dtype=torch.uint8),
            },
            torch.zeros(1, 1, dtype=torch.long),
            26,
            39,
        ),
    ],
)
def test_ant_takes_36_tokens_a_step_and_babyai_26(observation, action, per_step, steps):
    blocks = observation_blocks(observation, layout("shared"))
    blocks += [separator_block(blocks[0], layout("shared")), action_block(action, layout("shared"))]
    tokens = sum(block.ids.shape[2] for block in blocks)
    assert (tokens, 1024 // tokens) == (per_step, steps)


def test_patches_run_in_raster_order_with_pixels_between_plus_and_minus_a_quarter():
    image = torch.zeros(1, 32, 48, dtype=torch.uint8)
    image[0, :16, 16:32] = 255  # the second patch
    numbers, which = to_patches(image, side=16, channels=1)
    patches = numbers[which]
    assert patches.shape == (6, 1, 16, 16)
    assert patches.mean(dim=(1, 2, 3)).tolist() == [-0.25, 0.25, -0.25, -0.25, -0.25, -0.25]


def test_an_image_that_does_not_fit_is_padded_below_and_to_the_right_with_black():
    numbers, which = to_patches(torch.full((1, 17, 16), 255, dtype=torch.uint8), side=16, channels=1)
    patches = numbers[which]
    assert patches.shape == (2, 1, 16, 16)
    assert torch.all(patches[1, 0, 0] == 0.25)
    assert torch.all(patches[1, 0, 1:] == -0.25)


def test_patch_intervals_name_rows_and_columns_of_an_image_of_four_by_five_patches():
    intervals = patch_intervals(64, 80, side=16)
    assert intervals.shape == (20, 2, 2)
    torch.testing.assert_close(intervals[7], torch.tensor([[0.25, 0.5], [0.4, 0.6]]))


def test_ragged_texts_leave_no_gap_between_their_real_tokens():
    tokens = layout("split")
    blocks = observation_blocks([["go to the red ball", "go"], ["go", "go"]], tokens)
    blocks += [separator_block(blocks[0], tokens), action_block(torch.tensor([[1, 2], [3, 4]]), tokens)]
    ones = torch.ones(2, 2, dtype=torch.bool)
    stream = build(blocks, ones, torch.arange(2).expand(2, 2))
    text = Text()
    expected = [[*text.encode("go"), 34_048, 33_027], [*text.encode("go"), 34_048, 33_028]]
    assert stream.ids[1][stream.valid[1]].tolist() == [*expected[0], *expected[1]]
    assert not stream.valid[1, stream.valid[1].sum() :].any()


def test_any_text_comes_back_as_it_went_in():
    text = Text()
    for sentence in ("What news?\nO brave  new world", "ünknown 漢字 \U0001f600", ""):
        assert text.decode(text.encode(sentence)) == sentence
        assert all(0 <= token < TEXT_IDS for token in text.encode(sentence))


def test_a_text_model_can_be_trained_here(tmp_path):
    excerpt = tmp_path / "excerpt.txt"
    excerpt.write_text(recorded("text/tinyshakespeare.txt").read_text(encoding="utf-8")[:20_000], encoding="utf-8")
    text = train(excerpt, tmp_path / "own.model", size=400)
    assert len(text.pieces) <= 400
    assert text.decode(text.encode("First Citizen:")) == "First Citizen:"
    assert str(tmp_path).encode() not in (tmp_path / "own.model").read_bytes()


def test_a_file_that_is_no_text_model_is_refused(tmp_path):
    wrong = tmp_path / "wrong.model"
    wrong.write_text("nothing of the kind")
    with pytest.raises(UserError, match=r"wrong\.model"):
        Text(wrong)
    with pytest.raises(UserError, match=r"absent\.model"):
        Text(tmp_path / "absent.model")
