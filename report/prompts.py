"""The effect of the prompt: one trained Gato evaluated under several prompts. prompts.json lies beside the record.

python experiments/prompts.py results/runs/<run>      # measures a run and writes its prompts.json
python experiments/report.py                          # writes results/prompts.md from all of them
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from report import ablations
from report.ablations import made_by
from report.cell_text import Table, Text
from report.checks import COMMIT, MOST, check_evaluation
from report.commands import is_command
from report.parsing import require
from report.store import Evaluation, Record, layout, plain
from trajectories.atomic import write_text

PROMPTS = "prompts.json"
PAGE = "prompts.md"
PROGRAM = "python experiments/prompts.py"
MEANING = {
    "none": "nothing comes first",
    "end": "the end of an episode drawn for each episode played",
    "uniform": "a uniform piece of such an episode",
    "best": "the end of the best recorded episode",
}


@dataclass(frozen=True)
class Prompted:
    """The episodes that were played under one prompt."""

    prompt: str  # none, end, uniform, best, or the name of a file
    played: Evaluation


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One run's weights under several prompts, the same episodes each time. All else stands in the run's record."""

    prompted: tuple[Prompted, ...]
    seeds: tuple[int, ...]  # of the episodes, one each
    seconds: float
    device: str
    versions: dict[str, str]
    commit: str
    dirty: bool
    command: str


def write(place: Path, ablation: Ablation) -> Path:
    """Keep it beside the record in `place`, whole or not at all."""
    return write_text(place / PROMPTS, layout(plain(asdict(ablation)), apart="prompted"))


def read(place: Path) -> Ablation:
    """The ablation beside the record in `place`.

    Raises:
        UserError: it is damaged.
    """
    return ablations.read_beside(place / PROMPTS, Ablation, "prompts", check)


def check(ablation: Ablation) -> None:
    """Raise ValueError at the first thing that is not as it is written here (report/checks.py)."""
    episodes, command = len(ablation.seeds), ablation.command
    require([
        ("the number of prompts.prompted", len(ablation.prompted), ablation.prompted, "1 or more"),
        ("the number of prompts.seeds", episodes, 1 <= episodes <= MOST, f"1 to {MOST:,}"),
        ("prompts.commit", ablation.commit, re.fullmatch(COMMIT, ablation.commit), "a commit in hexadecimal digits"),
        ("prompts.command", command, is_command(command, PROGRAM), f"a command of `{PROGRAM}`"),
    ])  # fmt: skip
    for place, each in enumerate(ablation.prompted):
        check_evaluation(each.played, episodes, f"prompts.prompted.{place}")


def read_all(root: Path) -> list[tuple[Record, Ablation]]:
    """Every run under `root` that was measured so, by name; what is damaged is named on stderr and left out."""
    return ablations.read_all(root, PROMPTS, read)


def table(measured: Sequence[tuple[Record, Ablation]]) -> Table:
    """A line for each run and prompt."""
    lines = []
    for record, ablation in measured:
        for each in ablation.prompted:
            words = (record.dataset, record.source, training(record), str(record.seed), each.prompt)
            numbers = (*ablations.outcome(record, each.played), ablations.behavior(record))
            lines.append(tuple(map(Text, (*words, *numbers, str(len(each.played.returns))))))
    header = ("Data set", "Source", "Prompts while training", "Seed", "Prompt", "Return", "Steps", "Score")
    return Table(
        title="Prompts",
        notes=(
            "One set of weights a run, the same episodes under each prompt. Score: normalized, mean ± standard error "
            "over episodes of one seed. Behavior: the training episodes.",
            *(f"`{name}`: {meaning}." for name, meaning in MEANING.items()),
        ),
        header=(*header, "Behavior", "Episodes"),
        rows=tuple(lines),
        numbers=5,
    )


def training(record: Record) -> str:
    """How the run was prompted while it learned, "2 of 8 steps, of alike return"."""
    model = record.config["model"]
    kind = {"alike": "of alike return", "any": "of any episode"}.get(str(model.get("prompt_from")), "")
    return f"{model.get('prompt_steps')} of {model.get('context')} steps, {kind}"


def page(measured: Sequence[tuple[Record, Ablation]]) -> str:
    """results/prompts.md."""
    commands = [(made_by(record.command, record), made_by(found.command, found)) for record, found in measured]
    return ablations.page("The effect of a prompt", PROMPTS, table(measured), commands)
