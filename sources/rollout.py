"""A policy played in many copies at once, its episodes recorded whole and yielded in the order of their numbers.

An episode's start and the noise of its actions are drawn from the seed and the episode's number alone, and actions are
rounded to float32 before they are used. So an episode does not depend on how many others were played beside it.

Shapes   E copies, H horizon, T steps of an episode, S observation numbers, A action numbers
"""

import sys
from collections.abc import Generator
from typing import Protocol, runtime_checkable

import numpy as np

from environments.interface import Environments
from sources.experts.policy import Policy

Columns = dict[str, np.ndarray]


@runtime_checkable
class Recordable(Environments, Protocol):
    """Environments that show what a recording keeps beside the observations."""

    def infos(self) -> Columns:
        """The simulator's state before the next step by name, each (E, ...); empty where there is none."""
        ...


def rolled(
    copies: Recordable,
    policy: Policy,
    seed: tuple[int, ...],
    episodes: int = sys.maxsize,
    steps: int = sys.maxsize,
    first: int = 0,
) -> Generator[Columns, None, None]:
    """Episodes `first`, `first` + 1, ... until there are `episodes` of them or they hold `steps` steps.

    Yields:
        D4RL's columns, (T, ...): observations, actions, rewards, next_observations, terminals, timeouts, infos/...
    """
    rollout = Rollout(copies, policy, seed, first)
    due = first
    done: dict[int, Columns] = {}  # ended before an earlier one did
    while True:
        # Every episode begun so far comes before the next one, so that `taken` steps are sure to be of use; and no more
        # are begun at once than are of use if none ends early.
        while not rollout.live.all() and rollout.begun < first + episodes and rollout.taken < steps:
            if rollout.live.sum() * copies.spec.max_episode_steps >= steps - rollout.taken:
                break
            rollout.begin(int(np.argmin(rollout.live)))
        if not rollout.live.any():
            return
        done |= rollout.advance()
        while due in done:
            yield done.pop(due)
            due += 1


class Rollout:
    """The episodes being played, one in each copy that is live, and their columns so far."""

    def __init__(self, copies: Recordable, policy: Policy, seed: tuple[int, ...], first: int = 0) -> None:
        spec, count = copies.spec, copies.count
        self.copies, self.policy, self.seed = copies, policy, seed
        self.live = np.zeros(count, bool)
        self.begun = first  # the number of the next episode
        self.taken = 0  # steps, in all copies
        self._numbers = np.zeros(count, np.int64)  # of the episode that each copy plays
        self._time = np.zeros(count, np.int64)  # of the next step in its episode
        self._observations = np.zeros((count, *spec.observation_shape), np.float32)
        self._chance = np.zeros((count, spec.max_episode_steps, *spec.action_shape))
        shapes = {"observations": spec.observation_shape, "next_observations": spec.observation_shape}
        shapes |= {"actions": spec.action_shape, "rewards": (), "terminals": (), "timeouts": ()}
        shapes |= {f"infos/{name}": state.shape[1:] for name, state in copies.infos().items()}
        self._columns = {
            name: np.zeros(
                (count, spec.max_episode_steps, *shape), bool if name in ("terminals", "timeouts") else np.float32
            )
            for name, shape in shapes.items()
        }

    def begin(self, copy: int) -> None:
        """Start the next episode in an idle copy."""
        start, noise = np.random.SeedSequence((*self.seed, self.begun)).spawn(2)
        only = np.arange(self.copies.count) == copy
        seeds = np.full(self.copies.count, start.generate_state(1)[0])
        self._observations[copy] = self.copies.reset(seeds.tolist(), only)[copy]
        self._chance[copy] = self.policy.draw(np.random.default_rng(noise), self.copies.spec.max_episode_steps)
        self._numbers[copy], self._time[copy], self.live[copy] = self.begun, 0, True
        self.begun += 1

    def advance(self) -> dict[int, Columns]:
        """One step in every live copy; the episodes that ended with it, by number."""
        every, live = np.arange(self.copies.count), np.flatnonzero(self.live)
        actions = self.policy.act(self._observations, self._chance[every, self._time])  # (E, A)
        now = {"observations": self._observations, "actions": actions}
        now |= {f"infos/{name}": state.copy() for name, state in self.copies.infos().items()}
        step = self.copies.step(actions, self.live)
        now |= {"rewards": step.rewards, "next_observations": step.observations}
        now |= {"terminals": step.terminated, "timeouts": step.truncated}
        for name, values in now.items():
            self._columns[name][live, self._time[live]] = values[live]
        self._observations = step.observations
        self._time[live] += 1
        self.taken += len(live)
        ended = np.flatnonzero(step.terminated | step.truncated).tolist()
        return {int(self._numbers[copy]): self._end(copy) for copy in ended}

    def _end(self, copy: int) -> Columns:
        steps = self._time[copy]
        self.live[copy], self._time[copy] = False, 0
        return {name: column[copy, :steps].copy() for name, column in self._columns.items()}
