"""Which table a run's score stands in: D4RL's environments, Atari's games and tasks that are solved or not."""

from dataclasses import dataclass

from report.published import Published
from report.store import Record


@dataclass(frozen=True)
class ScoreFamily:
    """What the rows of one table of scores have in common."""

    title: str
    score: str  # what 0 and 100 are
    files: str  # that the published numbers were learned from


D4RL = ScoreFamily(
    "Scores", "Normalized score: 0 is a random policy, 100 an expert (D4RL's reference returns).", "D4RL's own file"
)
ATARI = ScoreFamily(
    "Atari",
    "Human-normalized score: 0 is random actions, 100 a human (the exact returns of dqn_zoo's table), and below it the "
    "mean return in points. The DT paper rounds these returns to whole numbers: its 267.5 of Breakout, 76.9 points, is "
    "261.1 here. Under Against published scores ours are normalized as theirs.",
    "DQN-replay's files",
)


SUCCESS = ScoreFamily(
    "Success",
    "Percentage of episodes that succeeded, where the environment knows success; below it the mean return.",
    "other data",
)


def kind_of(record: Record) -> ScoreFamily:
    """Which table a run stands in."""
    if record.evaluations[0].success:
        return SUCCESS
    return ATARI if record.protocol.environment.startswith("ALE/") else D4RL


def unscored(record: Record) -> str:
    """Why the recorded returns have no score, where they have none."""
    return "of clipped rewards" if "clipped" in str(record.data.get("rewards")) else "of other episodes or rewards"


def fits(column: Published, kind: ScoreFamily) -> bool:
    """Whether a published column belongs into the table."""
    return kind is not SUCCESS and column.of_games == (kind is ATARI)
