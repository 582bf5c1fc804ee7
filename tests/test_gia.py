"""GIA's README in our words: its three examples with only the import line changed, and what they rest on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gato import Config
from gato.compat import gia, gia_data
from gato.compat.gia import Arguments, DatasetArguments, Embeddings, GiaModel, collate_fn, load_mixed_dataset
from trajectories.errors import UserError

pytest.importorskip("minigrid", reason="needs minigrid: pip install -r requirements-extra.txt")

SMALL = Config(layers=1, heads=2, width=32, head_width=16, hidden=32, layout="shared", text=True, images=True)
TASKS = ["babyai-go-to", "mujoco-ant"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gia")


@pytest.fixture(autouse=True)
def little_data(recorded: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred steps of each task, recorded once."""
    monkeypatch.setenv("TRAJECTORIES_DIR", str(recorded))
    monkeypatch.setattr(gia_data, "STEPS", 300)
    torch.manual_seed(0)


# GIA's README


def test_gia_s_example_of_data_gives_its_keys_and_shapes() -> None:
    args = DatasetArguments(task_names=["babyai-go-to", "mujoco-ant"])
    dataset = load_mixed_dataset(args)
    dataloader = DataLoader(dataset, shuffle=True, collate_fn=collate_fn)
    batch = next(iter(dataloader))
    assert set(batch[0]) == {
        *("rewards", "dones", "continuous_observations", "continuous_actions", "continuous_observations_loss_mask"),
        *("continuous_actions_loss_mask", "rewards_attention_mask", "dones_attention_mask"),
        *("continuous_observations_attention_mask", "continuous_actions_attention_mask"),
    }
    assert batch[0]["continuous_observations"].shape == torch.Size([8, 28, 27])
    assert set(batch[1]) == {
        *("rewards", "dones", "text_observations", "discrete_observations", "image_observations", "discrete_actions"),
        *("patches_positions", "text_observations_loss_mask", "discrete_observations_loss_mask"),
        *("image_observations_loss_mask", "discrete_actions_loss_mask", "rewards_attention_mask"),
        *("dones_attention_mask", "text_observations_attention_mask", "discrete_observations_attention_mask"),
        *("discrete_actions_attention_mask", "image_observations_attention_mask"),
    }
    assert batch[1]["image_observations"].shape == torch.Size([8, 39, 16, 3, 16, 16])


def test_gia_s_example_of_embeddings_gives_its_shapes_and_types() -> None:
    args = Arguments(task_names=["babyai-go-to"], embed_dim=128)
    dataset = load_mixed_dataset(args)
    dataloader = DataLoader(dataset, batch_size=args.batch_size, collate_fn=collate_fn)
    embeddings = Embeddings(args)
    batch = next(iter(dataloader))
    embeds = [embeddings(sample) for sample in batch]
    assert len(embeds) == 8
    found = {key: (value.shape, value.dtype) for key, value in embeds[0].items()}
    assert found == {
        "embeddings": (torch.Size([1, 1014, 128]), torch.float32),
        "loss_mask": (torch.Size([1, 1014]), torch.bool),
        "attention_mask": (torch.Size([1, 1014]), torch.bool),
        "tokens": (torch.Size([1, 1014]), torch.int64),
    }


def test_gia_s_example_of_the_model_gives_its_logits_and_the_loss_of_ignorance() -> None:
    args = Arguments(task_names=["babyai-go-to", "mujoco-ant"], batch_size=1)
    dataset = load_mixed_dataset(args)
    dataloader = DataLoader(dataset, shuffle=True, collate_fn=collate_fn)
    model = GiaModel(args)
    batch = next(batch for batch in dataloader if "text_observations" in batch[0])  # a draw; Ant's has 1008 tokens
    output = model(batch)
    assert output.logits.shape == torch.Size([1, 1014, 33025])
    assert output.loss.item() == pytest.approx(np.log(33_025), abs=0.5)
    assert output.loss.requires_grad


# What the sequences are


def sequences(*names: str, **changes: object) -> gia.MixedDataset:
    return load_mixed_dataset(DatasetArguments(task_names=list(names), **changes))  # type: ignore[arg-type]


def test_a_step_of_ant_has_36_tokens_and_one_of_babyai_s_go_to_26() -> None:
    assert {task.spec.name: task.steps for task in sequences(*TASKS).tasks} == {"babyai-go-to": 39, "ant": 28}
    sample = sequences(*TASKS)[0]
    assert [gia_data.tokens_of(each) for each in sample] == [36, 26]


def test_the_same_arguments_and_index_give_the_same_sequences() -> None:
    first, again, other = sequences("mujoco-ant")[1], sequences("mujoco-ant")[1], sequences("mujoco-ant")[0]
    assert torch.equal(first[0]["continuous_observations"], again[0]["continuous_observations"])
    assert not torch.equal(first[0]["continuous_observations"], other[0]["continuous_observations"])


def test_a_sequence_without_prompt_stays_in_one_episode_and_padding_stands_last() -> None:
    (sample,) = sequences("babyai-go-to-obj", p_prompt=0.0)[0]
    real = sample["rewards_attention_mask"]
    assert not (real[:, 1:] & ~real[:, :-1]).any()
    last = real.sum(dim=1) - 1
    assert last.max() < 38  # these episodes are shorter than a sequence
    inside = torch.arange(39) < last[:, None]
    assert sample["dones"].any()
    assert not (sample["dones"] & inside).any()  # an episode's end ends the sequence


def test_a_prompted_sequence_shows_the_end_of_another_episode_first() -> None:
    (sample,) = sequences("babyai-go-to-obj", p_prompt=1.0, p_end=1.0)[0]
    assert sample["dones"].any(dim=1).all()
    last = sample["rewards_attention_mask"].sum(dim=1) - 1
    assert (sample["dones"].float().argmax(dim=1) < last).all()  # where the prompt ends


def test_actions_and_text_are_learned_and_no_other_observation() -> None:
    (sample,) = sequences("babyai-go-to")[0]
    for key in ("text_observations", "discrete_actions"):
        assert torch.equal(sample[f"{key}_loss_mask"], sample[f"{key}_attention_mask"])
    for key in ("discrete_observations", "image_observations"):
        assert not sample[f"{key}_loss_mask"].any()


def test_a_mission_has_a_token_for_each_word_between_a_begin_and_an_end() -> None:
    (task,) = sequences("babyai-go-to").tasks
    (sample,) = sequences("babyai-go-to")[0]
    ids = sample["text_observations"][0, 0].tolist()
    assert (len(ids), ids[0], ids[-1]) == (7, task.text.begin, task.text.end)
    assert task.text.decode(ids[1:-1]).startswith("go to ")


def test_a_family_s_name_stands_for_its_tasks() -> None:
    named = [request.name for request in gia_data.requests(DatasetArguments(task_names="mujoco"))]
    assert sorted(named) == ["ant-random", "halfcheetah-expert", "hopper-expert", "walker2d-expert"]
    fetched = gia_data.requests(DatasetArguments(task_names=["mujoco-pusher"], source="jat"))
    assert [(request.name, request.source) for request in fetched] == [("mujoco-pusher", "jat")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task_names": ["babyai-go-too"]}, "babyai-go-to"),
        ({"task_names": ["mujoco-pusher"]}, "mujoco-pusher is no task"),
        ({"task_names": ["mujoco-ant"], "seq_len": 35}, "36 tokens, but seq_len is 35"),
        ({"mu": 50.0}, "mu is 50"),
        ({"p_prompt": 1.5}, "p_prompt is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"source": "hub"}, "collected or jat"),
    ],
)
def test_arguments_that_cannot_be_met_are_answered_in_a_sentence(change: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_mixed_dataset(DatasetArguments(**change))  # type: ignore[arg-type]


def test_other_models_and_pretrained_weights_are_refused() -> None:
    with pytest.raises(UserError, match="model_name is gpt2"):
        Arguments(model_name="gpt2")
    with pytest.raises(UserError, match="use_pretrained is True"):
        Arguments(use_pretrained=True)


# What the model reads


def test_tokens_and_the_numbers_they_stand_for_give_the_same_output() -> None:
    torch.manual_seed(0)
    numbers, actions = torch.randn(2, 5, 27), torch.rand(2, 5, 8) * 2 - 1
    model = gia.Gato(SMALL)
    output = model({"continuous_observations": numbers, "continuous_actions": actions})
    tokens = output.tokens.reshape(2, 5, 36)
    again = model({"continuous_observations": tokens[:, :, :27], "continuous_actions": tokens[:, :, 28:]})
    torch.testing.assert_close(again.logits, output.logits)
    torch.testing.assert_close(again.loss, output.loss)


def test_padding_of_token_batches_may_be_anything() -> None:
    tokens, mask = torch.full((1, 3, 4), 32_500), torch.tensor([[True, True, False]])
    batch = {"continuous_observations": tokens, "continuous_observations_attention_mask": mask}
    batch |= {"continuous_actions": tokens, "continuous_actions_attention_mask": mask}
    blank = {key: values.masked_fill(~mask[:, :, None], 0) for key, values in batch.items() if values.ndim == 3}
    model = gia.Gato(SMALL).eval()
    torch.testing.assert_close(model({**batch, **blank}).loss, model(batch).loss)


def test_an_integer_that_is_no_token_is_named() -> None:
    with pytest.raises(UserError, match="continuous_observations holds the integer 7, which is no token"):
        gia.Gato(SMALL)({"continuous_observations": torch.full((1, 2, 3), 7)})
    with pytest.raises(UserError, match="discrete_actions holds the integer 33024"):
        gia.Gato(SMALL)({"discrete_observations": torch.zeros(1, 2, 3), "discrete_actions": torch.full((1, 2), 33_024)})


def test_a_list_of_tasks_batches_gives_the_mean_over_all_target_tokens() -> None:
    batch = sequences(*TASKS, batch_size=2)[0]
    model = gia.Gato(SMALL).eval()
    both, alone = model(batch), [model(each) for each in batch]
    counts = torch.stack([each.loss_mask.sum() for each in alone])
    assert both.logits.shape == (4, 1014, 33_025)
    assert both.attention_mask.sum() == sum(each.attention_mask.sum() for each in alone)
    expected = (torch.stack([each.loss for each in alone]) * counts).sum() / counts.sum()
    torch.testing.assert_close(both.loss, expected)
    with pytest.raises(UserError, match="list of batches is empty"):
        model([])


def test_text_that_is_done_is_learned_behind_the_separator() -> None:
    text, observed = torch.randint(32_000, (2, 3, 12)), torch.zeros(2, 3, 1, dtype=torch.long)
    model = gia.Gato(SMALL)
    output = model({"discrete_observations": observed, "text_actions": text})
    other = model({"discrete_observations": observed, "text_actions": text.roll(1, 2)})
    assert not torch.allclose(other.logits, output.logits)
    assert output.logits.shape == (2, 3 * 14, 33_025)
    assert torch.equal(output.tokens.reshape(2, 3, 14)[:, :, 2:], text)
    assert output.loss_mask.reshape(2, 3, 14)[:, :, 2:].all()
    assert (output.tokens.reshape(2, 3, 14)[:, :, 1] == 33_024).all()


def test_no_mask_or_key_of_a_loader_s_batch_changes_what_its_copies_give() -> None:
    (sample,) = sequences("babyai-go-to", batch_size=1, seq_len=104)[0]
    model = gia.Gato(SMALL).eval()
    extra = {key: values for key, values in sample.items() if key not in ("rewards", "dones")}
    torch.testing.assert_close(model(sample).logits, model(extra).logits)


def test_a_recorded_view_is_drawn_as_minigrid_draws_the_level() -> None:
    import gymnasium
    from minigrid.wrappers import RGBImgPartialObsWrapper

    from environments.babyai import pictures

    environment = RGBImgPartialObsWrapper(gymnasium.make("BabyAI-UnlockPickup-v0"))
    views, drawn = [], []
    rng = np.random.default_rng(0)
    for seed in range(3):
        environment.reset(seed=seed)
        for _ in range(40):
            shown = environment.step(rng.choice([0, 1, 2, 2, 3, 5]))[0]
            views.append(environment.unwrapped.gen_obs()["image"])
            drawn.append(shown["image"])
    found = pictures(np.array(views).reshape(3, 40, 7, 7, 3))
    assert found.shape == (3, 40, 56, 56, 3)
    assert np.array_equal(found.reshape(120, 56, 56, 3), drawn)
