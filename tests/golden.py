"""Golden numbers: what a short training and a few steps of play give, for every model and every kind of input.

    python -m tests.golden             # name the cases whose numbers are not those of golden.json
    python -m tests.golden --write     # write golden.json anew, after a change that is meant to change numbers

Each case trains a small model for twenty updates from seed 0 on one thread, then plays six steps of three episodes.
A change that should change no number leaves golden.json as it is; one that should, raises the model's NUMERICS, writes
golden.json and says why.

Exact    in fp32, on the processor and the version of torch that golden.json names: every loss and every action
Close    in fp32 elsewhere, where products are summed in another order: with the kernels of AVX2 instead of AVX512
         losses moved by 5e-7 of their size, without either by 5e-5, and no action that is chosen from tokens changed
Near     in bf16 everywhere: to the same numbers of fp32. One action in ten may be another, where one is drawn; a beam
         search on other weights may find another plan, so the Trajectory Transformer's actions are left out
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from backbone.interface import Model, SequenceModel
from environments.make import make
from sources.loading import Request, load
from tests.toys import CHOICES, SCREEN, random_observations, small, walk
from training import train
from training.devices import device_name
from training.evaluate import begin, episode_seeds
from training.settings import Run
from trajectories.mixture import Mixture
from trajectories.types import Trajectories

PATH = Path(__file__).with_name("golden.json")
UPDATES, STEPS, EPISODES = 20, 6, 3
TARGET_RETURN = 9.0
TOLERANCES = {  # of losses, relative; of actions, absolute; and what share of actions may be further away
    "fp32": (1e-4, 1e-4, 0.0),
    "bf16": (2e-2, 1e-2, 0.1),
}
LENGTHS = (12, 1, 7, 12, 3)
INPUTS = ("toy", "choices", "screen")

Numbers = dict[str, Any]

# name: model, data, what is not as in tests/toys.py
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{f"{model}-{data}": (model, data, {"dropout": 0.0}) for data in INPUTS for model in ("bc", "dt", "tt")},
    **{f"nearest-{data}": ("nearest", data, {}) for data in INPUTS},
    **{f"{model}-dropout": (model, "toy", {"dropout": 0.1}) for model in ("bc", "dt", "tt")},
    **{f"gato-{data}": ("gato", data, {"decoding": "median"}) for data in (*INPUTS, "mixture")},
    "tt-planner": (
        *("tt", "toy"),
        {"dropout": 0.0, "horizon": 4, "beam_width": 8, "plan_every": 2, "top_actions": 3, "percentile": 0.7},
    ),
    "gato-prompts": (
        *("gato", "toy"),
        {"prompt_steps": 2, "prompt_share": 0.5, "prompt_from": "alike", "prompt": "end", "decoding": "median"},
    ),
    "gato-sampled": (
        *("gato", "toy"),
        {"decoding": "sampled", "memory": "recompute", "action_positions": "own", "timestep_positions": True},
    ),
    "gato-paper": (
        *("gato", "toy"),
        {"feedforward": "geglu", "logits": "full", "alibi": False, "ordinal_init": False, "decoding": "median"},
    ),
    "gato-dropout": ("gato", "toy", {"dropout": 0.1, "stochastic_depth": 0.1, "decoding": "median"}),
}


@cache
def data(name: str) -> Trajectories:
    """What a case learns from: the toy's medium policy, noise with discrete actions or noise on a screen."""
    if name == "toy":
        with TemporaryDirectory() as folder:
            return load(Request(name="toy-medium", source="collected", steps=320, data_dir=Path(folder)))
    return walk(LENGTHS, spec=CHOICES if name == "choices" else SCREEN)


def numbers(case: str, precision: str) -> Numbers:
    """The losses of twenty updates, and the actions of six steps of each task."""
    model_name, data_name, changes = CASES[case]
    with one_thread():
        torch.manual_seed(0)
        parts = [data(part) for part in (INPUTS if data_name == "mixture" else (data_name,))]
        learned: Any = parts[0] if len(parts) == 1 else Mixture(tuple(parts), (2.0, 2.0, 1.0))
        model = small(model_name, learned, **changes).train()
        losses = updated(model, learned, precision) if isinstance(model, SequenceModel) else []
        model.eval()
        tasks = [part.origin.name if len(parts) > 1 else None for part in parts]
        played = [actions(model, part, task, precision) for part, task in zip(parts, tasks, strict=True)]
    return {"numerics": model.NUMERICS, "losses": [shortest(loss) for loss in losses], "actions": played}


def updated(model: SequenceModel, learned: Any, precision: str) -> list[torch.Tensor]:
    """The losses of twenty updates."""
    run, optimizer, done = Run(updates=UPDATES, precision=precision), train.adamw(model), train.Progress()
    return [train.update(model, learned, optimizer, run, done)["total"] for _ in range(UPDATES)]


def actions(model: Model, part: Trajectories, task: str | None, precision: str) -> list:
    """(STEPS, EPISODES, A), played in the toy, or on noise where there is no environment."""
    player = begin(model, EPISODES, TARGET_RETURN, 0, task, precision=precision)
    toy = make("toy", EPISODES) if part is data("toy") else None
    noise = random_observations(
        np.random.default_rng(1), part.spec, (STEPS + 1, EPISODES, *part.spec.observation_shape)
    )
    observations = toy.reset(episode_seeds(EPISODES)) if toy else noise[0]
    rewards, live, made = np.zeros(EPISODES), np.ones(EPISODES, bool), []
    for step in range(STEPS):
        live[0] = step < STEPS - 2  # one is over before the others
        made.append(player.act(observations, rewards, live))
        if toy:
            observations, rewards, *_ = toy.step(made[-1], live)
        else:
            observations, rewards = noise[step + 1], np.full(EPISODES, 0.5)
    return [[[shortest(number) for number in np.ravel(action)] for action in step] for step in made]


def shortest(number: torch.Tensor | np.generic) -> float | int:
    """A number of 32 bits in the fewest digits from which its bits come back; a whole one as it is."""
    value = np.asarray(number)
    return int(value) if value.dtype.kind in "iu" else float(str(np.float32(value)))


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def machine() -> dict[str, str]:
    """Where numbers are exact: what decides in which order products are summed."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "processor": f"{device_name(torch.device('cpu'))}, {capability}"}


def stored() -> dict[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))


def exact() -> bool:
    """Whether golden.json is of this kind of machine."""
    return all(stored()[name] == value for name, value in machine().items())


def comparable(case: str) -> bool:
    """Whether a case's numbers can be repeated here: MKL draws dropout otherwise than torch does without it."""
    return torch.backends.mkl.is_available() or not case.endswith("dropout")


def difference(case: str, precision: str, found: Numbers) -> str:
    """How a case's numbers differ from the golden ones, in a line; "" where they do not."""
    golden = stored()["cases"][case]
    of_losses, of_actions, share = (0.0, 0.0, 0.0) if precision == "fp32" and exact() else TOLERANCES[precision]
    losses, expected = (np.asarray(each["losses"], np.float32) for each in (found, golden))
    off = np.abs(losses - expected) > of_losses * np.abs(expected)
    if off.any():
        first = int(np.argmax(off))
        return f"{case} in {precision}: the loss of update {first + 1} is {losses[first]}, and was {expected[first]}"
    if precision == "bf16" and CASES[case][0] == "tt":
        return ""
    for ours, theirs in zip(found["actions"], golden["actions"], strict=True):
        further = np.abs(np.asarray(ours, np.float32) - np.asarray(theirs, np.float32)) > of_actions
        if further.mean() > share:
            return f"{case} in {precision}: the losses are the same, and {further.sum()} numbers of actions are others"
    return ""


def write() -> None:
    """golden.json, a line for each case; says which numbers of models that are called the same are others."""
    fresh = {case: numbers(case, "fp32") for case in CASES}
    golden = stored()["cases"] if PATH.exists() else {}
    for case in fresh.keys() & golden.keys():
        if (why := difference(case, "fp32", fresh[case])) and fresh[case]["numerics"] == golden[case]["numerics"]:
            print(f"{why}: where runs of users change, too, raise NUMERICS of {CASES[case][0]}")
    cases = ",\n".join(f'  "{case}": {json.dumps(found)}' for case, found in fresh.items())
    header = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in machine().items())
    PATH.write_text(f'{{\n{header} "cases": {{\n{cases}\n }}\n}}\n', encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write golden.json anew")
    if parser.parse_args().write:
        write()
        return
    print(f"Compared {'exactly' if exact() else 'closely: golden.json is of another machine'}.")
    pairs = [(case, precision) for case in CASES if comparable(case) for precision in TOLERANCES]
    lines = [difference(*pair, numbers(*pair)) for pair in pairs]
    print("\n".join(filter(None, lines)) or f"All {len(CASES)} cases give the golden numbers.")


if __name__ == "__main__":
    main()
