"""How an action is taken from the distribution of its bins."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gato import Gato
from gato.player import Decoder
from tests.test_gato_model import LENGTHS, SMALL, gato, played
from tests.toys import walk


@pytest.mark.parametrize(("decoding", "expected"), [("likely", 1023), ("median", 501)])
def test_an_action_is_the_median_bin_or_the_most_likely_one(decoding, expected):
    model = gato(replace(SMALL, decoding=decoding))
    scores = torch.full((1, 1024), -20.0)
    scores[0, 480:521] = 0.0
    scores[0, 1023] = 1.0  # more likely than any other bin, and far from nearly all of them
    model.logits = lambda hidden, ids: scores
    assert Decoder(model, 0, 1, 0).choose(torch.zeros(1, 32), torch.tensor([0])).item() - 33_024 == expected


@pytest.mark.parametrize(("end", "decoding"), [(1.0, "sampled"), (0.999, "median")])
def test_clipped_actions_are_sampled_and_squashed_ones_take_the_bin_center(end, decoding):
    data = walk(LENGTHS)
    actions = np.clip(data.actions, -0.9, 0.9)
    actions[:10] = end
    model = Gato(SMALL, data.spec)
    model.calibrate(replace(data, actions=actions))
    assert model.metadata() == {"decoding": {data.spec.name: decoding}}
    again = Gato(SMALL, data.spec)
    again.load_state_dict(model.state_dict())
    assert again.decoding(0) == decoding
    assert Gato(replace(SMALL, decoding="likely"), data.spec).decoding(0) == "likely"


def test_sampled_actions_depend_on_the_seed_and_on_nothing_else():
    model = gato(replace(SMALL, decoding="sampled", temperature=1.0))
    assert np.array_equal(played(model, 3, seed=1), played(model, 3, seed=1))
    assert not np.array_equal(played(model, 3, seed=1), played(model, 3, seed=2))
