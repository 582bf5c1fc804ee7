"""The report as Markdown: results/table.md, and the short table between the markers of a README."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from report import verdict
from report.cell_text import ABSENT, Table, Text
from report.compare import SuiteComparison
from report.families import by_family
from report.score_families import SUCCESS, kind_of
from report.table import Report
from trajectories.errors import UserError

SPECIAL = re.compile(r"[\\`*|<>&]|\](?=[(:\[])")  # a bracket only where a link's address would follow
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
COLUMNS, ROWS = 6, 8  # of a README's table, at most; with more rows, tasks that are solved stand by family
HOW = "Written by `python experiments/report.py` from `results/runs/*/record.json`; edit nothing here."
EMPTY = "There are no finished runs yet: `python experiments/run.py --model dt --env hopper-medium` makes one."


class Language(NamedTuple):
    """How the short tables are written: the sentence, words of headers and below a table, and whole lines."""

    verdict: Callable[[SuiteComparison], tuple[str, str]]
    words: Mapping[str, str]
    lines: tuple[tuple[str, str], ...] = ()  # a pattern that a line matches as a whole, and what is written instead

    def line(self, text: str) -> str:
        """A line of a cell; as it is where no pattern matches it."""
        for pattern, instead in self.lines:
            if match := re.fullmatch(pattern, text):
                return match.expand(instead)
        return text


CHINESE = Language(
    verdict.chinese,
    {
        "Behavior": "行为策略",
        "Scores": (
            "归一化得分：0 为随机策略，100 为专家；种子间均值 ± 标准差，取协议中第一个目标回报、最后一个检查点。"
            "没有 ± 的只有一个种子。完整表格、区间、公开数字及其出处见 [results/table.md](results/table.md)。"
        ),
        "Atari": "人类归一化得分：0 为随机动作，100 为人类玩家；其余同上。",
        "Answers": (
            "问答、图片描述与文本，均在留出部分上测量。问答：答对的百分比；图片描述：在十张图片中似然选中自己那张的百分比；"
            "文本：整篇文档的每字节比特数，越小越好。待超越：不看图片时每个问题最常见的答案（blind）、随机选图（chance）、"
            "同样文档上的 gzip 与按频率抽取的子词（unigram）。"
        ),
        "To beat": "待超越",
        "Success": "成功率：成功回合所占的百分比；按任务族列出时为其全部运行的四分位均值；其余同上。",
        "Returns": "占最高回报的百分比（Control Suite 为 1,000，其机械臂为 250）；其余同上。",
        "Expert": "专家",
        "There are no": "还没有完成的运行：`python experiments/run.py --model dt --env hopper-medium` 会生成一个。",
    },
    (
        (r"Data set, (.+)", r"数据集（\1）"),
        (r"Family, (.+)", r"任务族（\1）"),
        (r"(.+) \((\d+) tasks\)", r"\1（\2 个任务）"),
        (r"(.+) ([\d,]+) steps", r"\1 \2 步"),
        (r"(\d+) min", r"\1 分钟"),
        (r"(\d+) s", r"\1 秒"),
    ),
)
ENGLISH = Language(
    verdict.english,
    {
        "Scores": (
            "Normalized score, 0 a random policy and 100 an expert: mean ± standard deviation over seeds, at the first "
            "target return, last checkpoint; without ± there is one seed. All tables, intervals, and published "
            "numbers with their sources: [results/table.md](results/table.md)."
        ),
        "Atari": "Human-normalized score, 0 random actions and 100 a human; the rest as above.",
        "Answers": (
            "Questions, captions and text, all on the part that is held out: percentage of right answers; percentage "
            "of captions that find their own picture among ten; bits for each byte of whole documents, of which fewer "
            "are better. To beat: answers without a look at the picture (blind), chance, gzip, and pieces drawn by "
            "their frequency (unigram)."
        ),
        "Success": (
            "Percentage of episodes that succeeded; by family, the interquartile mean of all runs; the rest as above."
        ),
        "Returns": (
            "Percentage of the highest return, 1,000 in the Control Suite and 250 with its arm; the rest as above."
        ),
        "There are no": EMPTY,
    },
)


def document(report: Report) -> str:
    """results/table.md."""
    parts = ["# Results", HOW]
    if not report.rows:
        return "\n\n".join([*parts, EMPTY]) + "\n"
    if report.leading:
        lead, rest = map(escape, verdict.english(report.leading))
        parts.append(f"**{lead}**{rest}")
    for table in report.tables:
        notes = "\n".join(f"- {note}" for note in report.notes()[table.title])
        parts += [f"## {table.title}", grid(table), *filter(None, [notes])]
    if report.missing:
        parts += ["## Missing", "\n".join(f"- {escape(where)}: {code(line)}" for where, line in report.missing)]
    return "\n\n".join(parts) + "\n"


def short(report: Report, language: Language) -> str:
    """What stands between a README's markers: who leads, and of each kind of score the first table, narrowed."""
    if not report.rows:
        return language.words["There are no"]
    parts = []
    if report.leading:
        lead, rest = map(escape, language.verdict(report.leading))
        parts.append(f"**{lead}**{rest}")
    first = {each.kind: each for each in reversed(report.scores)}
    for kind in dict.fromkeys(each.kind for each in report.scores):
        parts += [grid(narrow(briefly(first[kind], report)), language), language.words[kind]]
    return "\n\n".join(parts)


def briefly(table: Table, report: Report) -> Table:
    """A long table of tasks by family, if they are of several; of models that have run all tasks of a family."""
    if table.kind != SUCCESS.title or len(table.rows) <= ROWS:
        return table
    source = table.title.partition(", ")[2]
    ours = [row for row in report.rows if kind_of(row.first) is SUCCESS and row.first.source == source]
    families = by_family(ours, table.models)
    rows = tuple(tuple(Text(ABSENT) if text.few else text for text in row) for row in families.rows)
    return replace(families, rows=rows, title=f"By family, {source}") if rows else table


def narrow(table: Table) -> Table:
    """A table of scores in six columns at most, without small print: the models with the most rows."""
    rows_of = [sum(row[place].main != ABSENT for row in table.rows) for place in range(len(table.header))]
    models = [place for place in range(1, 1 + len(table.models)) if rows_of[place]]
    best = sorted(models, key=lambda place: (-rows_of[place], " " in table.models[place - 1], place))[: COLUMNS - 2]
    kept = [0, *sorted(best), 1 + len(table.models)]
    header = (f"{table.header[0]}, {table.title.partition(', ')[2]}", *(table.header[place] for place in kept[1:]))
    rows = tuple(tuple(replace(row[place], small=()) for place in kept) for row in table.rows)
    return replace(table, header=header, rows=rows)


def grid(table: Table, language: Language = ENGLISH) -> str:
    """One table; the columns' sides follow what they hold."""
    sides = [":---" if place < table.numbers else "---:" for place in range(len(table.header))]
    header = [language.words.get(name) or language.line(name) for name in table.header]
    lines = [header, sides, *([cell(text, language) for text in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: Text, language: Language = ENGLISH) -> str:
    main, *small = (escape(language.line(line)) for line in (text.main, *text.small))
    return "<br>".join([f"**{main}**" if text.bold else main, *(f"<sub>{line}</sub>" for line in small)])


def escape(text: str) -> str:
    """What Markdown and HTML would read as markup, as it should be printed: names may be a stranger's."""
    return SPECIAL.sub(lambda found: ENTITIES.get(found[0], f"\\{found[0]}"), text)


def code(text: str) -> str:
    """Text as code, between more backquotes than it holds in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def between_markers(page: str, table: str, name: str) -> str:
    """The page with the table between its markers; without markers, the page as it was.

    Raises:
        UserError: only one of the two markers is there, or they stand in the wrong order.
    """
    if BEGIN not in page and END not in page:
        return page
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(END) < page.index(BEGIN):
        raise UserError(f"{name}: it needs one {BEGIN} and after it one {END}: correct the markers.")
    return page[: page.index(BEGIN) + len(BEGIN)] + f"\n{table}\n" + page[page.index(END) :]
