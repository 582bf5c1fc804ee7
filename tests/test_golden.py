"""A change that should change no number changes none: losses and actions of every model against tests/golden.json."""

import json

import pytest
import torch

from tests import golden
from tests.toys import SMALL


@pytest.mark.parametrize("precision", golden.TOLERANCES)
@pytest.mark.parametrize("case", golden.CASES)
def test_training_and_playing_give_the_golden_numbers(case: str, precision: str) -> None:
    if not golden.comparable(case):
        pytest.skip("this torch has no MKL, and so draws dropout otherwise")
    found = golden.numbers(case, precision)
    assert golden.difference(case, precision, found) == ""
    assert found["numerics"] == golden.stored()["cases"][case]["numerics"]


def test_every_model_has_golden_numbers_of_every_kind_of_input() -> None:
    assert set(golden.stored()["cases"]) == set(golden.CASES)
    assert {(model, data) for model, data, _ in golden.CASES.values()} >= {
        (model, data) for model in SMALL for data in golden.INPUTS
    }


def test_golden_numbers_are_kept_to_the_last_bit() -> None:
    numbers = torch.rand(1000) * 10 - 5
    kept = json.loads(json.dumps([golden.shortest(number) for number in numbers]))
    assert torch.equal(torch.tensor(kept, dtype=torch.float64).float(), numbers)
