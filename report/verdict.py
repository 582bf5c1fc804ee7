"""One sentence about a suite, derived from its interquartile means: which model leads, and over which others.

A model leads over another where its 95% interval lies above the other's; where they overlap, both lead. A model with
fewer data sets or seeds than the others is named and not ranked.
"""

from collections.abc import Sequence
from typing import NamedTuple

from report.compare import Aggregate, SuiteComparison, summaries
from report.grid import label


class Verdict(NamedTuple):
    """The models of a comparison, each list from the highest interquartile mean down."""

    lead: list[Aggregate]  # the first has the highest mean, and the intervals of the others overlap with its own
    behind: list[Aggregate]  # their intervals lie below that of the first
    unranked: list[Aggregate]
    seeds: int  # that the ranked models have on each data set, at least
    alike: bool = True  # whether all of them have as many


def verdict(comparison: SuiteComparison) -> Verdict:
    """Who leads."""
    found = summaries(comparison)
    ranked = [(each, each.interval) for each in found if each.ranked and each.interval]
    low = ranked[0][1][0] if ranked else 0.0
    seeds = [len(scores) for each, _ in ranked for scores in comparison.tasks(each.column).values()]
    return Verdict(
        [each for each, (_, high) in ranked if high >= low],
        [each for each, (_, high) in ranked if high < low],
        [each for each in found if not each.ranked],
        min(seeds, default=0),
        len(set(seeds)) < 2,
    )


def english(comparison: SuiteComparison) -> tuple[str, str]:
    """The sentence, in two pieces: who leads, and the rest."""
    lead, behind, unranked, seeds, alike = verdict(comparison)
    over = f"{comparison.suite}, {comparison.source}"
    if not lead:
        return "Nothing is ranked", f" on {over}: no two models have several seeds on all of its data sets."
    sizes = f"over {len(comparison.rows)} data sets with {'' if alike else 'at least '}{seeds} seeds each"
    best, *others = lead
    if others:
        words = f", not separated by their intervals, on {over}: interquartile means {_numbers(lead, ' and ')} {sizes}"
    else:
        words = f" on {over}: interquartile mean {number(best)} {sizes}"
    words += f", above {_numbers(behind, ' and ')}" if behind else ""
    if unranked:
        be = "has" if len(unranked) == 1 else "have"
        fewer = "seeds" if all(each.tasks == len(comparison.rows) for each in unranked) else "data sets or seeds"
        words += f"; {_listed(unranked, ' and ')} {be} fewer {fewer} and cannot be ranked"
    return f"{_listed(lead, ' and ')} lead{'' if others else 's'}", f"{words}."


def chinese(comparison: SuiteComparison) -> tuple[str, str]:
    """The same in Chinese, its numbers in the same order."""
    lead, behind, unranked, seeds, alike = verdict(comparison)
    over = f"{comparison.suite}（{comparison.source}）"
    if not lead:
        return "无法排名", f"：在 {over}上，没有两个模型在全部数据集上都有多个种子。"
    best, *others = lead
    sizes = f"（{len(comparison.rows)} 个数据集，各{'' if alike else '至少'} {seeds} 个种子）"
    if others:
        words = f"（区间重叠，无法区分）：在 {over}上，四分位均值为 {_numbers(lead, '、')}{sizes}"
    else:
        words = f"：在 {over}上，四分位均值为 {number(best)}{sizes}"
    words += f"，高于 {_numbers(behind, '、')}" if behind else ""
    words += f"；{_listed(unranked, '、')} 的种子或数据集较少，不参与排名" if unranked else ""
    return f"{_listed(lead, '、')} 领先", f"{words}。".replace(" tasks)", " 个任务)")


def number(each: Aggregate) -> str:
    """An interquartile mean with its interval, if it has one."""
    return f"{each.iqm:.1f}" + (" [{:.1f}, {:.1f}]".format(*each.interval) if each.interval else "")


def _numbers(several: Sequence[Aggregate], last: str) -> str:
    return _series([f"{label(each.column)} {number(each)}" for each in several], last)


def _listed(several: Sequence[Aggregate], last: str) -> str:
    return _series([label(each.column) for each in several], last)


def _series(words: Sequence[str], last: str) -> str:
    """A, B and C; with 、 between all of them where this comes last, too."""
    *first, final = words
    return (last if last == "、" else ", ").join(first) + (last if first else "") + final
