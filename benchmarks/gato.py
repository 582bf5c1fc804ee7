"""Gato: acting with kept keys and values, training and its share of the matrix-product ceiling, memory of logits.

Peers    the same model without what is measured: the whole window again for every token (`Recomputing`); every patch of
         a batch encoded, however often it is there; logits of all ids at all positions, or of all ids for text. None of
         the public Gatos learns or acts as it is: beside them stands a GPT of the same sizes as language models are
         trained (after karpathy/nanoGPT), logits of all ids at all positions, its batch made of tokens beforehand.
Ceiling  the floating-point operations of the matrix products that our step needs, over the time of a 2048-cube product
"""

import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from benchmarks import operations
from benchmarks.made_up import HOPPER, noise, noise_of, words
from benchmarks.operations import PER_STEP
from benchmarks.timing import matmul_ceiling, paired
from gato import Config, Gato
from gato.player import Decoder, Recomputing, Rolling
from gato.stream import TARGET_TYPES
from gato.tokens import BINS, layout
from sources.loading import Request, load
from training.cli import exit_on_user_error
from training.settings import Precision, Run, parse
from training.train import Progress, adamw, update
from trajectories.batch import Batch
from trajectories.catalog import dataset
from trajectories.types import Trajectories

EPISODES = 10
CONTEXT = 1024 // PER_STEP  # steps
GPT_IDS = (layout("split").size, 2 * BINS + 1)  # of a peer: all of Gato's table, and those that occur on hopper


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    data = noise(100_000)
    rows = [acting(data), training(data, "bf16"), training(data, "fp32"), *(beside_gpt(data, ids) for ids in GPT_IDS)]
    rows += [seeing(), logits(), writing()]
    return rows + [reading(task) for task in ("hopper-medium", "walker2d-medium", "metaworld-reach")]


def acting(data: Trajectories) -> dict[str, object]:
    """One step of 10 episodes with a full context of 1024 tokens behind them."""
    model = Gato(Config(context=CONTEXT), HOPPER)
    model.calibrate(data)
    model.eval()
    live, reward = np.ones(EPISODES, bool), np.zeros(EPISODES)

    def player(kind: type[Rolling] | type[Recomputing]) -> Callable[[], object]:
        playing = kind(model, 0, EPISODES, 0)
        observations = data.observations[: CONTEXT * EPISODES].reshape(CONTEXT, EPISODES, 11)
        if isinstance(playing, Rolling):
            for now in observations:
                playing.act(now, reward, live)
        else:
            fill(playing, observations)
        return lambda: playing.act(observations[0], reward, live)

    ours, peer, ratio = paired(player(Rolling), player(Recomputing), pairs=5)
    return {
        "what": f"Gato: a step of {EPISODES} hopper episodes, 1024 tokens of context",
        "ours": f"{ours * 1e3:.1f} ms",
        "peer": f"{peer * 1e3:.0f} ms",
        "ratio": ratio,
        "note": "the same model computing its whole window for each of the 3 action tokens",
    }


def fill(playing: Decoder, observations: np.ndarray) -> None:
    """Steps behind a player that remembers only what it saw; what it did would cost minutes to compute."""
    assert isinstance(playing, Recomputing)
    live, reward = np.ones(EPISODES, bool), np.zeros(EPISODES)
    for now in observations:
        playing.history.observe(now, reward, live)
        playing.history.record(np.zeros((EPISODES, 3), np.float32), live)


def training(data: Trajectories, precision: Precision) -> dict[str, object]:
    """One update of `tiny`, its batch included."""
    model = Gato(Config(), HOPPER)
    model.calibrate(data)
    optimizer, done = adamw(model), Progress()
    run = Run(updates=10_000, precision=precision)
    ours, _, _ = paired(lambda: update(model, data, optimizer, run, done), lambda: None, pairs=9)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    tokens = model.config.batch_size * model.config.context * PER_STEP
    share = operations.gato(model.config) / ours / matmul_ceiling(dtype)
    return {
        "what": f"Gato: an update of tiny with its batch, {precision}",
        "ours": f"{ours * 1e3:.0f} ms",
        "peer": f"{share * ours * 1e3:.0f} ms",
        "ratio": share,
        "note": f"{tokens / ours:,.0f} tokens/s; peer and ratio: its products alone at the ceiling's speed",
    }


def beside_gpt(data: Trajectories, ids: int) -> dict[str, object]:
    """One update of `tiny`, its batch included, against one of a plain GPT that reads as many tokens; both in bf16."""
    model = Gato(Config(), HOPPER)
    model.calibrate(data)
    optimizer, done, run = adamw(model), Progress(), Run(updates=10_000, precision="bf16")
    ours, peer, ratio = paired(
        lambda: update(model, data, optimizer, run, done), gpt_update(model.config, ids), pairs=9
    )
    tokens = model.config.batch_size * model.config.context * PER_STEP
    return {
        "what": f"Gato: an update of tiny with its batch, against a GPT of its sizes and {ids:,} ids",
        "ours": f"{tokens / ours:,.0f} tokens/s",
        "peer": f"{tokens / peer:,.0f} tokens/s",
        "ratio": ratio,
        "note": f"peer: logits of {ids:,} ids at every token, batch made beforehand",
    }


def gpt_update(config: Config, ids: int) -> Callable[[], Tensor]:
    """An update of PyTorch's own pre-norm blocks over sequences of random tokens; it returns the loss."""
    length = config.context * PER_STEP
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, config.hidden, 0.0, "gelu", batch_first=True, norm_first=True
    )
    blocks = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(config.width), enable_nested_tensor=False)
    table, places = nn.Embedding(ids, config.width), nn.Embedding(length, config.width)
    weights = [weight for module in (blocks, table, places) for weight in module.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, fused=True)
    tokens = torch.randint(ids, (config.batch_size, length + 1))
    mask = nn.Transformer.generate_square_subsequent_mask(length)

    def work() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = blocks(table(tokens[:, :-1]) + places.weight, mask, is_causal=True)
            loss = cross_entropy(linear(hidden, table.weight).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
        optimizer.step()
        return loss.detach()

    return work


def reading(task: str, context: int = 20) -> dict[str, object]:
    """One update with its batch, an observation's numbers as one token and in longer windows, against a token each."""
    config = parse(["--model", "gato", "--env", task]).config
    assert isinstance(config, Config)
    data = noise_of(replace(dataset(task).environment.spec(), name=task), 20_000)

    def work(config: Config) -> Callable[[], object]:
        model = Gato(config, data.spec)
        model.calibrate(data)
        optimizer, done, run = adamw(model), Progress(), Run(updates=10_000, precision="bf16")
        return lambda: update(model, data, optimizer, run, done)

    embedded = replace(config, vectors="embedded", context=context)
    ours, peer, ratio = paired(work(embedded), work(config), pairs=9)
    steps, fewer = (config.batch_size * each for each in (context, config.context))
    return {
        "what": f"Gato: steps that an update reads, {task}, --vectors embedded",
        "ours": f"{steps / ours:,.0f} steps/s",
        "peer": f"{fewer / peer:,.0f} steps/s",
        "ratio": ratio * steps / fewer,
        "note": f"windows of {context} steps against the paper's tokens in windows of {config.context}",
    }


def seeing() -> dict[str, object]:
    """One update on Breakout's screens, its batch included, with the settings that a run has."""
    model_settings = parse(["--model", "gato", "--env", "breakout"]).config
    assert isinstance(model_settings, Config)
    with tempfile.TemporaryDirectory() as folder:
        data = load(Request("breakout", "collected", data_dir=Path(folder), steps=5_000))
        model = Gato(model_settings, data.spec)
        model.calibrate(data)
        optimizer, done, run = adamw(model), Progress(), Run(updates=10_000, precision="bf16")

        def ours() -> None:
            update(model, data, optimizer, run, done)

        def peer() -> None:
            with mock.patch("gato.patches.distinct", every):
                ours()

        mine, other, ratio = paired(ours, peer, pairs=9)
    return {
        "what": "Gato: an update on Breakout's screens with its batch, bf16",
        "ours": f"{mine * 1e3:.0f} ms",
        "peer": f"{other * 1e3:.0f} ms",
        "ratio": ratio,
        "note": "each distinct patch encoded once, against each of its copies",
    }


def every(patches: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Patches as if no two were alike."""
    rows = torch.arange(len(places))
    return rows, rows


def logits() -> dict[str, object]:
    """Peak memory of a loss and its gradient, beyond what the model takes, batch of 16."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        peaks = [pool.apply(peak_memory, (plain,)) for plain in (False, True)]
    return {
        "what": "Gato: memory of a loss over the full table, 16 sequences of 120 tokens",
        "ours": f"{peaks[0] / 2**20:.0f} MiB",
        "peer": f"{peaks[1] / 2**20:.0f} MiB",
        "ratio": peaks[1] / peaks[0],
        "note": "the same loss with logits at every position",
    }


def writing() -> dict[str, object]:
    """One update on text, 4 chunks of 512 tokens, its batch included; and the memory that it takes."""
    ours, peer, ratio = paired(text_update("legal"), text_update("full"), pairs=5)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        peaks = [pool.apply(text_memory, (logits,)) for logits in ("legal", "full")]
    return {
        "what": "Gato: an update on text with its batch, 4 chunks of 512 tokens",
        "ours": f"{ours * 1e3:.0f} ms",
        "peer": f"{peer * 1e3:.0f} ms",
        "ratio": ratio,
        "note": f"over the 2,000 pieces against all 34,049 ids; memory {peaks[0] >> 20} and {peaks[1] >> 20} MiB",
    }


def text_update(logits: str) -> Callable[[], object]:
    """An update on words of noise."""
    data = words(2_000_000)
    model = Gato(Config(batch_size=4, logits=logits), data.spec)  # type: ignore[arg-type]
    model.calibrate(data)
    optimizer, done, run = adamw(model), Progress(), Run(updates=10_000, precision="bf16")
    return lambda: update(model, data, optimizer, run, done)


def text_memory(logits: str) -> int:
    """Bytes that a model on text and its updates need at most, in a process of their own."""
    torch.set_num_threads(1)
    made = text_update("legal")  # what learning itself brings
    made()
    return growth(lambda: twice(text_update(logits)))


def twice(work: Callable[[], object]) -> None:
    """The first update makes the optimizer's moments, the second needs them and the gradients."""
    work()
    work()


def peak_memory(plain: bool) -> int:
    """Bytes that one loss and its gradient need at most, in a process of their own."""
    torch.set_num_threads(1)
    data = noise(5_000)
    config = Config(batch_size=16, logits="full")
    model = Gato(config, HOPPER)
    learn(model, data)  # so that the gradients' own memory is there already
    return growth(lambda: plain_loss(model, data) if plain else learn(model, data))


def learn(model: Gato, data: Trajectories) -> None:
    model.loss(model.sample(data, np.random.default_rng(1)))["total"].backward()  # type: ignore[no-untyped-call]


def plain_loss(model: Gato, data: Trajectories) -> None:
    batch = model.sample(data, np.random.default_rng(1))
    assert isinstance(batch, Batch)
    stream = model.stream(batch)
    scores = model.logits(model.transformer(model.embedding(stream)), slice(0, model.layout.size))
    is_target = torch.isin(stream.token_types, torch.tensor([int(kind) for kind in TARGET_TYPES])) & stream.valid
    targets = stream.ids.masked_fill(~is_target, -100)
    cross_entropy(scores[:, :-1].flatten(0, 1), targets[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]


def growth(work: Callable[[], None]) -> int:
    """How far the resident memory rises while `work` runs (Linux: its peak can be reset)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(name: str) -> int:
    """Bytes that the kernel counts under a name."""
    rows = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(name)) * 1024


if __name__ == "__main__":
    with exit_on_user_error():
        for row in measure():
            print(row)
