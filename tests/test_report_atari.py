"""Games in the report: a table of their own, human-normalized, beside what the Decision Transformer's paper prints."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

from report import csv_table, markdown, run_sections, table
from report.cell_text import ABSENT, Table
from report.episode_figures import achieved_returns, episodes
from report.palette import looks
from report.published import published
from report.store import Evaluation, Record, read_record
from tests.records import made_up, write
from training.summary import summarize
from trajectories.catalog import environment


def played(game: str, mean: float, model: str = "dt", source: str = "collected", rewards: str = "") -> Record:
    """A made-up record of a game whose four episodes earn `mean` on average."""
    row = environment(game)
    record = made_up(model=model, dataset=game, source=source, targets=(90.0,), physics="gymnasium")
    protocol = replace(
        record.protocol, environment=row.gym_id, random_score=row.random_score, expert_score=row.expert_score
    )
    returns = mean + np.array([2.0, -2.0, 2.0, -2.0])
    evaluation = Evaluation.of(90.0, returns, [900] * 4, float(protocol.score(returns).mean()))
    data = {**record.data, "rewards": rewards}
    return replace(record, env=game, protocol=protocol, evaluations=(evaluation,), data=data)


def named(title: str, *records: Record) -> Table:
    (found,) = (each for each in table.report(records).tables if each.title == title)
    return found


def test_games_stand_in_a_table_of_their_own_with_points_beside_the_scores() -> None:
    records = [made_up(), played("breakout", 30.5)]
    assert [row[0].main for row in named("Scores, reroll", *records).rows] == ["hopper-medium"]
    games = named("Atari, collected", *records)
    ((name, ours, _, theirs),) = games.rows
    assert games.header[1:] == ("DT", "Behavior", "DT, paper")
    assert (name.main, ours.main, theirs.main) == ("breakout", "100.0", "267.5 ± 97.5 †")
    assert (ours.small[0], theirs.small[0]) == ("return 30.5", "return 76.9 ± 27.3")
    assert "Human-normalized" in games.notes[1]
    assert any("DQN-replay" in note for note in games.notes)


def test_where_there_are_only_games_theirs_is_the_first_table() -> None:
    report = table.report([played("pong", 14.6)])
    assert report.scores[0].title == "Atari, collected"
    assert "There are no finished runs" not in markdown.document(report)
    assert not any(row[0].main == "pong" for each in report.tables if each.title == "Published" for row in each.rows)


def test_a_readme_shows_both_tables_each_with_its_own_sentence() -> None:
    report = table.report([made_up(), played("breakout", 30.5)])
    english, chinese = (markdown.short(report, words) for words in (markdown.ENGLISH, markdown.CHINESE))
    for text in (english, chinese):
        assert text.index("| hopper-medium") < text.index("| breakout")
    assert "Human" in english
    assert "人类" in chinese


def test_a_multi_robot_model_has_no_column_among_games_but_missing_runs_do() -> None:
    both = {"run": {"env": ["hopper-medium", "walker2d-medium"], "source": "reroll"}}
    records = [replace(made_up(model="gato"), config=both), made_up(model="bc", targets=(None,)), played("pong", 3.0)]
    headers = [each.header[1 : 1 + len(each.models)] for each in table.report(records).scores]
    assert headers == [("DT", "Gato (2 tasks)", "BC"), ("DT", "BC")]


def test_atari_scores_use_the_paper_s_rounded_returns_beside_the_paper() -> None:
    (row,) = named("Against published scores", played("breakout", 76.9, source="dqn-replay")).rows
    *_, same, ours, theirs, difference = row
    assert (same.main, theirs.main, difference.main) == ("yes", "267.5 ± 97.5", "+0.0")
    assert ours.main == "261.1"
    assert "267.5 as they normalize" in ours.small


def test_the_papers_scores_follow_from_their_points() -> None:
    columns = [column for column in published() if column.of_games]
    assert [column.model for column in columns] == ["dt", "bc"]
    for column in columns:
        for game, (score, *_) in column.scores.items():
            assert tuple(column.references[game]) == environment(game).rounded_scores
            assert column.normalized(game, column.returns[game][0]) == pytest.approx(score, abs=0.3)  # printed rounded


@pytest.fixture
def of_clipped(tmp_path) -> Record:
    """A record of data with clipped rewards, as it is read: the one that was written still has a score of them."""
    record = played("breakout", 30.5, source="dqn-replay", rewards="the game's, clipped to [-1, 1]")
    write(tmp_path / "results" / "runs", record)
    return read_record(tmp_path / "results" / "runs" / record.name)


def test_a_sum_of_clipped_rewards_has_no_score_anywhere(of_clipped: Record, tmp_path) -> None:
    assert of_clipped.behavior.normalized is None
    assert of_clipped.evaluations[0].normalized == pytest.approx(100.0)  # what is played earns points
    (row,) = named("Atari, dqn-replay", of_clipped).rows
    assert (row[2].main, row[2].small, row[2].value) == (ABSENT, ("of clipped rewards",), None)
    assert "behavior" in summarize(of_clipped, tmp_path)
    assert "45.2" not in summarize(of_clipped, tmp_path)
    made = table.report([of_clipped])
    (line,) = csv.DictReader(csv_table.long_csv(made.rows).splitlines())
    assert (line["behavior_score"], line["behavior_return"]) == ("", "1450.000")
    (game,) = made.rows
    assert run_sections.outcome(of_clipped)["behavior"].endswith("over 200 episodes, of clipped rewards")
    for figure in (episodes(game, looks(["dt"])), achieved_returns(game, looks(["dt"]))):
        assert not any("behavior" in text.get_text() for text in figure.findobj(Text))


def test_the_score_of_rewards_that_are_points_is_shown() -> None:
    record = played("breakout", 30.5, rewards="as the game's score")
    (row,) = named("Atari, collected", record).rows
    assert (row[2].main, row[2].small) == ("45.2", ())
    (game,) = table.report([record]).rows
    assert "behavior" in [text.get_text() for text in episodes(game, looks(["dt"])).findobj(Text)]


def test_the_last_lines_of_a_run_show_recorded_and_requested_steps(tmp_path) -> None:
    games, steps = played("breakout", 30.5), {"steps": 3000}
    summary = summarize(replace(games, data={**games.data, **steps}), tmp_path)
    assert "breakout from collected, 3,000 steps requested, and the games begun in them to their ends" in summary
    robots = made_up(source="collected")
    own = "hopper-medium from collected, 3,000 steps, recorded here by policies of our own and not D4RL's"
    assert own in summarize(replace(robots, data=steps), tmp_path)
