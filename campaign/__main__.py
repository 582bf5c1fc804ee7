"""Everything that the tests are too short for, as a table of what was tried and what held.

make campaign                            # some of each, in less than ten minutes
python -m campaign --full                # all of it: two hours or so; its table becomes results/campaign.md
python -m campaign --full --only files   # of that one part; `--kept FILE` remembers what has been tried
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro

from campaign import fuzz, kills, power, servers
from campaign.tally import LONGEST, Tally, table
from campaign.whole_files import KINDS
from training import provenance
from trajectories.atomic import write_text

PAGE = provenance.ROOT / "results" / "campaign.md"
SEEDS, FILES, KILLS, CUTS = 3, 1000, 50, 6  # in full
AT_ONCE = 10  # kills of a command that are tried as one part


@dataclass(frozen=True)
class Options:
    """Damaged files, lying servers, kills and power cuts, and how many of each held."""

    full: bool = False
    """1,000 damaged files of each kind at each of three seeds, 50 kills of each command, 6 power cuts"""
    files: int = 100
    """damaged files of each kind, if not in full"""
    kills: int = 10
    """how often to kill each command, if not in full"""
    seconds: float = 40.0
    """and for how long at most"""
    only: tuple[Literal["servers", "files", "kills", "power"], ...] = ()
    """which of these; else all"""
    kept: Path | None = None
    """what has been tried is kept in this file, and not tried again: an interrupted campaign goes on"""
    scratch: Path | None = None
    """where to keep the files that did not hold; else they go with the rest"""


Part = tuple[str, Callable[[Path], Tally]]  # a name of its own, and what is tried


def parts(options: Options) -> Iterator[Part]:
    """Everything that is to be tried, in pieces of some minutes."""
    files, seeds = (FILES, SEEDS) if options.full else (options.files, 1)
    often, seconds = (KILLS, 3600.0) if options.full else (options.kills, options.seconds)
    at_once = AT_ONCE if options.full else often
    chosen = options.only or ("servers", "files", "kills", "power")
    if "servers" in chosen:
        yield "servers", servers.lie
    for kind in KINDS if "files" in chosen else ():
        for seed in range(seeds):
            yield f"{files} {kind} {seed}", partial(fuzz.fuzz, kind, files, seed)
    for what in kills.WHAT if "kills" in chosen else ():
        for seed in range(often // at_once):
            yield f"{at_once} kills {what} {seed}", partial(kills.kill, what, at_once, seconds, seed)
    for seed in range(CUTS if options.full else 1) if "power" in chosen else ():
        yield f"power {seed}", partial(power.cut_power, seed)


def main(options: Options) -> None:
    torch.set_num_threads(1)
    os.nice(10)  # others may share the machine
    commit, _ = provenance.commit()
    tried = _read(options.kept)
    with tempfile.TemporaryDirectory() as folder:
        scratch = (options.scratch or Path(folder)).absolute()
        scratch.mkdir(parents=True, exist_ok=True)
        for name, attempt in parts(options):
            if name not in tried:
                began = time.monotonic()
                tried[name] = attempt(scratch)
                tried[name].commit = commit
                print(f"{tried[name].row()}  {time.monotonic() - began:.0f} s", flush=True)
                if options.kept:
                    write_text(options.kept, json.dumps({name: asdict(tally) for name, tally in tried.items()}))
    shown = table(list(tried.values()))
    print(f"\n{shown}")
    if options.full and not options.only:
        write_text(PAGE, page(shown))
    sys.exit(any(tally.failures for tally in tried.values()))


def _read(kept: Path | None) -> dict[str, Tally]:
    if kept is None or not kept.exists():
        return {}
    return {name: Tally(**row) for name, row in json.loads(kept.read_text(encoding="utf-8")).items()}


def page(shown: str) -> str:
    """results/campaign.md."""
    machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"""# What was tried, and what held

`python -m campaign --full`, {date.today()}, {machine}.

- Damaged files hold if they are read as a run reads them or refused with one sentence of at most {LONGEST} characters,
  within ten seconds of the processor and a gigabyte.
- Kills hold if the command started again leaves what an undisturbed one leaves; power cuts, if the disk keeps it.
- Lying servers hold if nothing appears but the file that was meant.

{shown}
"""


if __name__ == "__main__":
    main(tyro.cli(Options))
