"""The report on a data set's tokens."""

import numpy as np
import pytest
import torch

from experiments.inspect_tokens import Options, arithmetic, main, rows, step_blocks
from gato.stream import TokenBlock, TokenType
from gato.tokens import layout
from tests.toys import walk
from trajectories.errors import UserError
from trajectories.types import Spec

ANT = Spec("ant", (27,), (8,), max_episode_steps=12)


def test_ant_fits_28_times_into_1024_tokens():
    report = arithmetic(step_blocks(walk((5,), spec=ANT), 0, layout("split")), layout("split"), 1024, 8)
    assert "36 tokens" in report
    assert "28 steps in 1024 tokens (1008 used)" in report
    assert "75.0%" in report


def test_a_printed_step_shows_each_value_beside_the_one_that_comes_back():
    data = walk((5,))
    blocks = step_blocks(data, 3, layout("split"))
    lines = rows(data, 3, blocks, layout("split"))
    values = [line.split()[-2:] for line in lines if line.split()[0] in ("tensor", "action")]
    there, back = np.array(values, float).T
    np.testing.assert_allclose(there, [*data.observations[3], *data.actions[3]], atol=1e-6)
    np.testing.assert_allclose(back, there, rtol=0.03, atol=0.002)


def test_a_sequence_shorter_than_one_step_is_refused():
    block = TokenBlock(TokenType.TENSOR, torch.zeros(1, 1, 30, dtype=torch.long))
    with pytest.raises(UserError, match="--tokens is 20"):
        arithmetic([block], layout("split"), 20, 8)


def test_a_step_that_is_not_there_is_refused(real):
    path = real / "hopper_medium-v2.hdf5"
    with pytest.raises(UserError, match="0 to 910"):
        main(Options(path=path, step=911))


def test_hopper_s_own_file_takes_15_tokens_a_step(real, capsys):
    main(Options(path=real / "hopper_medium-v2.hdf5"))
    output = capsys.readouterr().out
    assert "a step        15 tokens" in output
    assert f"{'1.18B':<13} {1_279_385_600:>13,}" in output
