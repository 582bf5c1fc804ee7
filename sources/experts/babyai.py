"""BabyAI's bot, which knows the whole grid and plans: minigrid's own, with a limit to how long it may think.

Source   minigrid 3.2.0, utils/baby_ai_bot.py
Limit    searches and subgoals of one action. Without it the bot never comes back from some missions of UnlockToUnlock;
         JAT gives it 20 ms, which would make other data on another machine
Drops    an episode in which it reaches the limit, fails at one of its own assertions (KeyInBox, PutNext*Carrying), or
         believes to have done what it has not
"""

from functools import cache
from typing import Any

import numpy as np

from sources.experts.interface import GaveUp
from trajectories.rows import EnvironmentRow

VERSION = 1
SEARCHES, SUBGOALS = 100, 100  # of one action; where it succeeds, 9 and 8 were the most in 130 episodes of 11 levels


class BotExpert:
    """Acts as the bot says; see `sources.experts.interface.Expert`."""

    def __init__(self) -> None:
        self._bot: Any = None

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._bot = None  # made with the first action, for it may fail at once

    def act(self, environment: Any, observation: np.ndarray) -> int:
        try:
            if self._bot is None:
                self._bot = bounded_bot()(environment)
            action = int(self._bot.replan())
        except GaveUp:
            raise
        except Exception as error:  # of many types: the bot checks itself by assertions
            raise GaveUp from error
        if not self._bot.stack:  # it takes the mission for done, and the level does not
            raise GaveUp
        return action


@cache
def bounded_bot() -> type:
    """minigrid's bot, raising GaveUp where it thinks too long."""
    from minigrid.utils.baby_ai_bot import BabyAIBot

    class Stack(list):
        """Subgoals; of one action only so many may be added."""

        added = 0

        def append(self, subgoal: Any) -> None:
            self.added += 1
            if self.added > SUBGOALS:
                raise GaveUp
            super().append(subgoal)

    class BoundedBot(BabyAIBot):
        stack: Any

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, Stack(value) if name == "stack" else value)

        def replan(self, action_taken: Any = None) -> Any:
            self.stack.added, self.searches = 0, 0
            return super().replan(action_taken)  # type: ignore[no-untyped-call]

        def _breadth_first_search(self, *arguments: Any, **options: Any) -> Any:
            self.searches += 1
            if self.searches > SEARCHES:
                raise GaveUp
            return super()._breadth_first_search(*arguments, **options)  # type: ignore[no-untyped-call]

    return BoundedBot


def has_expert(row: EnvironmentRow) -> bool:
    return row.family == "babyai"


def expert(row: EnvironmentRow) -> BotExpert:
    return BotExpert()
