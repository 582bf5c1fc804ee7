"""Choose among a training's snapshots which are the behavior policies of `collected` data, and pack them in one file.

    python -m sources.experts.choose --env hopper --checkpoints checkpoints/hopper

medium   a snapshot that earns what D4RL's medium policy earned, within a tenth, and with its mean action within a fifth
         of that. Of those, the one taken nearest to where D4RL's own was, by the size of its medium-replay file: then
         the replay buffer before it has D4RL's size
expert   the snapshot of highest return, from medium on; or the policy of another training, ROBOT/expert, where
         this one did not come so far

Of a learner that has a replay buffer, a snapshot every EVERY steps is kept up to medium, since they record replay data;
from there to expert LATER of them. PPO's policies, which normalize what they observe, are files of their own
(ROBOT/medium), and no replay data come from them; --noise is for those whose samples fall where their mean action does
not.

The few episodes that training played only suggest which snapshots to play for 100. What is chosen by those 100 is
played another 100 times with other seeds for its card, so that the card is not flattered by the choice.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from environments.scores import normalized
from sources.collect import play
from sources.experts import snapshots
from sources.experts.policy import Gaussian, Noiseless, Policy, load, save
from trajectories.catalog import dataset
from trajectories.errors import UserError
from trajectories.output import print_any_text

EPISODES = 100
CHOOSING, CARD = 1, 2  # seeds; training's own plays use the training's
EVERY = 5000  # steps between two snapshots that lead to medium
LATER = 40  # snapshots from medium to expert
NEAR, NEAR_WITHOUT_NOISE = 0.1, 0.2  # of D4RL's return


@dataclass(frozen=True)
class Config:
    checkpoints: Path  # a folder that train.py wrote
    env: str = "hopper"  # environment, a row of the catalog
    candidates: int = 8  # snapshots of each kind that are played at length
    medium: int | None = None  # which snapshot, by its steps; else chosen
    expert: int | None = None  # likewise
    other_expert: bool = False  # the expert is another training's, which lies in the robot's folder already
    noise: float = 1.0  # of a Gaussian policy: by what its standard deviation is multiplied


@dataclass(frozen=True)
class Training:
    """A folder of checkpoints."""

    env: str
    folder: Path
    curve: dict[int, float]  # steps: the mean return that training saw
    noise: float = 1.0  # by what the deviation of its policies' actions is multiplied

    @classmethod
    def of(cls, env: str, folder: Path, noise: float = 1.0) -> "Training":
        with (folder / "curve.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return cls(env, folder, {int(row["steps"]): float(row["return_mean"]) for row in rows}, noise)

    def path(self, steps: int) -> Path:
        return self.folder / f"{steps:08d}.safetensors"

    def policy(self, steps: int) -> Any:
        return load(self.path(steps))

    def card(self, steps: int) -> dict[str, Any]:
        return json.loads(self.path(steps).with_suffix(".json").read_text(encoding="utf-8"))

    def earned(self, steps: int, seed: int, of: Callable[[Policy], Policy] = lambda policy: policy) -> np.ndarray:
        """Returns of EPISODES episodes; and their lengths, (2, EPISODES)."""
        heard = of if self.noise == 1.0 else lambda policy: of(spread(policy, self.noise))
        return earned(self.env, self.path(steps), seed, heard)


def earned(env: str, file: Path, seed: int, of: Callable[[Policy], Policy]) -> np.ndarray:
    """Returns of EPISODES episodes of a stored policy; and their lengths, (2, EPISODES)."""
    about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    played = play(env, of(load(file)), EPISODES, seed, physics=about["physics"])
    print(f"{env} after {about['steps']:,} steps: {played[0].mean():.0f}", flush=True)
    return np.array(played)


def medium(training: Training, candidates: int) -> int:
    """The steps of the medium policy.

    Raises:
        UserError: nothing is published of D4RL's, or no snapshot earns as much, with noise and without.
    """
    theirs = dataset(f"{training.env}-medium").mean_return
    where = dataset(f"{training.env}-medium-replay").collected_steps
    if theirs is None:
        raise UserError(f"Nothing is published about {training.env}-medium: add its mean_return to catalog.toml.")
    likely = [steps for steps, mean in training.curve.items() if abs(mean / theirs - 1) < 2 * NEAR]
    for steps in sorted(likely, key=lambda steps: abs(steps - where))[:candidates]:
        if abs(training.earned(steps, CHOOSING)[0].mean() / theirs - 1) < NEAR:
            without_noise = training.earned(steps, CHOOSING, Noiseless)[0].mean()
            if abs(without_noise / theirs - 1) < NEAR_WITHOUT_NOISE:
                return steps
    raise UserError(
        f"No snapshot in {training.folder} earns about {theirs:.0f}, with noise and without: train on, or with another "
        f"--seed."
    )


def expert(training: Training, first: int, candidates: int) -> int:
    """The steps of the best policy."""
    later = {steps: mean for steps, mean in training.curve.items() if steps >= first}
    best = sorted(later, key=lambda steps: -later[steps])[:candidates]
    return max(best, key=lambda steps: training.earned(steps, CHOOSING)[0].mean())


def level(env: str, file: Path) -> dict[str, Any]:
    """What the card says of a chosen policy."""
    returns, lengths = earned(env, file, CARD, lambda policy: policy)
    without_noise = earned(env, file, CARD, Noiseless)[0]
    return {
        "steps": json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["steps"],
        "episodes": EPISODES,
        "return_mean": round(float(returns.mean()), 1),
        "return_std": round(float(returns.std()), 1),
        "return_best": round(float(returns.max()), 1),
        "length_mean": round(float(lengths.mean()), 1),
        "score": round(float(normalized(env, returns).mean()), 1),
        "without_noise_mean": round(float(without_noise.mean()), 1),
        "without_noise_std": round(float(without_noise.std()), 1),
    }


def level_of_file(env: str, name: str) -> dict[str, Any]:
    """What the card says of a policy that is not among the snapshots, but a file of its own."""
    file = Path(env) / f"{name}.safetensors"
    about = json.loads((snapshots.FOLDER / file).with_suffix(".json").read_text(encoding="utf-8"))
    return {"file": file.as_posix(), "algorithm": about["algorithm"], **level(env, snapshots.FOLDER / file)}


def spread(policy: Policy, noise: float) -> Gaussian:
    """A policy whose actions' standard deviation is `noise` times its own.

    Raises:
        UserError: the noise of this kind of policy is no number of its own.
    """
    if not isinstance(policy, Gaussian):
        raise UserError("--noise is for policies of PPO, whose actions have one deviation: leave it out for SAC's.")
    return replace(policy, log_std=policy.log_std + np.log(noise))


def store_file(training: Training, steps: int, name: str) -> None:
    """Put a policy and its card beside the snapshots, as a file of its own."""
    folder = snapshots.FOLDER / training.env
    folder.mkdir(exist_ok=True)
    policy = spread(training.policy(steps), training.noise)
    save(folder / f"{name}.safetensors", policy, {**training.card(steps), "noise": training.noise})


def kept(curve: list[int], medium: int, expert: int) -> list[int]:
    """A snapshot every so often up to medium, and so many of those that lead from there to expert, evenly spaced."""
    climb = [steps for steps in curve if steps < medium and steps % EVERY == 0]
    later = [steps for steps in curve if medium < steps <= expert]
    places = np.linspace(0, len(later) - 1, min(LATER, len(later))).round().astype(int)
    return [*climb, medium, *(later[place] for place in places)]


def settings(training: Training, steps: list[int]) -> list[dict[str, Any]]:
    """With which settings the training went, and from which step on where they were changed."""
    stages: list[dict[str, Any]] = []
    for before, one in zip([0, *steps], steps, strict=False):
        stage = training.card(one)["settings"]
        if not stages or stages[-1] != {"from": stages[-1]["from"], **stage}:
            stages.append({"from": before, **stage})
    return stages


def main(config: Config) -> None:
    training = Training.of(config.env, config.checkpoints, config.noise)
    middle = config.medium or medium(training, config.candidates)
    best = middle if config.other_expert else config.expert or expert(training, middle, config.candidates)
    first = training.card(0)
    card = {name: first[name] for name in ("environment", "algorithm", "seed", "physics")}
    if config.noise != 1.0 or isinstance(training.policy(0), Gaussian):
        chosen = {"medium": middle} if config.other_expert else {"medium": middle, "expert": best}
        for name, one in chosen.items():
            store_file(training, one, name)
        levels = {name: level_of_file(config.env, name) for name in ("medium", "expert")}
        card |= {"settings": settings(training, [middle]), "noise": config.noise, **levels}
        snapshots.write(config.env, [], card | {"snapshots": []})
        print(f"{', '.join(chosen)}: {snapshots.FOLDER / config.env}")
        return
    steps = kept(list(training.curve), middle, best)
    card |= {"settings": settings(training, steps)}
    card |= {"medium": level(config.env, training.path(middle))}
    own = config.env, training.path(best)
    card |= {"expert": level_of_file(config.env, "expert") if config.other_expert else level(*own)}
    card |= {"snapshots": [{"steps": one, "return_mean": training.curve[one]} for one in steps]}
    snapshots.write(config.env, [(one, training.policy(one)) for one in steps], card)
    print(f"{len(steps)} snapshots: {snapshots.files(config.env)[0]}")


if __name__ == "__main__":
    print_any_text()
    main(tyro.cli(Config))
