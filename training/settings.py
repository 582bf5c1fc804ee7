"""The command line is these dataclasses and the model's own: defaults, types and help stand in one place.

The dataclasses' defaults < the environment's row < one preset of presets.toml < the command line. Everything in Run and
in the model's Config decides the result and is part of the run's identity; what is in Machine does not and is not.
"""

import shlex
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, make_dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import tyro

from backbone.config import BaseConfig, ModelConfig
from backbone.options import check_options, check_words, option
from sources.request import Physics, Source
from training.presets import DEFAULT, PRESETS, environment_values, fill, preset_names, preset_values
from training.registry import MODELS, Entry, check_answered, find, find_named
from training.start import started_config
from training.suites import find as find_suite
from trajectories import gym_registry
from trajectories.catalog import dataset
from trajectories.errors import UserError, did_you_mean
from trajectories.own_names import check_named, own_name
from trajectories.types import Spec

Precision = Literal["auto", "fp32", "bf16"]
UNSAID = ("path", "preset", "task", "suite", "without", "skip_missing")  # a run's own command has these otherwise
DESCRIPTION = "Train a model on recorded trajectories, play it in the real environment, record the result."


@dataclass(frozen=True)
class Run:
    """What is learned from what, for how long, and how it is measured."""

    model: str = option("dt", f"what learns: {', '.join(MODELS)}, or package.module:Class of your own")
    env: tuple[str, ...] = option(
        ("hopper-medium",), "data set to learn from; its environment is where the agent is measured; gato takes several"
    )
    task_weights: tuple[float, ...] = option(
        (), "how often each of several --env is drawn; else equally often", above=0
    )
    suite: str = option("", "all data sets of a suite of experiments/suites.toml at once, by its weights (gato)")
    without: tuple[str, ...] = option((), "leave out the suite's tasks of these families: text, pairs, atari, ...")
    skip_missing: bool = option(False, "of several --env, leave out those whose package is not installed")
    preset: str = option(DEFAULT, "budget and settings to start from: see above, and experiments/presets.toml")
    source: Source = option("auto", "where the data come from; auto: the first of them that has the data set")
    path: tuple[Path, ...] = option(
        (), "a data file of your own, or the D4RL file whose policy is to be rerolled; one for each --env"
    )
    allow_mismatch: bool = option(False, "take a --path although its states are far from what is published of them")
    task: str | None = option(None, "with a --path of your own: the environment it belongs to, Hopper-v4 or hopper")
    steps: int | None = option(None, "steps to reroll or collect, if not the data set's own number", low=1)
    data_seed: int = option(
        0, "seed of rerolled and collected data; the same data serve every --seed", low=0, below=1 << 63
    )
    replay_steps: int = option(500_000, "dqn-replay: steps to select", low=1)
    replay_checkpoints: int = option(50, "dqn-replay: of the last so many of checkpoints 0 to 49", low=1)
    physics: Physics = option("d4rl", "d4rl: the bodies in which D4RL was recorded; gymnasium: as it ships them")
    fraction_best: float = option(
        1.0, "learn from the best episodes only, this share of the steps (%BC)", above=0, high=1
    )
    fraction_of_expert: float = option(
        0.0, "learn only from episodes with this share of the expert's return; Gato's paper: 0.8; 0: all", low=0, high=1
    )
    demonstrations: int = option(0, "learn from so many episodes only, drawn by --data-seed; 0: from all", low=0)
    start: str = option(
        "", "begin with the weights and the settings of a finished run, by its folder (gato); else with random ones"
    )
    delayed_reward: bool = option(False, "give each episode's whole reward at its last step")
    seed: int = option(0, "decides weights, batches and dropout", low=0, below=1 << 63)
    updates: int = option(5_000, "gradient steps; 0 with --start: its weights are only measured", low=0)
    episodes: int = option(100, "evaluation episodes for each target return, the same starts for every model", low=1)
    target_returns: tuple[float, ...] = option((), "returns to ask for, if not the environment's own; first: headline")
    evaluate_every: int = option(0, "also play every so many updates while training; 0: only at the end", low=0)
    evaluate_episodes: int = option(10, "episodes played each time while training", low=1)
    precision: Precision = option("auto", "bf16 is autocast; auto: bf16 where the processor has it")


@dataclass(frozen=True)
class Machine:
    """Where and how it runs; the result is the same."""

    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")
    threads: int = option(0, "threads for tensors; 0: one for each core", low=0)
    data_dir: Path | None = option(None, "cache for data; else $TRAJECTORIES_DIR, else the user's cache folder")
    results_dir: Path | None = option(None, "where runs are kept; else results/runs of this repository")
    checkpoint_seconds: float = option(30.0, "a killed run loses at most about this much work", low=0)
    micro_batch: int = option(
        0, "windows read at once, in less memory: a batch's gradients add up; 0: all at once", low=0
    )
    recompute: bool = option(False, "gato: compute blocks' activations twice instead of keeping them, in less memory")
    shard: bool = option(False, "under torchrun, share out weights and optimizer too (FSDP2), not only the batch (DDP)")
    track: Literal["none", "trackio", "wandb", "tensorboard"] = option(
        "none", "show the curve's rows in a tracker while it learns: trackio keeps all on this machine"
    )


@dataclass(frozen=True)
class Settings:
    """Everything the command line decides."""

    run: Run
    config: BaseConfig
    machine: Machine

    def __post_init__(self) -> None:
        if not isinstance(self.config, ModelConfig):  # nothing to train, whatever a preset or a grid gives all models
            object.__setattr__(self, "run", replace(self.run, updates=0))

    def resolved(self) -> dict[str, Any]:
        """What decides the result, for the record; where a file lies does not, what is in it does (the digest)."""
        run = asdict(self.run)
        del run["path"], run["preset"], run["task"], run["allow_mismatch"]  # the task is in the data set's name
        del run["suite"], run["without"], run["skip_missing"]  # in the data sets' names
        del run["replay_steps"], run["replay_checkpoints"]  # likewise in the digest
        run["start"] = Path(self.run.start).name  # which has a hash of what its weights were made of
        if len(self.run.env) == 1:
            del run["task_weights"]
            run["env"] = self.run.env[0]
        return {"model": asdict(self.config), "run": run}

    def command(self) -> str:
        """The command that runs this again, but for a data file's place and what only the machine decides."""
        words = ["--model", self.run.model, "--env", *self.run.env]
        if self.run.preset != Run.preset:
            words += ["--preset", self.run.preset]
        usual = parse([*words, *(["--start", self.run.start] if self.run.start else [])])
        if self.run.start:
            words += ["--start", Path(self.run.start).name]
        for owner, other in ((self.run, usual.run), (self.config, usual.config)):
            for field in fields(owner):
                value = getattr(owner, field.name)
                if field.name in UNSAID or (field.name, value) == ("source", "file"):
                    continue  # a user's own file is named by --path
                if value != getattr(other, field.name):
                    words += flag(field.name, value)
        return f"python experiments/run.py {shlex.join(words)}"


def parse(arguments: Sequence[str], presets: Path = PRESETS) -> Settings:
    """Settings from a command line.

    Raises:
        UserError: an unknown model, preset or option, or a value out of range.
        SystemExit: --help, or a value of the wrong type (tyro says which, exit code 2).
    """
    arguments = expanded(arguments)
    first = ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("model", "preset", "source", "task", "start"):
        first.add_argument(f"--{name}", default=getattr(Run(), name))
    for name in ("env", "path"):
        first.add_argument(f"--{name}", nargs="+", default=())
    chosen, _ = first.parse_known_args(list(arguments))
    chosen.env = named(chosen.env, chosen.task, [Path(path) for path in chosen.path], chosen.source)
    gym_registry.trust(*chosen.env)
    entry = find_named(chosen.model, spec_of(chosen.env))
    usual = preset_settings(entry, chosen.env, chosen.preset, presets)
    if chosen.start:
        usual = replace(usual, config=started_config(entry, chosen.start))
    parts = [(name, type(part), option(part, str(part.__doc__))) for name, part in vars(usual).items()]
    Line: Any = make_dataclass("Line", parts, frozen=True)
    check_words(arguments, (Run, entry.config, Machine))
    line, unknown = tyro.cli(
        Line,
        config=(tyro.conf.OmitArgPrefixes,),
        default=Line(),
        args=list(arguments),
        prog="run.py",
        description=f"{DESCRIPTION} Presets of {entry.name}: {', '.join(preset_names(presets, entry))}.",
        return_unknown_args=True,
    )
    if unknown:
        raise UserError(f"Unknown option {unknown[0]!r}: {closest(unknown[0], line)}")
    settings = Settings(replace(line.run, model=entry.name, env=tuple(chosen.env)), line.config, line.machine)
    check(settings)
    return settings


def expanded(arguments: Sequence[str]) -> list[str]:
    """A command line in which `--suite NAME` is spelled out: data sets, weights, source, preset and model's options.

    What the command line says itself stands: `--task-weights` without numbers draws all of them equally often.

    Raises:
        UserError: there is no such suite or several are named, or `--without` names none of its families.
    """
    whole = ("--suite=", "--without=")
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith(whole) else [word])]
    if words.count("--suite") > 1:
        raise UserError("--suite is given more than once: name one suite, or the data sets with --env.")
    if "--suite" not in words[:-1]:
        if "--without" in words:
            raise UserError("--without leaves families out of a suite, and there is none: add --suite, or use --env.")
        return words
    place = words.index("--suite")
    suite = find_suite(words[place + 1])
    del words[place : place + 2]
    split = [part for word in words for part in word.split("=", 1)]
    if "--without" in words and "--env" in split:
        raise UserError("--without leaves out families of a suite, and --env names other data sets: give one.")
    families: list[str] = []
    while "--without" in words:
        place = words.index("--without")
        given = list(takewhile(lambda word: not word.startswith("--"), words[place + 1 :]))
        del words[place : place + 1 + len(given)]
        families += given
    suite = suite.without(families) if families else suite
    split = [part for word in words for part in word.split("=", 1)]
    model = split[split.index("--model") + 1] if "--model" in split[:-1] else Run.model
    options: dict[str, Any] = {"env": suite.envs, "task_weights": suite.task_weights} if "--env" not in split else {}
    options |= {"source": suite.source, "preset": suite.preset, **suite.options.get(model, {})}
    return words + [
        word for name, value in options.items() if flag(name, 0)[0] not in split for word in flag(name, value)
    ]


def preset_settings(entry: Entry, env: Sequence[str], preset: str, presets: Path = PRESETS) -> Settings:
    """What is run where nothing but the model, the data sets and the preset is given.

    Raises:
        UserError: an unknown preset, or one that names an option that there is not.
    """
    values = environment_values(entry) | preset_values(presets, preset, entry, env)
    run = fill(Run(model=entry.name, env=tuple(env), preset=preset), values)
    settings = Settings(run, fill(entry.config(), values), fill(Machine(), values))
    if values:
        raise UserError(f"{presets.name}: {entry.name} has no option {next(iter(values))!r}: correct the preset.")
    return settings


def named(env: Sequence[str], task: str | None, paths: Sequence[Path], source: str) -> list[str]:
    """The names of the data sets, as --env, --task and --path say.

    Raises:
        UserError: a file is given, and neither its data set nor its environment; or one --task for several files.
    """
    if task is None:
        check_named(env, paths, source)
        return list(env or Run().env)
    if len(env) > 1 or len(paths) > 1:
        raise UserError(
            f"--task {task} says what one file of yours belongs to: give one --path, and one --env at most."
        )
    return [own_name(env[0] if env else None, task, paths[0] if paths else None)]


def spec_of(env: Sequence[str]) -> Spec | None:
    """What the environment of a data set looks like to a model; None where there are several data sets."""
    return dataset(env[0]).environment.spec() if len(env) == 1 else None


def flag(name: str, value: Any) -> list[str]:
    """An option as it is typed."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    return [f"--{dashed}", *(f"{item}" for item in (value if isinstance(value, tuple) else [value]))]


def closest(unknown: str, line: Any) -> str:
    """The end of the sentence about an option that does not exist."""
    names = [flag(field.name, 0)[0] for group in fields(line) for field in fields(getattr(line, group.name))]
    return did_you_mean(unknown.partition("=")[0], names, "--help lists what there is.")


def check(settings: Settings) -> None:
    """Check all options before anything is fetched or written.

    Raises:
        UserError: one of them cannot be meant, or some do not fit together.
    """
    check_options(settings.run)
    check_options(settings.machine)
    check_tasks(settings.run)
    if not settings.run.updates and not settings.run.start and isinstance(settings.config, ModelConfig):
        raise UserError("--updates is 0, and nothing is learned: give 1 or more, or --start with a finished run.")
    if settings.machine.recompute and settings.run.model in MODELS and settings.run.model != "gato":
        raise UserError(f"--recompute is Gato's, and {settings.run.model} keeps its activations: leave it out.")


def check_tasks(run: Run) -> None:
    """Refuse several data sets where one is meant, and lists that do not belong to them one to one."""
    if len(run.env) > 1 and not find_named(run.model).model.multi_task:
        able = ", ".join(name for name in MODELS if find(name).model.multi_task)
        many = f"{len(run.env)} data sets are named, and {run.model} learns from one"
        raise UserError(f"{many}: choose one, or --model {able}.")
    check_answered(run.model, run.env)
    for name, given in (("path", run.path), ("task-weights", run.task_weights)):
        if given and len(given) != len(run.env):
            count = f"--{name} has {len(given)} entries for {len(run.env)} data sets"
            raise UserError(f"{count}: give one for each, in the order of --env.")
