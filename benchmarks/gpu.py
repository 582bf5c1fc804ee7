"""One NVIDIA GPU: what each model's update and decision take there, and how much of the card they use.

    make gpu                                     # everything, within eight minutes, into benchmarks/gpu.json and gpu.md
    python -m benchmarks.gpu --parts dt tt       # some of it, printed only

The card's settings are left as they are. Peers are ours without what is measured: an update made operation by
operation on batches cut in the computer's memory. Data are made up: a step's time does not depend on what they show.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import tyro

from backbone.interface import SequenceModel
from benchmarks import operations
from benchmarks.__main__ import table
from benchmarks.made_up import HOPPER, frames, noise
from benchmarks.planner import BINS, CASES, scattered, search_of
from decision_transformer.config import Config as DTConfig
from decision_transformer.config import ImageConfig
from decision_transformer.model import DecisionTransformer
from gato.config import Config, preset
from gato.model import Gato
from training.batches import batches
from training.cli import exit_on_user_error
from training.settings import Run
from training.step import CapturedStep, GradientStep
from training.train import Progress, adamw, make_step, to_gpu, update
from trajectories.atomic import write_text
from trajectories.errors import UserError
from trajectories.types import Trajectories
from trajectory_transformer.config import Config as TTConfig
from trajectory_transformer.model import TrajectoryTransformer
from trajectory_transformer.planner import CapturedPlanner
from trajectory_transformer.planner import plan as make_plan

FIGURES = Path(__file__).with_name("gpu.json")
GPU = torch.device("cuda")
Row = dict[str, object]


@dataclass(frozen=True)
class Options:
    """Measure what one GPU gives."""

    parts: tuple[str, ...] = ()
    """card dt seeds tt plan ahead gato79 gato364 atari; all, if none is named"""
    limit: float = 440.0
    """seconds after which no further part begins"""
    updates: int = 0
    """for `seeds`: be one of the processes, and make so many updates"""


def main(options: Options) -> None:
    if not torch.cuda.is_available():
        raise UserError("No NVIDIA GPU is to be found here: run this on a machine that has one.")
    if options.updates:
        print(json.dumps({"seconds": one_seed(options.updates)}))
        return
    began = time.perf_counter()
    rows: list[Row] = []
    for name in options.parts or PARTS:
        if time.perf_counter() - began > options.limit:
            rows.append({"what": name, "note": "not begun: the time was over"})
            continue
        first = time.perf_counter()
        try:
            for row in PARTS[name]():
                rows.append(row)
                print(json.dumps(row), flush=True)
        except (RuntimeError, subprocess.SubprocessError) as error:  # of one part: the others still run
            rows.append({"what": name, "note": f"failed: {str(error)[:300]}"})
            print(json.dumps(rows[-1]), flush=True)
        print(f"{name}: {time.perf_counter() - first:.0f} s", file=sys.stderr, flush=True)
        torch.cuda.empty_cache()
    machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    if not options.parts:
        write(machine, rows)


def write(machine: str, rows: list[Row]) -> None:
    """The figures for programs and for people."""
    write_text(FIGURES, json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    page = f"# One GPU\n\nWritten by `make gpu`; edit nothing here.\n\n{machine}\n\n{table(rows)}\n"
    write_text(FIGURES.with_suffix(".md"), page)


def seconds_each(work: Callable[[], object], budget: float = 3.0, warm: int = 5) -> float:
    """Mean seconds of a call, the GPU's own work included."""
    for _ in range(warm):
        work()
    torch.cuda.synchronize()
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < budget:
        work()
        calls += 1
        if calls % 50 == 0:
            torch.cuda.synchronize()  # or thousands would wait in line
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / calls


@cache
def product_peak(size: int = 8192) -> float:
    """Floating-point operations a second of a large bf16 product."""
    a, b = (torch.randn(size, size, device=GPU, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds_each(lambda: a @ b, 1.0)


def card() -> Iterator[Row]:
    """What the card reaches."""
    x, large = torch.zeros(8, device=GPU), torch.zeros(2**28, device=GPU)
    copied = 2 * large.nbytes / seconds_each(large.clone, 0.5)
    yield {"what": "bf16 product of 8192-cubes", "ours": f"{product_peak() / 1e12:.0f} TFLOP/s"}
    yield {"what": "a copy, read and written", "ours": f"{copied / 1e12:.2f} TB/s"}
    yield {"what": "one small kernel, launched", "ours": f"{seconds_each(lambda: x.add_(1), 0.3) * 1e6:.1f} us"}


def working(model: SequenceModel, data: Trajectories, captured: bool) -> Callable[[], dict[str, torch.Tensor]]:
    """An update of a model: captured on columns that lie on the GPU, or operation by operation on the host's."""
    torch.manual_seed(0)
    model.calibrate(data)
    model.to(GPU).train()
    step = make_step(model, "bf16") if captured else GradientStep(model, adamw(model), "bf16")
    assert isinstance(step, CapturedStep) == captured
    columns: Any = to_gpu(data, model) if captured else data
    run, done = Run(updates=100_000), Progress()
    return lambda: update(model, columns, step.optimizer, run, done, step)


def compared(what: str, make: Callable[[], SequenceModel], data: Trajectories, flops: float, tokens: int) -> Row:
    """An update captured, against the same operation by operation, and what both have learned after 500."""
    seconds, losses = [], []
    for captured in (True, False):
        torch.manual_seed(0)
        work = working(make(), data, captured)
        losses.append(float(torch.stack([work()["total"] for _ in range(500)])[400:].mean()))
        seconds.append(seconds_each(work))
    ours, peer = seconds
    peak = f", {flops / ours / product_peak():.1%} of the product peak" if flops else ""
    return {
        "what": what,
        "ours": f"{ours * 1e3:.2f} ms, {tokens / ours / 1e6:.2f} M tokens/s",
        "peer": f"{peer * 1e3:.2f} ms",
        "ratio": peer / ours,
        "note": f"100,000 updates in {ours * 1e5 / 60:.1f} min{peak}; mean loss of updates 401 to 500: "
        f"{losses[0]:.5f} captured, {losses[1]:.5f} not; {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB",
    }


def dt() -> Iterator[Row]:
    """The Decision Transformer at the paper's size."""
    data, config = noise(1_000_000), DTConfig()
    make = lambda: DecisionTransformer(config, data.spec)  # noqa: E731
    flops = operations.decision_transformer(config)
    yield compared("DT: an update, 64 windows of 20 steps", make, data, flops, 64 * 60)


def one_seed(updates: int) -> float:
    """Seconds of so many updates of a Decision Transformer, after the first thousand."""
    data = noise(1_000_000)
    work = working(DecisionTransformer(DTConfig(), data.spec), data, captured=True)
    for _ in range(1000):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(updates):
        work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def seeds() -> Iterator[Row]:
    """Three seeds of a Decision Transformer on one card at once, against one."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--updates"]

    def together(count: int, updates: int) -> float:
        each = [
            subprocess.Popen([*command, str(updates)], stdout=subprocess.PIPE, encoding="utf-8") for _ in range(count)
        ]
        output = [process.communicate(timeout=120)[0] for process in each]
        return max(json.loads(line.splitlines()[-1])["seconds"] for line in output)

    one, three = together(1, 8_000), together(3, 8_000)
    yield {
        "what": "DT: three seeds in processes of their own on one card",
        "ours": f"{three:.1f} s",
        "peer": f"{3 * one:.1f} s",
        "ratio": 3 * one / three,
        "note": f"8,000 updates of each; one takes {one:.1f} s, three {three / one:.2f} times as long",
    }


def tt() -> Iterator[Row]:
    """The Trajectory Transformer at the paper's size, on hopper and on walker2d's 25 tokens a step."""
    data, config = noise(1_000_000), TTConfig()
    make = lambda: TrajectoryTransformer(config, data.spec)  # noqa: E731
    flops = operations.trajectory_transformer(config)
    yield compared("TT: an update, 256 windows of 10 steps of hopper", make, data, flops, 256 * 160)


def plan() -> Iterator[Row]:
    """One decision of the Trajectory Transformer on hopper."""
    for case in (CASES[2], CASES[0]):
        search = search_of(case)
        network, discretizer = scattered(search)
        network, discretizer = network.to(GPU), discretizer.to(GPU)
        length = case.prefix * search.tokens + search.observation_size
        for together in (1, 10):
            contexts = torch.randint(0, BINS, (together, length), device=GPU)
            draws = torch.rand(
                together, case.horizon, search.tokens, search.candidates, dtype=torch.float64, device=GPU
            )
            captured = CapturedPlanner(network, discretizer, search, together)
            ways = captured, partial(make_plan, network, discretizer, search)
            same = torch.equal(*(way(contexts, draws).tokens for way in ways))
            ours, peer = (seconds_each(partial(way, contexts, draws), 2.0, warm=1) for way in ways)
            yield {
                "what": f"TT: a decision of {together} episodes, {case.what}",
                "ours": f"{ours * 1e3:.0f} ms",
                "peer": f"{peer * 1e3:.0f} ms",
                "ratio": peer / ours,
                "note": f"captured against operation by operation: {'the same plan' if same else 'ANOTHER PLAN'}",
            }


def atari() -> Iterator[Row]:
    """The Decision Transformer of images at the paper's size."""
    from decision_transformer.atari import AtariDecisionTransformer

    data = frames(100_000)
    make = lambda: AtariDecisionTransformer(ImageConfig(), data.spec)  # noqa: E731
    yield compared("DT on Atari: an update, 128 windows of 30 steps", make, data, 0, 128 * 90)


def gato(size: str, micro_batch: int, recompute: bool = False) -> Iterator[Row]:
    """An update of one of the paper's Gatos on its batch of 512 sequences of 1024 tokens."""
    data, context = noise(100_000), 68
    config = preset(size, context=context)
    torch.manual_seed(0)
    model = Gato(config, HOPPER)
    model.calibrate(data)
    model.to(GPU).train()
    setattr(model.transformer, "recompute", recompute)  # noqa: B010
    torch.cuda.reset_peak_memory_stats()
    step, done = make_step(model, "bf16", micro_batch=micro_batch), Progress()
    run = replace(Run(), updates=1_000_000)
    took = seconds_each(lambda: update(model, data, step.optimizer, run, done, step), 5.0, warm=1)
    tokens = config.batch_size * context * 15
    share = operations.gato(config, ids=34_049) / took / product_peak()
    yield {
        "what": f"Gato {size}: an update of 512 x 1020 tokens, {micro_batch} sequences at a time",
        "ours": f"{took:.2f} s, {tokens / took / 1e3:,.0f} k tokens/s",
        "note": f"{share:.0%} of the product peak, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
        + (", activations computed twice" if recompute else ""),
    }


def ahead() -> Iterator[Row]:
    """The smallest Gato, whose batches a thread draws ahead, against batches drawn when an update begins."""
    data = noise(1_000_000)
    model = Gato(Config(), HOPPER)
    model.calibrate(data)
    model.to(GPU).train()
    step, done, run = make_step(model, "bf16"), Progress(), Run(updates=1_000_000)
    ways = batches(model, data, run), None
    took = [seconds_each(partial(update, model, data, step.optimizer, run, done, step, way), 4.0) for way in ways]
    yield {
        "what": "Gato tiny: an update, batches drawn ahead",
        "ours": f"{took[0] * 1e3:.2f} ms",
        "peer": f"{took[1] * 1e3:.2f} ms",
        "ratio": took[1] / took[0],
        "note": "against batches drawn when an update begins",
    }


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "card": card,
    "dt": dt,
    "tt": tt,
    "seeds": seeds,
    "plan": plan,
    "ahead": ahead,
    "gato79": lambda: gato("79M", 32),
    "gato364": lambda: gato("364M", 16),
    "atari": atari,
}

if __name__ == "__main__":
    with exit_on_user_error():
        main(tyro.cli(Options, prog="python -m benchmarks.gpu"))
