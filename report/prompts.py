"""The effect of the prompt: one trained Gato evaluated under several prompts. prompts.json lies beside the record.

python experiments/prompts.py results/runs/<run>      # measures a run and writes its prompts.json
python experiments/report.py                          # writes results/prompts.md from all of them
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from report.cell_text import ABSENT, Table, Text
from report.checks import COMMIT, MOST, check_evaluation
from report.commands import is_command
from report.markdown import code, grid
from report.parsing import build, read_json, require
from report.store import Evaluation, Record, layout, leave_out, plain, read_record
from trajectories.atomic import write_text
from trajectories.errors import UserError

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
    path = place / PROMPTS
    try:
        ablation: Ablation = build(Ablation, read_json(path), "prompts")
        check(ablation)
        return ablation
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: damaged ({why}): restore it, or remove it and measure again.") from error


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
    """Every run under `root` that was measured so, by name.

    A damaged file, and one without a whole record beside it, is named on stderr and left out.
    """
    found = []
    for path in sorted([*root.glob(f"*/{PROMPTS}"), *root.glob(f"*/*/{PROMPTS}")]):
        try:
            found.append((read_record(path.parent), read(path.parent)))
        except UserError as error:
            leave_out(str(error))
    return sorted(found, key=lambda pair: pair[0].name)


def table(measured: Sequence[tuple[Record, Ablation]]) -> Table:
    """A line for each run and prompt."""
    lines = []
    for record, ablation in measured:
        for each in ablation.prompted:
            returns = np.asarray(each.played.returns)
            scores = record.protocol.score(returns)
            error = f" ± {scores.std(ddof=1) / np.sqrt(len(scores)):.1f}" if len(scores) > 1 else ""
            words = (record.dataset, record.source, training(record), str(record.seed), each.prompt)
            numbers = (f"{returns.mean():.0f}", f"{np.mean(each.played.lengths):.0f}", f"{scores.mean():.1f}{error}")
            recorded = record.behavior.normalized
            behavior = ABSENT if recorded is None else f"{recorded:.1f}"
            lines.append(tuple(map(Text, (*words, *numbers, behavior, str(len(returns))))))
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
    shown = table(measured)
    commands = "\n".join(
        f"- {code(record.command)} (commit {record.commit[:7]}{', with changes' if record.dirty else ''}), then\n"
        f"  {code(ablation.command)} (commit {ablation.commit[:7]}{', with changes' if ablation.dirty else ''})"
        for record, ablation in measured
    )
    how = f"Written by `python experiments/report.py` from `results/runs/*/{PROMPTS}`; edit nothing here."
    notes = "\n".join(f"- {note}" for note in shown.notes)
    return "\n\n".join(["# The effect of a prompt", how, grid(shown), notes, "Made by:", commands]) + "\n"
