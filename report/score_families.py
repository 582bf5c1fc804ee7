"""Which table a run's score stands in: D4RL's environments, Atari's games, what is solved or not, and answers."""

from dataclasses import dataclass

from report.published import Published
from report.store import Record


@dataclass(frozen=True)
class ScoreFamily:
    """What the rows of one table of scores have in common."""

    title: str
    score: str  # what 0 and 100 are
    files: str  # that the published numbers were learned from
    beside: str = "Behavior"  # the heading of what was there before any model
    what: str = "Behavior: the mean return of the training episodes."


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


CONTROL = ScoreFamily(
    "Returns",
    "Percentage of the highest return of a task, 1,000 in the Control Suite and 250 with its arm; of modular "
    "robots 0 is random actions and 100 the expert measured here; below it the mean return.",
    "other data",
)
WITHOUT_SUCCESS = {"dm_control", "dm_manipulation", "modular", "procgen"}  # families whose returns no paper normalizes


SUCCESS = ScoreFamily(
    "Success",
    "Percentage of episodes that succeeded, where the environment knows success; below it the mean return.",
    "other data",
)


ANSWERED = ScoreFamily(
    "Answers",
    "Questions: percentage that is answered with the right one of the set's answers. Captions: percentage whose own "
    "picture makes them likelier than nine others do. Text: bits for each byte of whole documents; fewer are better. "
    "All on the part that is held out.",
    "other data",
    "To beat",
    "To beat: to each question the answer that follows it most often, without a look at the picture (blind); one of "
    "ten pictures at random (chance); gzip on the same documents, one by one, and pieces drawn by their frequency "
    "(unigram).",
)

KINDS = (D4RL, ATARI, SUCCESS, CONTROL, ANSWERED)  # in the order of the tables
SOURCES = {  # in the order of the tables, and what each is; others stand before the last
    "reroll": "steps rolled out here from the behavior policies that D4RL's own files carry",
    "d4rl": "D4RL's own files",
    "dqn-replay": "the public DQN-replay files",
    "minari": "Minari's files",
    "collected": "recorded here, by policies, players and experts of this project",
}


def source_place(source: str) -> int:
    """Where a source's table stands among those of others."""
    known = list(SOURCES)
    return known.index(source) if source in known else len(known) - 1


def is_answered(record: Record) -> bool:
    """Whether the task has no environment: what is held out is answered, and nothing played."""
    return record.family in ("pairs", "text")


def kind_of(record: Record) -> ScoreFamily:
    """Which table a run stands in."""
    if is_answered(record):
        return ANSWERED
    if record.evaluations[0].success:
        return SUCCESS
    if record.family in WITHOUT_SUCCESS:
        return CONTROL
    return ATARI if record.protocol.environment.startswith("ALE/") else D4RL


def unscored(record: Record) -> str:
    """Why the recorded returns have no score, where they have none."""
    return "of clipped rewards" if "clipped" in str(record.data.get("rewards")) else "of other episodes or rewards"


def fits(column: Published, kind: ScoreFamily) -> bool:
    """Whether a published column belongs into the table."""
    return kind in (D4RL, ATARI) and column.of_games == (kind is ATARI)
