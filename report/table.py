"""What the tables say, before it is Markdown, HTML or CSV: every number is derived from the records here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from report import adaptation, mixtures
from report.cell_text import ABSENT, MARK, Table, Text, behavior, comparable, mean_return, measured, quoted, target
from report.compare import SuiteComparison, bold_model, comparisons, improvements, leading, summaries
from report.families import by_family, reached
from report.grid import Row, differences, label, models, rows
from report.missing import missing
from report.published import Published, published
from report.score_families import ATARI, D4RL, KINDS, SOURCES, ScoreFamily, fits, kind_of, source_place
from report.store import Record

MEAN = (
    "Mean ± standard deviation over seeds (n − 1), at the first target return of the protocol, last checkpoint; below "
    "it the 95% bootstrap interval of the interquartile mean (IQM), and seeds × episodes. One seed has neither. Bold: "
    "this interval lies above that of every other model in the row; no row with a model of one seed has any bold."
)


@dataclass(frozen=True)
class Report:
    """All tables, the rows that they were made from, and the commands of the runs that are missing from them."""

    scores: tuple[Table, ...]  # what is looked for first: D4RL's environments, Atari's games, tasks that are solved
    families: tuple[Table, ...]  # models over families of tasks
    compared: tuple[Table, ...]  # models over several data sets
    further: tuple[Table, ...]
    missing: tuple[tuple[str, str], ...]  # in which row, and the command that makes the run
    rows: tuple[Row, ...] = ()
    comparisons: tuple[SuiteComparison, ...] = ()
    adaptations: tuple[adaptation.Adaptation, ...] = ()
    mixtures_compared: tuple[mixtures.MixtureComparison, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them, in their order."""
        first = [each for each in self.scores if each.kind == self.scores[0].kind]
        return (*first, *self.families, *self.scores[len(first) :], *self.compared, *self.further)

    def notes(self) -> dict[str, tuple[str, ...]]:
        """The notes of each table, by its title: one that several share stands below the first of these."""
        known: set[str] = set()
        found = {}
        for table in self.tables:
            found[table.title] = tuple(note for note in table.notes if note not in known or note.startswith(MARK))
            known.update(table.notes)
        return found

    @property
    def leading(self) -> SuiteComparison | None:
        """What answers first which model is best."""
        return leading(self.comparisons)

    @property
    def columns(self) -> list[str]:
        """Every model that was run."""
        return models(record for row in self.rows for cell in row.all_cells for record in cell.records)


def report(
    records: Sequence[Record], expected: Sequence[str] = (), suites: Mapping[str, Sequence[str]] | None = None
) -> Report:
    """Everything that the records say.

    Args:
        expected: models that get a column although they have no runs.
        suites: names of data sets over which models are compared.
    """
    every, columns = rows(records), models(records, expected)
    arranged = [row for row in every if not adaptation.is_few(row)]
    few, mixed = adaptation.adaptations(every), mixtures.compared(arranged)
    over = sorted(comparisons(arranged, suites or {}), key=lambda each: (not each.ranked, source_place(each.source)))
    further = [against_published(arranged), other_targets(arranged), other_settings(arranged)]
    further += [published_scores(arranged, kind) for kind in (D4RL, ATARI)]
    return Report(
        scores=scores(arranged, columns),
        families=filled((by_family(arranged, columns), reached(arranged, columns))),
        compared=filled((mixtures.table(mixed), adaptation.table(few), overall(over), improvement(over))),
        further=filled(further),
        missing=tuple((f"{row.label}, {row.first.source}", line) for row, _, _, line in missing(arranged, columns)),
        rows=tuple(every),
        comparisons=tuple(over),
        adaptations=tuple(few),
        mixtures_compared=tuple(mixed),
    )


def filled(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Those that say something."""
    return tuple(table for table in tables if table.rows)


def published_for(columns: Sequence[str], kind: ScoreFamily) -> list[Published]:
    """Others' columns for these models in the short tables, in the models' order; those of no model of ours last."""
    order = [*columns, ""]
    columns_shown = [each for each in published() if each.model in order and each.headline and fits(each, kind)]
    return sorted(columns_shown, key=lambda column: order.index(column.model))


def scores(arranged: Sequence[Row], columns: Sequence[str]) -> tuple[Table, ...]:
    """The main tables: one for each kind of score, source and physics; what lies apart is never compared."""
    found: dict[tuple[int, int, str, str], list[Row]] = defaultdict(list)
    for row in arranged:
        kind, source = kind_of(row.first), row.first.source
        physics = "gymnasium" * (kind is D4RL and row.first.protocol.physics == "gymnasium")
        found[KINDS.index(kind), source_place(source), source, physics].append(row)
    return tuple(scores_of(found[key], columns) for key in sorted(found))


def scores_of(arranged: Sequence[Row], columns: Sequence[str]) -> Table:
    """One main table: a row for each data set, a column for each model; for a mixture if it learned one."""
    kind, source = kind_of(arranged[0].first), arranged[0].first.source
    columns = [model for model in columns if " " not in model or any(model in row.cells for row in arranged)]
    others, lines = published_for(columns, kind), []
    for row in arranged:
        best = bold_model(row)
        line = [measured(row.cells[model], bold=model == best) if model in row.cells else Text(ABSENT)
                for model in columns]  # fmt: skip
        lines.append((Text(row.label), *line, behavior(row), *(quoted(column, row) for column in others)))
    physics = f", {arranged[0].protocol}" if arranged[0].first.protocol.physics == "gymnasium" and kind is D4RL else ""
    return Table(
        title=f"{kind.title}, {source}{physics}",
        notes=(
            *((f"`{source}`: {SOURCES[source]}.",) if source in SOURCES else ()),
            kind.score,
            MEAN,
            kind.what,
            *marks(arranged, others, kind),
        ),
        header=("Data set", *map(label, columns), kind.beside, *(column.label for column in others)),
        rows=tuple(lines),
        numbers=1,
        keys=tuple(row.first.dataset for row in arranged),
        kind=kind.title,
        models=tuple(columns),
    )


def marks(arranged: Sequence[Row], others: Sequence[Published], kind: ScoreFamily) -> tuple[str, ...]:
    """The footnote of the published columns, where one is needed."""
    marked = any(row.first.source != column.source and row.first.dataset in column.scores
                 for row in arranged for column in others)  # fmt: skip
    return (f"{MARK} published for {kind.files}: this row's data come from elsewhere.",) if marked else ()


def overall(compared: Sequence[SuiteComparison]) -> Table:
    """Each model over the data sets of a suite."""
    lines = []
    for comparison in compared:
        for each in summaries(comparison):
            interval = Text("[{:.1f}, {:.1f}]".format(*each.interval)) if each.interval else Text(ABSENT)
            lines.append((
                Text(comparison.suite), Text(comparison.source), Text(label(each.column), few=not each.ranked),
                Text(f"{each.tasks} of {comparison.size}", value=each.tasks), Text(str(each.runs), value=each.runs),
                Text(f"{each.mean:.1f}", value=each.mean), Text(f"{each.iqm:.1f}", bold=each.bold, value=each.iqm),
                interval if each.ranked else Text("not ranked"),
            ))  # fmt: skip
    return Table(
        title="Over several data sets",
        notes=("Mean: of the data sets' means. IQM: the interquartile mean of all runs, with its 95% bootstrap "
               "interval, stratified by data set (Agarwal et al. 2021, arXiv:2108.13264). Ranked are models with "
               "several seeds on every data set that was run, and no fewer than the others; those that are not stand "
               "last, and their numbers are of other runs or too few.",),
        header=("Suite", "Source", "Model", "Data sets", "Runs", "Mean", "IQM", "95% interval"),
        rows=tuple(lines),
        numbers=3,
    )  # fmt: skip


def improvement(compared: Sequence[SuiteComparison]) -> Table:
    """Each pair of ranked models of a suite once, the likelier winner first."""
    lines = []
    for comparison in compared:
        for each in improvements(comparison):
            chance = Text(f"{each.probability:.0%}", bold=each.interval[0] > 0.5, value=each.probability)
            interval = "[{:.0%}, {:.0%}]".format(*each.interval)
            pair = f"{label(each.first)} over {label(each.second)}"
            lines.append((Text(comparison.suite), Text(comparison.source), Text(pair),
                          Text(str(each.tasks), value=each.tasks), chance, Text(interval)))  # fmt: skip
    return Table(
        title="Probability of improvement",
        notes=("How likely one run of the first model scores higher than one of the second on the same data set, "
               "averaged over the data sets. Ranked models only; bold: the 95% interval lies above a half.",),
        header=("Suite", "Source", "Models", "Data sets", "Probability", "95% interval"),
        rows=tuple(lines),
        numbers=3,
    )  # fmt: skip


def against_published(arranged: Sequence[Row]) -> Table:
    """Ours less theirs, and whether both learned from the same data."""
    lines, keys = [], []
    for row in arranged:
        for column, cell in row.cells.items():
            for other in published():
                if other.model == column and comparable(other, row):
                    ours, shown = cell.summary.mean, measured(cell)
                    if other.of_games:
                        ours = other.normalized(row.first.dataset, mean_return(cell))
                        shown = replace(shown, small=(f"{ours:.1f} as they normalize", *shown.small))
                    difference = ours - other.scores[row.first.dataset][0]
                    same = "yes" if row.first.source == other.source else f"no: {row.first.source}, {other.source}"
                    theirs = Text(other.cell(row.first.dataset), value=other.scores[row.first.dataset][0])
                    lines.append((Text(row.label), Text(row.first.source), Text(other.label), Text(same),
                                  shown, theirs, Text(f"{difference:+.1f}", value=difference)))  # fmt: skip
                    keys.append(row.first.dataset)
    return Table(
        title="Against published scores",
        notes=("Ours less theirs, in points of the normalized score. Where the data are not the same the difference "
               "says as much of the data as of the model. Who measured what, and how, stands under Published.",),
        header=("Data set", "Source", "Published as", "Same data", "Ours", "Theirs", "Difference"),
        rows=tuple(lines),
        numbers=4,
        keys=tuple(keys),
    )  # fmt: skip


def other_targets(arranged: Sequence[Row]) -> Table:
    """Results for the protocol's other target returns."""
    lines, keys = [], []
    for row in arranged:
        for model, cell in row.cells.items():
            for place, evaluation in list(enumerate(cell.first.evaluations))[1:]:
                mean, given = f"{mean_return(cell, place):.0f}", target(evaluation.target_return)
                line = (row.label, row.first.source, label(model), given, mean)
                lines.append((*map(Text, line), measured(cell, place)))
                keys.append(row.first.dataset)
    return Table(
        title="Other target returns",
        notes=(
            "The same runs with other target returns. Return in the environment's units, mean over episodes and seeds.",
        ),
        header=("Data set", "Source", "Model", "Target return", "Return", "Score"),
        rows=tuple(lines),
        numbers=3,
        keys=tuple(keys),
    )


def other_settings(arranged: Sequence[Row]) -> Table:
    """Runs that are not in the main table because another setting of the same model is."""
    lines = [
        (Text(row.label), Text(row.first.source), Text(label(cell.column)),
         Text(differences(row.cells[cell.column], cell)), measured(cell))
        for row in arranged
        for cell in row.others
    ]  # fmt: skip
    return Table(
        title="Other settings",
        notes=("Where a model was run with several settings, the first table shows the one with the most seeds, then "
               "the most updates, then the fewest options. These are the others, with what differs.",),
        header=("Data set", "Source", "Model", "Settings", "Score"),
        rows=tuple(lines),
        numbers=4,
        keys=tuple(row.first.dataset for row in arranged for _ in row.others),
    )  # fmt: skip


def published_scores(arranged: Sequence[Row], kind: ScoreFamily) -> Table:
    """Every published number for the data sets at hand."""
    datasets = sorted({row.first.dataset for row in arranged if kind_of(row.first) is kind})
    columns = [each for each in published() if fits(each, kind) and any(name in each.scores for name in datasets)]
    return Table(
        title="Published" if kind is D4RL else "Published on Atari",
        notes=(
            f"On {kind.files}, as printed there.",
            *(column.note for column in columns),
        ),
        header=("Data set", *(column.label for column in columns)),
        rows=tuple((Text(name), *(Text(column.cell(name)) for column in columns)) for name in datasets if columns),
        numbers=1,
        keys=tuple(datasets) if columns else (),
    )
