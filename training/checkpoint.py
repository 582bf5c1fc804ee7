"""Checkpoints are safetensors plus JSON: loading one runs no code.

model.safetensors, model.json   a finished model: weights and buffers; which model, its configuration and its spec;
                                beside them the pictures that it has to show
model.bf16.safetensors          the same weights for git, rounded to bfloat16; read where model.safetensors is not there
state.safetensors               a training under way: weights, the optimizer's moments and how far it has come
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_buffer_registration_hook as register_buffers_hook
from torch.nn.modules.module import register_module_parameter_registration_hook as register_parameters_hook

from backbone.interface import Model, SequenceModel
from report.parsing import build, read_json
from training.distributed import full_tensor, is_main_process, shard_tensor
from training.registry import ModelElsewhereError, find, find_named
from training.run_lock import CARD, ROUNDED, WEIGHTS, weights_of
from training.start import config_of, folder_of
from trajectories.atomic import atomic_file, make_folder, write_text
from trajectories.errors import UserError
from trajectories.types import Spec

SMALL = 1 << 20  # bytes
MOST = 6_000_000  # bytes of a file for git: those of a generalist; a run of one task has a third of them


def save_model(folder: Path, name: str, model: Model) -> None:
    """Weights first, card last: a card promises that the weights are there. Another training's are removed."""
    (folder / ROUNDED).unlink(missing_ok=True)
    write_tensors(folder / WEIGHTS, model.state_dict())
    for title, picture in model.images().items():
        save_picture(folder / f"{title}.png", picture)
    card = {"model": name, "config": asdict(model.config), "spec": _spec_to_json(model.spec)}
    write_text(folder / CARD, json.dumps(card, indent=1) + "\n")


def save_rounded(folder: Path, model: Model) -> Path:
    """Keep a finished run's model in a file small enough for git, beside the card that it was loaded by.

    Parameters are rounded to bfloat16, 8 bits of precision; buffers, which decide tokens and normalize, are kept as
    they are.

    Raises:
        UserError: the file would have more than `MOST` bytes; nothing is written.
    """
    learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tensors = {
        name: (value.to(torch.bfloat16) if name in learned and value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    file, size = folder / ROUNDED, len(save(tensors))
    if size > MOST:
        raise UserError(f"{file} would have {size / 1e6:.1f} MB, and git takes {MOST / 1e6:g} MB of a run: "
                        f"choose a run of fewer parameters.")  # fmt: skip
    write_tensors(file, tensors)
    return file


def save_picture(path: Path, picture: np.ndarray) -> None:
    """(H, W, 3) uint8, whole or not at all."""
    from PIL import Image  # only where there is something to show

    with atomic_file(path) as fresh:
        Image.fromarray(picture).save(fresh, "PNG")


def load_model(folder: Path, device: torch.device | str = "cpu", model_name: str | None = None) -> Model:
    """The finished model of a run, ready to act.

    Args:
        model_name: package.module:Class, as the user names it; None: one of this repository, as its card names it.

    Raises:
        UserError: there is none, it is damaged, or its weights are another model's.
    """
    card_path, weights = folder / CARD, weights_of(folder)
    if not folder.is_dir():
        raise UserError(f"There is no run {folder}: give the folder of a finished run, results/runs/<run>.")
    if not card_path.exists():
        raise _not_here(folder, CARD)
    model = None
    try:
        make = _described(read_json(card_path), model_name)
        if weights.exists():
            with _no_larger_than(weights), torch.device("meta"):  # where nothing takes memory
                make()
            model = make()
    except ModelElsewhereError:
        raise
    except Exception as error:  # a stranger's card may fail in any way
        raise UserError(f"{card_path}: damaged or of another version ({error}): train the run again.") from error
    if model is None:
        raise _not_here(folder, weights.name)
    load_weights(model, _announced(weights))
    return model.to(device).eval()


def _not_here(folder: Path, name: str) -> UserError:
    how = "git has the weights of few runs: run the command in its record.json again to train it"
    return UserError(f"{folder}: there is no {name} here; {how}.")


def _announced(weights: Path) -> Path:
    """The same file; where its weights are rounded, this is printed."""
    if weights.name == ROUNDED:
        print(f"{weights}: weights rounded to bfloat16, so that returns may differ from the record's.")
    return weights


def _described(card: Any, model_name: str | None) -> Callable[[], Model]:
    """What makes the model that a card describes, its settings checked like a command's."""
    spec = _spec_from_json(card["spec"])
    entry = find(card["model"], spec) if model_name is None else find_named(model_name, spec)
    config = config_of(card, entry)
    return lambda: entry.model(config, spec)


@contextmanager
def _no_larger_than(weights: Path) -> Iterator[None]:
    """Raise ValueError where a model is made that is larger than the file that holds its weights."""
    times = 4 if weights.name == ROUNDED else 2  # some parts are made and replaced, in float32
    left = SMALL + times * weights.stat().st_size if weights.exists() else SMALL

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal left
        left -= tensor.nbytes if tensor is not None else 0
        if left < 0:
            raise ValueError(f"its settings make a model that is larger than {weights.name}")

    hooks = [register(count) for register in (register_parameters_hook, register_buffers_hook)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def load_weights(model: Model, path: Path) -> None:
    """Fill a model from a file of weights that fit it exactly."""
    tensors, _ = read_tensors(path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"{path}: these are another model's weights: train the run again.") from error


def begin_with(model: SequenceModel, start: str) -> int:
    """Give a new model the learned weights of a run that both have; how many parameters these are.

    What was calibrated to that run's data (prompts, mean images, normalization) is not taken over, but for the pieces
    of texts; and see `keep_calibration`.

    Raises:
        UserError: its weights are damaged or have nothing in common with the model's.
    """
    path = _announced(weights_of(folder_of(start)))
    tensors, _ = read_tensors(path)
    taken = _copied(tensors, dict(model.named_parameters()))
    if not taken:
        raise UserError(f"{path}: these weights have nothing in common with the model: choose another run.")
    model.begin(tensors)
    return taken


def keep_calibration(model: SequenceModel, start: str) -> None:
    """Once a model that began with a run's weights is calibrated: give it back what these weights rest on."""
    tensors, _ = read_tensors(weights_of(folder_of(start)))
    _copied(tensors, model.inherited(tensors))


def _copied(tensors: Mapping[str, Tensor], owned: Mapping[str, Tensor]) -> int:
    """Copy what has the same name and shape; how many numbers these are."""
    taken = 0
    with torch.no_grad():
        for name, own in owned.items():
            value = tensors.get(name)
            if value is not None and value.shape == own.shape:
                own.copy_(value)
                taken += own.numel()
    return taken


def save_state(
    path: Path,
    model: SequenceModel,
    optimizer: torch.optim.Optimizer,
    losses: Mapping[str, Tensor],
    progress: dict[str, Any],
) -> None:
    """A training under way, in one file: it is either the old one or the new one. Of a team, the first writes it.

    Args:
        losses: of the updates since the last row of the curve.
    """
    tensors = {f"model.{key}": full_tensor(value) for key, value in model.state_dict().items()}
    tensors |= {f"losses.{name}": value for name, value in losses.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": full_tensor(value) for key, value in moments.items()}
    if is_main_process():
        write_tensors(path, tensors, {"progress": json.dumps(progress)})


def load_state(
    path: Path, model: SequenceModel, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Continue where `save_state` left off; returns its `losses` and `progress`."""
    tensors, metadata = read_tensors(path)
    state: dict[int, dict[str, Tensor]] = {}
    try:
        for key, value in _within(tensors, "optimizer.").items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        own, now = _within(tensors, "model."), model.state_dict()
        model.load_state_dict({key: shard_tensor(value, now.get(key)) for key, value in own.items()})
        parameters: list[Tensor] = [each for group in optimizer.param_groups for each in group["params"]]
        for place, moments in state.items():
            shapes = {name: value.shape for name, value in moments.items()}
            if shapes != {"step": (), **dict.fromkeys(("exp_avg", "exp_avg_sq"), parameters[place].shape)}:
                raise ValueError(f"the moments of parameter {place} are {shapes}")
            for name, value in moments.items():
                moments[name] = shard_tensor(value, parameters[place]) if value.ndim else value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return _within(tensors, "losses."), dict(json.loads(metadata["progress"]))
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(f"{path}: this is another model's checkpoint or damaged: remove it to start again.") from error


def load_state_weights(path: Path, model: SequenceModel) -> None:
    """Give a new model the weights and buffers of a training under way."""
    try:
        model.load_state_dict(_within(read_tensors(path)[0], "model."))
    except RuntimeError as error:
        raise UserError(f"{path}: this is another model's checkpoint: remove it to start again.") from error


def _within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """A whole file or none."""
    make_folder(path.parent)
    try:
        with atomic_file(path, alone=True) as fresh:
            save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, fresh, metadata)
    except SafetensorError as error:  # the number stands in its text only: "... (os error 28)"
        number = re.search(r"os error (\d+)", str(error))
        raise (OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file and its metadata.

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such checkpoint: run the command again to train it.") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged checkpoint ({error}): remove it and run the command again.") from error


def _spec_to_json(spec: Spec | tuple[Spec, ...]) -> Any:
    """One spec, or a list of them for a model of several tasks."""
    return [each.to_json() for each in spec] if isinstance(spec, tuple) else spec.to_json()


def _spec_from_json(row: Any) -> Spec | tuple[Spec, ...]:
    if isinstance(row, list):
        return tuple(build(Spec, each, "spec") for each in row)
    return build(Spec, row, "spec")
