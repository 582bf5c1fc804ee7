"""mugato's README: its examples with an episode dimension, padded, embedded and read by any sequence model."""

import pytest
import torch
from torch import Tensor, nn

from gato.compat.mugato import Mugato, collate
from gato.text import shipped
from trajectories.errors import UserError

SIZES = {"n_embd": 32, "n_layer": 1, "n_head": 2}


def robotics() -> list[dict[str, Tensor]]:
    """mugato's own example."""
    return [
        {
            "mission": torch.arange(2 * 4).view(2, 4, 1),
            "image": torch.randn(2 * 256 * 256 * 3).view(2, 256, 768),
            "action": torch.arange(2 * 1).view(2, 1, 1),
        },
        {
            "mission": torch.arange(3 * 3).view(3, 3, 1),
            "image": torch.randn(3 * 256 * 256 * 3).view(3, 256, 768),
            "action": torch.arange(3 * 1).view(3, 1, 1),
        },
    ]


def small() -> list[dict[str, Tensor]]:
    return [{**each, "image": each["image"][:, :4]} for each in robotics()]


TEXTS = [
    {"text": "Four score and seven years ago..."},
    {"text": "There once was a man from Nantucket..."},
    {"text": "Lorem ipsum dolor sit amet..."},
]


def test_mugato_s_examples_are_padded_as_it_documents() -> None:
    batch = collate(robotics())
    assert {key: tuple(values.shape) for key, values in batch.items()} == {
        "mission": (2, 3, 4, 1),
        "image": (2, 3, 256, 768),
        "action": (2, 3, 1, 1),
    }
    assert batch["mission"][0, :2, :, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert batch["mission"][1, 2, :, 0].tolist() == [6, 7, 8, 0]  # its missions' tokens padded to 4
    assert not batch["image"][0, 2].any()  # its episodes padded to 3
    assert batch.masks["mission"].sum(dim=(1, 2)).tolist() == [8, 9]


def test_mugato_s_examples_become_783_embeddings_of_768() -> None:
    assert Mugato(n_layer=1).embed(collate(robotics())).shape == (2, 783, 768)


def test_texts_get_an_episode_and_a_channel() -> None:
    batch = collate(TEXTS)
    longest = max(len(shipped().encode(each["text"])) for each in TEXTS)
    assert batch["text"].shape == (3, 1, longest, 1)
    assert Mugato(**SIZES).embed(batch).shape == (3, longest, 32)


class StateSpace(nn.Module):
    """Mamba in plain PyTorch, as transformers has it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        transformers = pytest.importorskip("transformers", reason="needs transformers: requirements-dev.txt")
        sizes = {"hidden_size": width, "state_size": 4, "num_hidden_layers": 1, "vocab_size": 1}
        self.mamba = transformers.MambaModel(transformers.MambaConfig(**sizes))

    def forward(self, x: Tensor) -> Tensor:
        return self.mamba(inputs_embeds=x, use_cache=False).last_hidden_state


@pytest.mark.parametrize("kind", ["transformer", "gru", "state space"])
def test_any_sequence_model_reads_the_same_tokens_and_learns(kind: str) -> None:
    torch.manual_seed(0)
    models = {
        "transformer": lambda: None,
        "gru": lambda: nn.GRU(32, 32, batch_first=True),
        "state space": lambda: StateSpace(32),
    }
    mugato, batch = Mugato(models[kind](), **SIZES), collate(small())
    optimizer = torch.optim.AdamW(mugato.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        logits, loss = mugato(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert logits.shape == (2, 3 * 9, 33_025)
    assert losses[-1] < losses[0] - 0.5


def test_padding_changes_neither_the_loss_nor_what_is_real() -> None:
    torch.manual_seed(0)
    mugato = Mugato(**SIZES).eval()
    first, second = small()
    alone, both = collate([first]), collate([first, second])
    logits, loss = mugato(alone)
    wider = mugato(both)[0][0, : 2 * 9].reshape(2, 9, -1)
    torch.testing.assert_close(wider, logits[0].reshape(2, 9, -1))
    torch.testing.assert_close(mugato(collate([first, first]))[1], loss)
    before = mugato(both)[1]
    for key, mask in both.masks.items():
        both[key][~mask] = 7
    torch.testing.assert_close(mugato(both)[1], before)


def test_small_integers_of_an_action_are_discrete_actions() -> None:
    made = Mugato(**SIZES).tokens(collate(small()))
    assert made.sequence.ids.reshape(2, 3, 9)[1, :, 8].tolist() == [32_000, 32_001, 32_002]
    tokens = {"action": torch.full((1, 2, 1, 1), 32_512)}
    assert Mugato(**SIZES).tokens(tokens).sequence.ids.tolist() == [[32_512, 32_512]]


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        ([], "no example"),
        ([{"text": "a"}, {"mission": "b"}], "Example 1 has mission"),
        ([{"image": torch.zeros(2, 768)}], r"image has the shape \(2, 768\)"),
        ([{"a": torch.zeros(1, 1, 1).long()}, {"a": torch.zeros(1, 1, 2).long()}], "channels of a: 1, 2"),
    ],
)
def test_examples_that_do_not_fit_are_refused(examples: list[dict[str, Tensor | str]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        collate(examples)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (torch.full((1, 1, 1, 1), 33_025), "the id 33025"),
        (torch.zeros(1, 1, 1, 1), "floats with one channel"),
        (torch.zeros(1, 1, 1, 3), r"\(1, 1, 1, 3\)"),
    ],
)
def test_a_batch_without_tokens_is_refused(values: Tensor, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Mugato(**SIZES).embed({"text": values})
