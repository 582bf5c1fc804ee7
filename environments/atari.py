"""Atari: games of the Atari 2600, preprocessed as DQN does, each copy in a vector environment of ale-py's of its own.

Source   https://ale.farama.org/vector-environment (ale-py 0.12.1); Mnih et al. 2015 for what is done to the frames
Options  every choice is a key of the row in atari.toml: frame skip, maximum over two frames, 84 x 84 grey, no-ops,
         sticky actions, when an episode ends, clipping
Differs  from ale-py: of E copies only the live ones are stepped, at the same time on threads of their own, and each is
         begun from its own seed; so what a copy does depends on nothing else

Observation  the last four frames, oldest first, (4, 84, 84) uint8; those before the episode began are black
Action       one of the game's own, the minimal set
Reward       what the game's score rose by, unclipped
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from environments.interface import Step
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

FRAMES_A_SECOND = 60
NO_OP, FIRE = 0, 1  # of the emulator's actions


class AtariEnvironments:
    """E games; see `environments.interface.Environments`."""

    def __init__(self, row: EnvironmentRow, count: int) -> None:
        self.spec = row.spec()
        self.count = count
        self.step_seconds = row.options["frame_skip"] / FRAMES_A_SECOND
        self._row = row
        self._games = [_vector(row) for _ in range(count)]
        self._frames = np.zeros((count, *self.spec.observation_shape), np.uint8)
        self._seeds = [0] * count
        self._played: list[list[int]] = [[] for _ in range(count)]  # the actions of the episode so far
        self._no_ops = [0] * count
        self._shadows: list[Shadow | None] = [None] * count

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), after as many no-ops as its seed draws; (E, 4, 84, 84)."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            self._seeds[copy] = int(seeds[copy]) % (1 << 31)
            frames, info = self._games[copy].reset(seed=np.array([self._seeds[copy]]))
            self._frames[copy] = frames[0]
            self._no_ops[copy] = int(info["episode_frame_number"][0])
            self._played[copy], self._shadows[copy] = [], None
        return self._frames.copy()

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the live copies with (E,) actions.

        Raises:
            UserError: a live copy's action is none of the game's.
        """
        self._check(actions, live)
        rewards, terminated = np.zeros(self.count), np.zeros(self.count, bool)
        truncated = np.zeros(self.count, bool)
        copies = np.flatnonzero(live).tolist()
        for copy in copies:  # each goes to work on a thread of its own
            self._games[copy].send(actions[copy : copy + 1].astype(np.int64))
            self._played[copy].append(int(actions[copy]))
        for copy in copies:  # meanwhile
            if (shadow := self._shadows[copy]) is not None:
                shadow.follow(self._played[copy])
        for copy in copies:
            frames, reward, ended, cut, _ = self._games[copy].recv()
            self._frames[copy] = frames[0]
            rewards[copy], terminated[copy], truncated[copy] = reward[0], ended[0], cut[0] and not ended[0]
        return Step(self._frames.copy(), rewards, terminated, truncated)

    def infos(self) -> dict[str, np.ndarray]:
        """Nothing that a recording keeps."""
        return {}

    def memory(self, index: int) -> np.ndarray:
        """The console's memory in one copy now, (128,) uint8, for players that read it."""
        return self._shadow(index).emulator.getRAM()

    def render(self, index: int) -> np.ndarray:
        """The screen of one copy, twice as large and in color, (420, 320, 3) uint8."""
        screen = self._shadow(index).emulator.getScreenRGB()
        return np.repeat(np.repeat(screen, 2, axis=0), 2, axis=1)

    def close(self) -> None:
        for game in self._games:
            game.close()

    def _shadow(self, copy: int) -> "Shadow":
        """A second emulator that follows a copy, for what ale-py's vectors do not show; made when first needed."""
        shadow = self._shadows[copy]
        if shadow is None:
            shadow = self._shadows[copy] = Shadow(self._row, self._seeds[copy], self._no_ops[copy])
        shadow.follow(self._played[copy])
        return shadow

    def _check(self, actions: np.ndarray, live: np.ndarray) -> None:
        if actions.shape != (self.count,):
            raise ValueError(f"actions are {actions.shape}, not {(self.count,)}")
        count = self.spec.actions or 0
        wrong = live & ((actions < 0) | (actions >= count))
        if wrong.any():
            raise UserError(
                f"{self.spec.name} has actions 0 to {count - 1}, and was given {actions[wrong][0]}: "
                f"choose a data set of this game."
            )


class Shadow:
    """An emulator that repeats an episode from its seed, no-ops and actions, and comes to the same state."""

    def __init__(self, row: EnvironmentRow, seed: int, no_ops: int) -> None:
        self.emulator = emulator(row, seed)
        self._actions = self.emulator.getMinimalActionSet()
        self._skip = row.options["frame_skip"]
        self._done = 0  # actions
        self.emulator.reset_game()
        begun = [FIRE] if row.options["fire_at_start"] and FIRE in {action.value for action in self._actions} else []
        for action in [*begun, *[NO_OP] * (no_ops - len(begun))]:
            self.emulator.act(action)

    def follow(self, actions: list[int]) -> None:
        """Play what has not been played yet."""
        for action in actions[self._done :]:
            for _ in range(self._skip):
                self.emulator.act(self._actions[action])
                if self.emulator.game_over():
                    break
        self._done = len(actions)


def emulator(row: EnvironmentRow, seed: int) -> Any:
    """One console with the row's game in it, not yet begun.

    Raises:
        UserError: ale-py is not installed.
    """
    ale = _ale()
    console = ale.ALEInterface()
    console.setFloat("repeat_action_probability", float(row.options["sticky_actions"]))
    console.setInt("random_seed", seed)
    console.loadROM(ale.roms.get_rom_path(_rom(row)))
    return console


def _vector(row: EnvironmentRow) -> Any:
    """A vector environment of ale-py's with a single game in it."""
    _ale()
    from ale_py.vector_env import AtariVectorEnv

    options = row.options
    height, width = options["size"]
    return AtariVectorEnv(
        _rom(row),
        1,
        num_threads=1,
        max_num_frames_per_episode=options["frames"],
        repeat_action_probability=float(options["sticky_actions"]),
        img_height=height,
        img_width=width,
        stack_num=row.frame_stack,
        frameskip=options["frame_skip"],
        maxpool=options["max_over_two"],
        noop_max=options["no_ops"],
        episodic_life=options["life_loss_ends"],
        reward_clipping=options["clipped_rewards"],
        use_fire_reset=options["fire_at_start"],
    )


def _rom(row: EnvironmentRow) -> str:
    return row.name.partition("?")[0]


def _ale() -> Any:
    """ale-py, which brings the games.

    Raises:
        UserError: it is not installed.
    """
    try:
        import ale_py
        import ale_py.roms
    except ImportError as error:
        raise UserError(f"Atari needs ale-py, which is not here ({error}): pip install -r requirements.txt.") from error
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> AtariEnvironments:
    return AtariEnvironments(row, count)
