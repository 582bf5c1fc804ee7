"""What a Trajectory Transformer planned, drawn over what then happened: one episode, every plan a thin line."""

from pathlib import Path

import numpy as np

from backbone.interface import Player
from backbone.normalization import is_constant
from training.evaluate import ClippedRewardPlayer, DelayedRewardPlayer
from trajectories.atomic import atomic_file, disk_errors
from trajectories.errors import UserError
from trajectory_transformer.player import BeamPlayer

CLOSE = 60  # steps of the picture's close-up
SHOWN = {  # numbers of an observation that say most about how it goes
    "hopper": {0: "height (m)", 1: "torso's angle (rad)", 5: "forward speed (m/s)"},
    "walker2d": {0: "height (m)", 1: "torso's angle (rad)", 8: "forward speed (m/s)"},
    "halfcheetah": {0: "height (m)", 1: "angle (rad)", 8: "forward speed (m/s)"},
}


class Plans:
    """Plays as the player does that it watches, and keeps what that saw and what it planned."""

    def __init__(self) -> None:
        self._player: Player | None = None
        self._planner: BeamPlayer | None = None
        self.seen: list[np.ndarray] = []  # observations of the first episode, (numbers,) each
        self.made: list[tuple[int, np.ndarray]] = []  # first step and planned observations, (horizon, numbers)

    def watch(self, player: Player) -> Player:
        """Keep an eye on a player that is about to play one episode.

        Raises:
            UserError: it makes no plans.
        """
        planner = player
        while isinstance(planner, DelayedRewardPlayer | ClippedRewardPlayer):
            planner = planner.player
        if not isinstance(planner, BeamPlayer):
            raise UserError("--plans draws what a Trajectory Transformer plans, and this model plans nothing: drop it.")
        self._player, self._planner = player, planner
        return self

    def act(self, observations: np.ndarray, rewards: np.ndarray, live: np.ndarray) -> np.ndarray:
        assert self._player is not None
        assert self._planner is not None
        actions = self._player.act(observations, rewards, live)
        if self._planner.played == 1:  # so its plan is new
            planned = self._planner.planned()[0, :, : self._planner.search.observation_size]
            self.made.append((len(self.seen), planned))
        self.seen.append(self._planner.numbers(observations)[0].copy())
        return actions

    def error(self) -> np.ndarray:
        """How far the planned observations lie from the real ones, 0, 1, ... steps ahead, (horizon,): the mean over
        all plans and numbers, in standard deviations that the numbers have in this episode (1 where one is constant).
        """
        real = np.stack(self.seen)
        spread = np.where(is_constant(real.mean(0), real.std(0)), 1.0, real.std(0))
        horizon = max(len(planned) for _, planned in self.made)
        misses: list[list[float]] = [[] for _ in range(horizon)]
        for first, planned in self.made:
            for ahead, (expected, came) in enumerate(zip(planned, real[first:], strict=False)):
                if np.isfinite(expected).all():  # else the plan ends here
                    misses[ahead].append(float((np.abs(expected - came) / spread).mean()))
        return np.array([np.mean(miss) if miss else np.nan for miss in misses])


def draw(plans: Plans, env: str, title: str, file: Path) -> None:
    """Write the picture: a row for each number shown, the whole episode and a part of it from near."""
    from matplotlib.figure import Figure  # without pyplot: nothing is opened, and nothing global is changed

    real = np.stack(plans.seen)
    shown = SHOWN.get(env) or {number: f"observation {number}" for number in range(min(3, real.shape[1]))}
    figure = Figure(figsize=(12, 1 + 1.9 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 2, sharex="col", squeeze=False, width_ratios=(3, 2))
    middle = max(0, (len(real) - CLOSE) // 2)
    for (number, name), (whole, close) in zip(shown.items(), rows, strict=True):
        for axes in (whole, close):
            axes.plot(real[:, number], color="#222222", lw=1.4, label="what happened")
            for first, planned in plans.made:
                steps = np.arange(first, first + len(planned))
                axes.plot(steps, planned[:, number], color="#d55e00", lw=0.8, alpha=0.8, label="planned")
            axes.spines[["top", "right"]].set_visible(False)
        whole.set_ylabel(name)
        close.set_xlim(middle, min(middle + CLOSE, len(real) - 1))
        near = [real[middle : middle + CLOSE, number]]
        near += [planned[:, number] for first, planned in plans.made if middle <= first < middle + CLOSE]
        low, high = np.nanmin(np.concatenate(near)), np.nanmax(np.concatenate(near))
        close.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    handles, labels = rows[0][0].get_legend_handles_labels()
    rows[0][0].legend(handles[:2], labels[:2], frameon=False, ncols=2, fontsize="small")
    rows[-1][0].set_xlabel("step")
    rows[-1][1].set_xlabel(f"step, {CLOSE} of them")
    figure.suptitle(title)
    with disk_errors(file.absolute().parent, option="--plans"), atomic_file(file) as fresh:
        figure.savefig(fresh, format=file.suffix[1:], dpi=120)
