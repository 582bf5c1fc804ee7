"""Who leads: one sentence from a suite's intervals, a README's table of six columns, and models that are not ranked."""

import re
from collections.abc import Sequence

import pytest

from report import compare, markdown, table, verdict
from report.compare import SuiteComparison
from report.grid import rows
from report.store import Record
from tests.records import made_up

SUITE = {"both": ("hopper-medium", "walker2d-medium")}


def suite(model: str, *scores: float, datasets: Sequence[str] = SUITE["both"], source: str = "reroll") -> list[Record]:
    """A model's runs with these scores, one a seed, on each of the data sets."""
    return [
        made_up(model=model, dataset=dataset, seed=seed, score=score, targets=(None,), source=source)
        for dataset in datasets
        for seed, score in enumerate(scores)
    ]


def comparison(*records: Record) -> SuiteComparison:
    found = compare.leading(compare.comparisons(rows(records), SUITE))
    assert found is not None
    return found


AHEAD, BEHIND, NEAR = suite("dt", 60.0, 61.0, 62.0), suite("bc", 50.0, 51.0, 52.0), suite("gato", 61.0, 61.5, 63.0)


def test_the_sentence_names_who_leads_and_over_whom() -> None:
    lead, rest = verdict.english(comparison(*AHEAD, *BEHIND))
    assert lead == "DT leads"
    assert rest == (
        " on both, reroll: interquartile mean 61.0 [60.2, 61.8] over 2 data sets with 3 seeds each, "
        "above BC 51.0 [50.2, 51.8]."
    )


def test_models_whose_intervals_overlap_lead_together() -> None:
    lead, rest = verdict.english(comparison(*AHEAD, *BEHIND, *NEAR))
    assert lead == "Gato and DT lead"
    assert "not separated by their intervals" in rest
    assert rest.index("Gato 6") < rest.index("DT 61.0") < rest.index("above BC")


@pytest.mark.parametrize(
    ("other", "fewer"),
    [
        (suite("tt", 99.0), "TT has fewer seeds"),
        (suite("tt", 99.0, 98.0, 97.0, datasets=["hopper-medium"]), "TT has fewer data sets or seeds"),
    ],
)
def test_a_model_of_fewer_seeds_or_data_sets_is_named_and_not_ranked(other: list[Record], fewer: str) -> None:
    compared = comparison(*AHEAD, *BEHIND, *other)
    lead, rest = verdict.english(compared)
    assert lead == "DT leads"
    assert rest.endswith(f"; {fewer} and cannot be ranked.")
    assert [each.column for each in compare.summaries(compared)] == ["dt", "bc", "tt"]  # last, whatever it scores
    assert {(each.first, each.second) for each in compare.improvements(compared)} == {("dt", "bc")}


def test_one_seed_each_ranks_nothing() -> None:
    compared = comparison(*suite("dt", 60.0), *suite("bc", 50.0))
    assert compared.ranked == []
    assert verdict.english(compared)[0] == "Nothing is ranked"
    assert compare.improvements(compared) == []


def test_one_model_with_more_seeds_than_all_others_hides_none_of_them() -> None:
    assert comparison(*suite("dt", 60.0, 61.0, 62.0, 63.0), *BEHIND).ranked == ["dt", "bc"]


def test_a_source_with_a_ranking_leads_and_rerolled_data_before_others() -> None:
    collected = [*suite("dt", 1.0, 2.0, source="collected"), *suite("bc", 1.0, 2.0, source="collected")]
    assert comparison(*suite("dt", 60.0), *suite("bc", 60.0), *collected).source == "collected"
    assert comparison(*AHEAD, *BEHIND, *collected).source == "reroll"


def test_the_sentence_has_the_same_numbers_in_both_languages() -> None:
    for records in ((*AHEAD, *BEHIND), (*AHEAD, *BEHIND, *NEAR, *suite("tt", 9.0)), (*suite("dt", 1.0),)):
        found = [words(comparison(*records)) for words in (verdict.english, verdict.chinese)]
        english, chinese = (re.findall(r"\d+\.\d", "".join(pieces)) for pieces in found)
        assert sorted(english) == sorted(chinese)
        assert re.search("[一-鿿]", "".join(found[1]))


def test_each_source_has_a_table_of_its_own_and_rerolled_data_come_first() -> None:
    report = table.report([*suite("dt", 60.0, source="collected"), *AHEAD])
    assert [each.title for each in report.scores] == ["Scores, reroll", "Scores, collected"]
    assert [len(each.rows) for each in report.scores] == [2, 2]
    assert "`reroll`" in report.scores[0].notes[0]


def test_a_readme_shows_six_columns_at_most_of_the_first_source_and_no_small_print() -> None:
    models = ("dt", "tt", "gato", "bc", "nearest", "gru")
    records = [record for model in models for record in suite(model, 60.0, 61.0)]
    short = markdown.short(table.report([*records, *suite("dt", 1.0, source="collected")], (), SUITE), markdown.ENGLISH)
    header = next(line for line in short.splitlines() if line.startswith("| Data set"))
    assert header == "| Data set, reroll | DT | TT | Gato | BC | Behavior |"
    assert "<sub>" not in short
    assert "†" not in short
    assert short.count("| hopper-medium |") == 1
    assert short.startswith("**")


def test_a_readme_shows_the_models_with_the_most_rows() -> None:
    records = [*suite("dt", 60.0, datasets=["hopper-medium"]), *suite("nearest", 60.0)]
    narrow = markdown.narrow(table.report(records, ("tt", "gato", "bc", "gru")).scores[0])
    assert narrow.header == ("Data set, reroll", "DT", "Nearest", "Behavior")  # of the others there are no runs


def test_a_note_stands_once_below_the_first_table_that_it_explains() -> None:
    report = table.report([*AHEAD, *suite("dt", 60.0, source="collected")])
    first, second = (report.notes()[each.title] for each in report.scores)
    assert table.MEAN in first
    assert table.MEAN not in second
    assert any(note.startswith("†") for note in second)
