"""What published Gatos get wrong, each held here as a sentence about ours; test_gato_*.py hold the others.

Source   GIA at 4bf4e25, gato-tf and gato-torch, NEKO, mugato and LAS, as read and run: their code, not their papers
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gato import Config, Corpus, Gato, MixedBatch, Mixture
from gato.prompts import join
from gato.stream import TokenType
from gato.text import Text
from gato.tokens import BINS, to_bins
from gato.transformer import Block, Transformer
from tests.test_gato_forms import documented, numbered
from tests.test_gato_model import PICTURES, SMALL, full_batch, gato, pictures, played
from tests.toys import POINT, walk
from trajectories.types import Spec


@given(st.lists(st.floats(-300, 300, width=32), min_size=1), st.floats(-300, 300, width=32))
def test_a_number_has_the_same_token_whatever_stands_beside_it(others, number):
    """mugato scales each vector by its own range, which loses every magnitude."""
    alone = to_bins(torch.tensor([number], dtype=torch.float32), squeeze=True)
    among = to_bins(torch.tensor([*others, number], dtype=torch.float32), squeeze=True)
    assert among[-1] == alone[0]


def test_what_was_done_before_is_read():
    """mugato's inputs hold no past action."""
    model, batch = gato(), full_batch()
    other = batch.actions.clone()
    other[:, 2] *= -1
    whole = (batch.mask[:, 2:].all(dim=1) & batch.mask[:, 1]).nonzero()[0, 0]
    shown = int(batch.mask[whole, :2].sum())  # steps before the one that changes
    both = (
        model.stream(replace(join(rows_of(batch, whole)), actions=actions[whole][None, 2 - shown :]))
        for actions in (batch.actions, other)
    )
    first, second = (model.predict(stream)[0][0] for stream in both)
    changed = (~torch.isclose(first, second)).any(dim=1)  # of each action token
    assert not changed[: 2 * shown + 1].any()
    assert changed[2 * shown + 1 :].all()


def rows_of(batch, row):
    """One sequence of a batch."""
    names = ("observations", "actions", "rewards", "returns_to_go", "timesteps", "mask")
    return replace(batch, **{name: getattr(batch, name)[row][None] for name in names})


def test_no_sequence_runs_on_into_the_next_episode():
    """GIA's loader chains episodes that lie behind one another."""
    data = numbered()
    model = Gato(replace(SMALL, prompt_share=0.0), POINT)
    batch = model.sample(data, np.random.default_rng(0))
    episodes = batch.observations[:, :, 0]
    assert ((episodes == episodes[:, -1:]) | ~batch.mask).all()


def test_a_block_normalizes_the_output_of_attention_and_not_its_input():
    """gato-tf feeds its second norm the block's input."""
    torch.manual_seed(0)
    block, x = Block(SMALL), torch.randn(2, 7, 32)
    for part in block.parameters():
        nn.init.normal_(part, std=0.3)
    bias = Transformer(SMALL).bias(torch.arange(7)[:, None] - torch.arange(7))
    middle = x + block.attention(block.attention_norm(x), bias, None)
    torch.testing.assert_close(block(x, bias), middle + block.feedforward(block.feedforward_norm(middle)))


def test_the_sequence_model_has_no_positions_of_its_own():
    """GIA's backbone adds its own to those of the paper; here one layer of attention does not mind the order."""
    torch.manual_seed(0)
    transformer, x = Transformer(replace(SMALL, layers=1, alibi=False)), torch.randn(2, 8, 32)
    turned = torch.cat([x[:, torch.randperm(7)], x[:, 7:]], dim=1)
    torch.testing.assert_close(transformer(turned)[:, -1], transformer(x)[:, -1])


def test_every_token_sees_all_that_came_before():
    """GIA's backbone looks at 256 tokens in every second layer."""
    torch.manual_seed(0)
    transformer, x = Transformer(replace(SMALL, layers=1, alibi=False)), torch.randn(1, 400, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(transformer(x)[:, -1].square().sum(), x)
    assert (gradient.abs().sum(dim=2) > 0).all()


@pytest.mark.parametrize("argument", ["num_attention_heads", "key_value_size", "num_transformer_blocks", "layer_width"])
def test_every_size_that_gato_torch_names_is_used(argument):
    """gato-torch takes heads and the size of keys and values, and ignores them."""
    count = lambda model: sum(parameter.numel() for parameter in model.parameters())  # noqa: E731
    usual = {"num_attention_heads": 4, "key_value_size": 16, "num_transformer_blocks": 2, "layer_width": 64}
    assert count(documented(**{argument: 2 * usual[argument]})) > count(documented())


@pytest.mark.parametrize(("batch", "patches", "side"), [(1, 0, 16), (3, 6, 8)])
def test_the_raw_form_takes_any_number_of_sequences_patches_and_pixels(batch, patches, side):
    """gato-torch's own example fails in its first convolution."""
    tokens, size = patches + 3, side * side * 3
    ids = torch.rand(batch, tokens, size)
    ids[:, -1] = 7.0  # a discrete action
    encoding = torch.tensor([0] * patches + [1, 1, 2]).expand(batch, tokens)
    edges = (torch.linspace(0, 0.9, tokens).expand(batch, tokens), torch.linspace(0.1, 1, tokens).expand(batch, tokens))
    mask = torch.tensor([1] * (tokens - 1) + [0]).expand(batch, tokens)
    observed = (torch.arange(tokens).expand(batch, tokens), mask)
    model = documented(input_dim=size, img_patch_size=side).eval()
    assert model((ids, (encoding, edges, edges), observed)).shape == (batch, tokens, 64)


def test_the_table_that_is_read_is_the_table_that_is_written():
    """gato-tf reads 34,049 ids and writes 33,024, so that no action beyond the first 0 can be learned in its layout."""
    for name, size in (("split", 34_049), ("shared", 33_025)):
        model = Gato(replace(SMALL, layout=name, text=True), POINT)
        assert len(model.embedding.table.rows(slice(0, size))) == size
        assert model.logits(torch.zeros(2, 32), slice(0, size)).shape == (2, size)


@pytest.mark.parametrize("logits", ["legal", "full"])
@pytest.mark.parametrize("decoding", [{"decoding": "likely"}, {"decoding": "sampled", "temperature": 50.0}])
def test_no_action_is_ever_anything_but_an_action(logits, decoding):
    """Decoding over the whole table, as others do, can say a word or a separator; ours chooses among legal ids only."""
    config = replace(SMALL, logits=logits, **decoding)
    assert np.abs(played(gato(config), 4)).max() <= 1
    data = pictures()
    model = Gato(config, PICTURES)
    model.calibrate(data)
    with torch.no_grad():  # the best of all ids are text, the separator and actions that the task has not
        model.embedding.table.values[BINS + PICTURES.actions :] += 100
        if model.embedding.table.text is not None:
            model.embedding.table.text += 100
    player = model.player(4)
    actions = player.act(data.observations[::8], np.zeros(4), np.ones(4, bool))
    assert set(actions.tolist()) <= set(range(PICTURES.actions))


def test_a_step_costs_its_own_tokens_and_the_prompt_is_encoded_once():
    """NEKO computes the whole window again for every action token."""
    model = gato()
    cost = []
    extend = model.transformer.extend

    def counted(x, *arguments):
        cost[-1] += x.shape[0] * x.shape[1]
        return extend(x, *arguments)

    model.transformer.extend = counted
    player, live = model.player(5), np.ones(5, bool)
    for observations in np.random.default_rng(0).normal(size=(10, 5, 3)).astype(np.float32):
        cost.append(0)
        player.act(observations, np.zeros(5), live)
    per_step = 3 + 1 + 2
    prompt = SMALL.prompt_steps * per_step  # once for all five, who share it
    assert cost[0] == prompt + 5 * (per_step - 1)  # the last action token waits for the next step
    assert cost[1:] == [5 * per_step] * 9  # beyond the context, too


def test_one_gato_learns_to_act_see_and_write_from_a_mixture():
    """A task of numbers, one of pictures and a text: all are learned by the same updates."""
    torch.manual_seed(0)
    numbers = walk([12] * 40, spec=Spec("numbers", (3,), (2,), max_episode_steps=12))
    numbers = replace(numbers, actions=np.sign(numbers.observations[:, :2] - 3) * 0.5)
    shown = pictures(40)
    bright = np.random.default_rng(1).integers(2, size=len(shown))
    lit = np.broadcast_to(bright[:, None, None] * 200, shown.observations.shape)
    shown = replace(shown, observations=lit.astype(np.uint8), actions=bright * 3)
    words = Corpus("words", np.array(Text().encode("to be or not to be, " * 30)))
    mixture = Mixture((numbers, shown, words), weights=(4.0, 1.0, 1.0))
    config = replace(
        SMALL, text=True, batch_size=24, learning_rate=5e-3, patch_width=8, patch_groups=4, decoding="likely"
    )
    model = Gato(config, mixture.spec)
    model.calibrate(mixture)
    optimizer = torch.optim.AdamW(model.parameter_groups(), config.learning_rate, fused=True)
    for update in range(120):
        batch = model.sample(mixture, np.random.default_rng([0, update]))
        assert isinstance(batch, MixedBatch)
        optimizer.zero_grad()
        model.loss(batch)["total"].backward()
        optimizer.step()
    model.eval()
    live = np.ones(64, bool)
    observations = np.random.default_rng(5).normal(3, 2, (64, 3)).astype(np.float32)
    moves = model.player(64, task="numbers").act(observations, np.zeros(64), live)
    assert (np.sign(moves) == np.sign(observations[:, :2] - 3)).mean() > 0.8
    looks = np.repeat([0, 200], 32)[:, None, None] * np.ones((1, 20, 32))
    chosen = model.player(64, task="pictures").act(looks.astype(np.uint8), np.zeros(64), live)
    assert (chosen == np.repeat([0, 3], 32)).mean() > 0.9
    text = words.sample(np.random.default_rng(9), 4, 40)
    assert (text.token_types == TokenType.TEXT).all()
    assert model.loss(text)["total"] < 2.0  # nats; a uniform guess costs 10.4


def test_the_default_gato_has_no_parts_for_text_or_images():
    model = Gato(Config(), POINT)
    assert model.embedding.table.text is None
    assert model.embedding.patch is None
