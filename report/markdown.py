"""The report as Markdown: results/table.md, and the short table between the markers of a README."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from report.cell_text import Table, Text
from report.table import Report
from trajectories.errors import UserError

SPECIAL = re.compile(r"[\\`*|<>&]|\](?=[(:\[])")  # a bracket only where a link's address would follow
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
HOW = "Written by `python experiments/report.py` from `results/runs/*/record.json`; edit nothing here."
EMPTY = "There are no finished runs yet: `python experiments/run.py --model dt --env hopper-medium` makes one."


class Language(NamedTuple):
    """How the short table is written: words of its header and what stands below it, and whole lines of its cells."""

    words: Mapping[str, str]
    lines: tuple[tuple[str, str], ...] = ()  # a pattern that a line matches as a whole, and what is written instead

    def line(self, text: str) -> str:
        """A line of a cell; as it is where no pattern matches it."""
        for pattern, instead in self.lines:
            if match := re.fullmatch(pattern, text):
                return match.expand(instead)
        return text


CHINESE = Language(
    {
        "Data set": "数据集",
        "Source": "来源",
        "Behavior": "行为策略",
        "DT, paper": "DT（论文）",
        "BC, DT paper": "BC（DT 论文）",
        "TT quantile, paper": "TT quantile（论文）",
        "Scores": (
            "归一化得分：0 为随机策略，100 为专家。种子间均值 ± 标准差，取协议中第一个目标回报、最后一个检查点；"
            "多个种子时另给四分位均值（IQM）及其 95% 自助法区间；仅当该区间高于同行所有其他模型时才加粗。"
            "† 为 D4RL 原始文件上的公开数字，与本行数据来源不同。"
            "完整表格与各数字的出处见 [results/table.md](results/table.md)。"
        ),
        "Atari": (
            "Atari 一表为人类归一化得分：0 为随机动作，100 为人类玩家；其下是以游戏分计的平均回报，其余同上。"
            "† 为 DQN-replay 数据上的公开数字。"
        ),
        "Answers": (
            "问答、图片描述与文本，均在留出部分上测量。问答：答对的百分比；图片描述：在十张图片中似然选中自己那张的百分比；"
            "文本：整篇文档的每字节比特数，越小越好。待超越：不看图片时每个问题最常见的答案（blind）、随机选图（chance）、"
            "同样文档上的 gzip 与按频率抽取的子词（unigram）。"
        ),
        "To beat": "待超越",
        "Success": "成功率：成功回合所占的百分比，其下为平均回报，其余同上。",
        "There are no": "还没有完成的运行：`python experiments/run.py --model dt --env hopper-medium` 会生成一个。",
    },
    (
        (r"(.+) \((\d+) tasks\)", r"\1（\2 个任务）"),
        (r"(.+) ([\d,]+) steps", r"\1 \2 步"),
        (r"(\d+) seeds? × ([\d,]+) episodes?", r"\1 个种子 × \2 个回合"),
        (r"return (.+)", r"回报 \1"),
        (r"% of ([\d,]+) questions", r"% / \1 个问题"),
        (r"% of ([\d,]+) captions", r"% / \1 条描述"),
        (r"bits a byte of ([\d,]+)", r"比特/字节，共 \1 字节"),
        (r"(\d+) seeds? × ([\d,]+) pictures", r"\1 个种子 × \2 张图片"),
        (r"(\d+) seeds? × ([\d,]+) documents", r"\1 个种子 × \2 篇文档"),
        (r"(D4RL|gymnasium)'s physics", r"\1 物理"),
        ("of clipped rewards", "截断奖励之和"),
        ("of other episodes or rewards", "回合或奖励不同"),
    ),
)
ENGLISH = Language(
    {
        "Scores": (
            "Normalized score, 0 a random policy and 100 an expert: mean ± standard deviation over seeds, at the first "
            "target return, last checkpoint; with several seeds the interquartile mean (IQM) with its 95% bootstrap "
            "interval, and bold where it lies above that of every other model. † published for D4RL's own file, while "
            "this row's data come from elsewhere. The whole table, with every source: "
            "[results/table.md](results/table.md)."
        ),
        "Atari": (
            "Atari's scores are human-normalized, 0 random actions and 100 a human, with the mean return in points "
            "below; the rest as above. † published for DQN-replay's files."
        ),
        "Answers": (
            "Questions, captions and text, all on the part that is held out: percentage of right answers; percentage "
            "of captions that find their own picture among ten; bits for each byte of whole documents, of which fewer "
            "are better. To beat: answers without a look at the picture (blind), chance, gzip, and pieces drawn by "
            "their frequency (unigram)."
        ),
        "Success": "Percentage of episodes that succeeded, with the mean return below; the rest as above.",
        "There are no": EMPTY,
    }
)


def document(report: Report) -> str:
    """results/table.md."""
    parts = ["# Results", HOW]
    if not report.rows:
        return "\n\n".join([*parts, EMPTY]) + "\n"
    for table in report.tables:
        parts += [f"## {table.title}", grid(table), "\n".join(f"- {note}" for note in table.notes)]
    if report.missing:
        parts += ["## Missing", "\n".join(f"- {escape(where)}: {code(line)}" for where, line in report.missing)]
    return "\n\n".join(parts) + "\n"


def short(report: Report, language: Language) -> str:
    """What stands between a README's markers: each table of scores, and how to read it."""
    if not report.rows:
        return language.words["There are no"]
    return "\n\n".join(f"{grid(each, language)}\n\n{language.words[each.title]}" for each in report.scores)


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
