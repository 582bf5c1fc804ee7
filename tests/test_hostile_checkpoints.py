"""Checkpoints that a stranger made, or a disk: each is refused in one sentence, before it costs anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.toys import small, walk
from training.checkpoint import load_model, load_state, save_model, save_rounded, save_state
from training.run_lock import ROUNDED, WEIGHTS
from training.train import adamw
from trajectories.errors import UserError

DATA = walk([12, 12, 8])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model = small("dt", DATA)
    optimizer = adamw(model)
    model.loss(model.sample(DATA, np.random.default_rng(0)))["total"].backward()
    optimizer.step()
    save_model(folder, "dt", model)
    save_rounded(folder, model)
    save_state(folder / "state.safetensors", model, optimizer, {}, {"update": 1, "tokens": 3, "seconds": 0.5})
    return folder


CARDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no object": lambda card: [],
    "a model of no name": lambda card: card | {"model": None},
    "a setting of another kind": lambda card: card["config"].update(width="x") or card,
    "a setting of no model": lambda card: card["config"].update(nothing=1) or card,
    "no heads": lambda card: card["config"].update(heads=0) or card,
    "more layers than a float can count": lambda card: card["config"].update(layers=10**400) or card,
    "a million million layers": lambda card: card["config"].update(layers=10**12) or card,
    "a width of gigabytes": lambda card: card["config"].update(width=10**6, heads=1) or card,
    "a negative number of actions": lambda card: card["spec"].update(actions=-1) or card,
    "an observation of terabytes": lambda card: card["spec"].update(observation_shape=[10**12]) or card,
    "a shape that is none": lambda card: card["spec"].update(observation_shape="xy") or card,
}


@pytest.mark.parametrize("weights", [WEIGHTS, ROUNDED])
@pytest.mark.parametrize("change", CARDS.values(), ids=CARDS)
def test_a_card_that_fits_no_model_is_refused(
    saved: Path, tmp_path: Path, change: Callable[..., object], weights: str
) -> None:
    for name in ("model.json", weights):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    load_model(tmp_path)
    card = json.loads((saved / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(change(card)))
    with pytest.raises(UserError, match=r"model\.json: damaged or of another version .*: train the run again"):
        load_model(tmp_path)


def test_a_whole_number_in_a_card_is_a_float_where_the_setting_is_one(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes())
    card = json.loads((saved / "model.json").read_text())
    card["config"].update(beta1=0, weight_decay=1)
    (tmp_path / "model.json").write_text(json.dumps(card))
    adamw(load_model(tmp_path))  # which takes either two floats or two tensors
    card["config"].update(beta1=10**400)
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="no setting beta1 that can be 1000"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", ["", "null", "[]", '{"a":' * 100_000, "{" * 9, '{"model": NaN}'])
def test_a_card_that_is_no_json_object_is_refused(saved: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.json: damaged or of another version"):
        load_model(tmp_path)


def renamed(name: str) -> Callable[[dict[str, torch.Tensor], dict[str, str]], None]:
    def change(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        tensors[name] = tensors.pop("optimizer.0.exp_avg")

    return change


def progress(text: str) -> Callable[[dict[str, torch.Tensor], dict[str, str]], None]:
    return lambda tensors, metadata: metadata.update(progress=text)


def test_rounded_weights_that_are_damaged_or_another_models_are_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes((saved / "model.json").read_bytes())
    (tmp_path / ROUNDED).write_bytes((saved / ROUNDED).read_bytes()[:5000])
    with pytest.raises(UserError, match=r"model\.bf16\.safetensors: damaged checkpoint"):
        load_model(tmp_path)
    save_rounded(tmp_path, small("bc", DATA))
    with pytest.raises(UserError, match=r"model\.bf16\.safetensors: these are another model's weights"):
        load_model(tmp_path)


STATES = {
    "two parts": renamed("optimizer.exp_avg"),
    "four parts": renamed("optimizer.0.exp.avg"),
    "no number": renamed("optimizer.x.exp_avg"),
    "no such parameter": renamed("optimizer.999.exp_avg"),
    "another moment": renamed("optimizer.0.momentum"),
    "a moment of another shape": lambda tensors, metadata: tensors.update({"optimizer.0.exp_avg": torch.zeros(3)}),
    "no progress": progress("null"),
    "progress as a list": progress("[1]"),
    "progress without end": progress('{"a":' * 100_000),
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_a_state_that_fits_no_training_is_refused(saved: Path, tmp_path: Path, change: Callable[..., None]) -> None:
    path = tmp_path / "state.safetensors"
    tensors, metadata = load_file(saved / path.name), {"progress": '{"update": 1, "tokens": 3, "seconds": 0.5}'}
    model = small("dt", DATA)
    save_file(tensors, path, metadata)
    assert load_state(path, model, adamw(model))[1]["update"] == 1
    change(tensors, metadata)
    save_file(tensors, path, metadata)
    with pytest.raises(UserError, match=r"state\.safetensors: this is another model's checkpoint or damaged"):
        load_state(path, model, adamw(model))
