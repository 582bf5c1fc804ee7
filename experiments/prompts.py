"""The effect of the prompt: play a finished Gato under several prompts.

    python experiments/run.py --model gato --env hopper-medium-replay --prompt-from alike
    python experiments/prompts.py results/runs/<run>
    python experiments/report.py          # results/prompts.md

Each prompt comes before the same episodes as in the run's own evaluation; nothing is trained.
"""

import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import trajectories  # noqa: F401  before torch is imported

# isort: split
import torch
import tyro

from backbone.interface import Model
from experiments.play import finished, recorded
from report import markdown, prompts
from report.score_families import is_answered
from report.store import RECORD, Record, read_record
from training import provenance
from training.checkpoint import load_model
from training.cli import exit_on_user_error
from training.devices import device_name, find_device
from training.evaluate import episode_seeds
from training.replay import replay
from training.run_lock import rounding
from trajectories.errors import UserError


@dataclass(frozen=True)
class Options:
    """Measure a finished run of Gato under several prompts."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, results/runs/<run>"""
    env: str | None = None
    """which of its data sets' environments to play, where it has learned several; else all of them"""
    prompts: tuple[str, ...] = tuple(prompts.MEANING)
    """none, end, uniform, best, or .npz files of observations and actions"""
    episodes: int | None = None
    """how many for each prompt, if not as many as in the run's record"""
    threads: int = 0
    """threads for tensors; 0: one for each core"""
    device: str = "cpu"
    """where the model computes"""


def main(options: Options) -> None:
    """Measure one task, or each that is played where a run has several and none is named."""
    places = sorted(path.parent for path in options.run.glob(f"*/{RECORD}")) if options.env is None else []
    chosen = [each for each in map(read_record, places) if not is_answered(each)]
    measured = [one(replace(options, env=each.dataset)) for each in chosen] or [one(options)]
    print(markdown.grid(prompts.table(measured)))


def one(options: Options) -> tuple[Record, prompts.Ablation]:
    """A task's record, and what it scores under each prompt; measured if it was not yet."""
    record = finished(options.run, options.env)
    place = recorded(options.run, options.env)
    for prompt in options.prompts:
        if prompt not in prompts.MEANING and not Path(prompt).is_file():
            raise UserError(f"--prompts has {prompt!r}: give {', '.join(prompts.MEANING)}, or an .npz file.")
    if (place / prompts.PROMPTS).exists():
        check_measured(options, place)
        print(f"This was measured already: {place / prompts.PROMPTS}.")
    else:
        model = load_model(options.run, find_device(options.device))
        check(options, model, record)
        if options.threads:
            torch.set_num_threads(options.threads)
        prompts.write(place, measure(options, model, record))
    return record, prompts.read(place)


def check_measured(options: Options, place: Path) -> None:
    """Refuse other prompts, or another number of episodes, than were measured."""
    known = prompts.read(place)
    has, given = [each.prompt for each in known.prompted], [named(prompt) for prompt in options.prompts]
    other = options.prompts != tuple(prompts.MEANING) and has != given
    if other or options.episodes not in (None, len(known.seeds)):
        what = f"{', '.join(has)} in {len(known.seeds)} episodes"
        otherwise = "remove it to measure all anew, or leave --prompts and --episodes out"
        raise UserError(f"{place / prompts.PROMPTS} has {what}: {otherwise}.")


def named(prompt: str) -> str:
    """What a prompt is called in tables."""
    return prompt if prompt in prompts.MEANING else Path(prompt).name


def check(options: Options, model: Model, record: Record) -> None:
    """Refuse what cannot be meant before anything is played."""
    if is_answered(record):
        raise UserError(f"{options.run}: {record.dataset} is answered, and takes no prompts: give one that is played.")
    if not hasattr(model.config, "prompt"):
        raise UserError(f"{options.run}: {record.model} takes no prompts: give a run of gato.")
    if options.episodes is not None and options.episodes < 1:
        raise UserError(f"--episodes is {options.episodes}, and there is nothing to play: give 1 or more.")


def measure(options: Options, model: Model, record: Record) -> prompts.Ablation:
    """Play the run's own episodes once under each prompt."""
    began = time.monotonic()
    episodes = options.episodes or record.protocol.episodes
    prompted = []
    with replay(record, model, episodes) as again:
        for prompt in options.prompts:
            model.config = replace(model.config, prompt=prompt)  # type: ignore[call-arg]  # Gato's
            played = again.play(f"playing, prompt {prompt}")
            prompted.append(prompts.Prompted(named(prompt), played))
    head, dirty = provenance.commit()
    return prompts.Ablation(
        prompted=tuple(prompted),
        seeds=episode_seeds(episodes),
        seconds=round(time.monotonic() - began, 1),
        device=device_name(find_device(options.device)),
        versions=provenance.versions() | rounding(options.run),
        commit=head,
        dirty=dirty,
        command=command(options, record),
    )


def command(options: Options, record: Record) -> str:
    """What measures this again, without paths of one machine."""
    words = ["python", "experiments/prompts.py", f"results/runs/{options.run.resolve().name}"]
    words += ["--env", record.dataset] if len(record.tasks) > 1 else []
    words += ["--episodes", str(options.episodes)] if options.episodes else []
    if options.prompts != tuple(prompts.MEANING):
        words += ["--prompts", *map(named, options.prompts)]
    return shlex.join(words)


if __name__ == "__main__":
    with exit_on_user_error():
        main(tyro.cli(Options, description=__doc__, prog="prompts.py"))
