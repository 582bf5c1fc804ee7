"""Everything that the tests are too short for, as a table of what was tried and what held.

make campaign                            # some of each, in less than ten minutes
python -m campaign --full                # all of it: an hour or more; its table becomes results/campaign.md
"""

import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
import tyro

from campaign import fuzz, kills, power, servers
from campaign.tally import Tally
from training.provenance import ROOT
from trajectories.atomic import write_text

PAGE = ROOT / "results" / "campaign.md"


@dataclass(frozen=True)
class Options:
    """Damaged files, lying servers, kills and power cuts, and how many of each held."""

    full: bool = False
    """1,000 damaged files of each kind at each of three seeds, 50 kills of each command, 6 power cuts"""
    files: int = 100
    """damaged files of each kind, if not in full"""
    kills: int = 50
    """how often to kill each command"""
    seconds: float = 40.0
    """and for how long at most, if not in full"""
    scratch: Path | None = None
    """where to keep the files that did not hold; else they go with the rest"""


def main(options: Options) -> None:
    torch.set_num_threads(1)
    os.nice(10)  # others may share the machine
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = (options.scratch or Path(folder)).absolute()
        scratch.mkdir(parents=True, exist_ok=True)
        tallies = [said(servers.lie(scratch))]
        tallies += fuzz.fuzz_all(1000 if options.full else options.files, 3 if options.full else 1, scratch)
        for what in kills.WHAT:
            tallies.append(said(kills.kill(what, options.kills, 3600 if options.full else options.seconds, scratch)))
        tallies.append(said(power.cut_power(6 if options.full else 1, scratch)))
    table = "\n".join(["| | tried | held |", "|---|---|---|", *(tally.row() for tally in tallies)])
    print(f"\n{table}\n\n{time.monotonic() - began:,.0f} s")
    if options.full:
        machine = (
            f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
        write_text(
            PAGE,
            f"# What was tried, and what held\n\n`python -m campaign --full`, {date.today()}, {machine}.\n\n{table}\n",
        )
    sys.exit(any(tally.failures for tally in tallies))


def said(tally: Tally) -> Tally:
    print(tally.row(), flush=True)
    return tally


if __name__ == "__main__":
    main(tyro.cli(Options))
