"""What the models see of images and discrete actions, and that what they keep while acting changes nothing."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from backbone.action_head import ActionSampler
from backbone.conv_encoder import FrameEncoder
from backbone.interface import Player, SequenceModel
from backbone.playing import WindowPlayer
from baselines.behavior_cloning import BehaviorCloning
from decision_transformer.atari import AtariDecisionTransformer
from decision_transformer.model import HIGHEST, DecisionTransformer
from gato import Gato
from tests.toys import CHOICES, POINT, SCREEN, random_observations, small, walk
from training.evaluate import begin
from training.registry import find
from trajectories.batch import Batch
from trajectories.catalog import environment
from trajectories.errors import UserError
from trajectories.types import Spec, Trajectories
from trajectories.windows import cut

LENGTHS = (12, 7, 12)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    return walk(LENGTHS, spec=SCREEN)


@pytest.fixture(scope="module")
def model(data: Trajectories) -> AtariDecisionTransformer:
    torch.manual_seed(0)
    found = small("dt", data)
    assert isinstance(found, AtariDecisionTransformer)
    for places in (found.place_in_episode, found.place_in_window):  # they begin as zero, which would hide them
        torch.nn.init.normal_(places.weight, std=0.5)
    torch.nn.init.normal_(found.embed_return[0].weight, std=0.5)
    torch.nn.init.normal_(found.embed_action.get_parameter("0.layer.weight"), std=0.5)
    return found


@pytest.fixture(scope="module")
def batch(data: Trajectories) -> Batch:
    return cut(data, first=np.array([0, 12, 12]), last=np.array([9, 18, 13]), length=4)


def changed(batch: Batch, column: str, step: int) -> Batch:
    """The same windows with something else at one step."""
    values = getattr(batch, column).clone()
    other = {"observations": lambda x: 255 - x, "actions": lambda x: (x + 1) % 5}.get(column, lambda x: x + 2)
    values[:, step] = other(values[:, step])
    return replace(batch, **{column: values})


# ---- the Decision Transformer of images -----------------------------------------------------------------------------


def test_an_environment_that_shows_images_gets_the_models_of_images() -> None:
    assert find("dt", SCREEN).model is AtariDecisionTransformer
    assert find("dt", CHOICES).model is find("dt", POINT).model is find("dt").model is DecisionTransformer
    tiny = replace(SCREEN, observation_shape=(7, 7, 3), frame_stack=1)  # MiniGrid's view
    assert find("bc", tiny).model is BehaviorCloning


def test_the_paper_s_atari_settings_are_the_defaults() -> None:
    config = asdict(find("dt", SCREEN).config())
    paper = {"context": 30, "batch_size": 128, "layers": 6, "heads": 8, "width": 128, "dropout": 0.1, "temperature": 1}
    optimizer = {"learning_rate": 6e-4, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "max_grad_norm": 1.0}
    for name, value in (paper | optimizer).items():
        assert config[name] == value, name


@pytest.mark.parametrize("column", ["actions", "rewards"])
def test_it_does_not_read_its_own_last_action_or_reward(
    model: AtariDecisionTransformer, batch: Batch, column: str
) -> None:
    assert torch.equal(model(changed(batch, column, -1)), model(batch))


def test_it_reads_no_frame_of_the_future(model: AtariDecisionTransformer, batch: Batch) -> None:
    observations = batch.observations.clone()
    observations[:, -1, -1] = 255 - observations[:, -1, -1]  # the newest frame; neighboring stacks share the others
    before = slice(None, -1)
    assert torch.equal(model(replace(batch, observations=observations))[:, before], model(batch)[:, before])


@pytest.mark.parametrize("column", ["actions", "returns_to_go"])
def test_it_reads_nothing_of_the_future(model: AtariDecisionTransformer, batch: Batch, column: str) -> None:
    before = slice(None, -1)
    assert torch.equal(model(changed(batch, column, -1))[:, before], model(batch)[:, before])


@pytest.mark.parametrize("column", ["observations", "actions", "returns_to_go"])
def test_it_reads_all_that_came_before(model: AtariDecisionTransformer, batch: Batch, column: str) -> None:
    other = changed(batch, column, -2)
    assert not torch.allclose(model(other)[:2, -1], model(batch)[:2, -1], atol=1e-6)


def test_it_reads_when_its_window_begins_and_nothing_else_of_time(
    model: AtariDecisionTransformer, batch: Batch
) -> None:
    later = replace(batch, timesteps=(batch.timesteps + 1) * batch.mask)
    assert not torch.allclose(model(later), model(batch), atol=1e-6)
    inside = batch.timesteps.clone()
    inside[:, 1:-1] += 1
    assert torch.equal(model(replace(batch, timesteps=inside)), model(batch))


def test_a_padded_window_is_judged_like_the_short_window_itself(
    model: AtariDecisionTransformer, data: Trajectories
) -> None:
    first, last = np.array([12]), np.array([13])
    padded, exact = cut(data, first, last, 4), cut(data, first, last, 2)
    torch.testing.assert_close(model(padded)[:, -2:], model(exact))


def test_the_latest_action_alone_is_the_last_of_all_actions(model: AtariDecisionTransformer, batch: Batch) -> None:
    torch.testing.assert_close(model(batch, latest_only=True), model(batch)[:, -1:])


def test_steps_beyond_the_longest_recorded_episode_count_as_its_last(
    model: AtariDecisionTransformer, batch: Batch
) -> None:
    assert model.latest == max(LENGTHS) - 1
    late = replace(batch, timesteps=(batch.timesteps + 100) * batch.mask)
    later = replace(batch, timesteps=(batch.timesteps + 200) * batch.mask)
    assert torch.equal(model(late), model(later))


def test_the_highest_return_of_the_data_is_scaled_to_the_same_number_everywhere(data: Trajectories) -> None:
    for factor in (1, 1000):
        scaled = replace(data, returns_to_go=data.returns_to_go * np.float32(factor))
        model = small("dt", scaled, return_scale=0.0)
        assert isinstance(model, AtariDecisionTransformer)
        assert np.abs(scaled.returns_to_go).max() / model.scale.item() == pytest.approx(HIGHEST)
    assert small("dt", data, return_scale=1.0).scale == 1


# ---- acting ---------------------------------------------------------------------------------------------------------


class Steps:
    """An environment's side of 3 episodes of noise, of which one ends early."""

    def __init__(self, spec: Spec, steps: int = 9) -> None:
        rng = np.random.default_rng(3)
        self.observations = random_observations(rng, spec, (steps, 3, *spec.frame_shape))
        if spec.frame_stack > 1:
            blank = np.zeros_like(self.observations[: spec.frame_stack - 1])
            frames = np.concatenate([blank, self.observations])
            self.observations = np.stack([frames[i : i + steps] for i in range(spec.frame_stack)], axis=2)
        self.rewards = rng.normal(size=(steps, 3))
        self.live = np.ones((steps, 3), bool)
        self.live[4:, 1] = False

    def played(self, player: Player) -> np.ndarray:
        turns = zip(self.observations, self.rewards, self.live, strict=True)
        return np.stack([player.act(*turn) for turn in turns])


def test_vectors_that_are_kept_give_the_actions_of_windows_that_are_encoded_anew(
    model: AtariDecisionTransformer,
) -> None:
    steps = Steps(SCREEN)
    kept, anew = model.player(3, 5.0, seed=7), WindowPlayer(model, 3, 5.0, model.scale.device, ActionSampler(1.0, 3, 7))
    outputs: dict[str, list[torch.Tensor]] = {"kept": [], "anew": []}
    listen(kept, outputs["kept"])
    listen(anew, outputs["anew"])
    np.testing.assert_array_equal(steps.played(kept), steps.played(anew))
    for one, other in zip(outputs["kept"], outputs["anew"], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def listen(player: WindowPlayer, outputs: list[torch.Tensor]) -> None:
    draw = player.draw
    assert draw is not None

    def heard(logits: torch.Tensor, live: np.ndarray) -> np.ndarray:
        outputs.append(logits)
        return draw(logits, live)

    player.draw = heard


@pytest.mark.parametrize("name", ["bc", "dt"])
def test_a_game_acted_in_bf16_is_the_same_alone_and_among_ten(name: str) -> None:
    """Bit for bit, of layers as wide as the real ones."""
    torch.manual_seed(0)
    spec = environment("breakout").spec()
    entry = find(name, spec)
    model = entry.model(entry.config(context=1 if name == "bc" else 4), spec).eval()  # type: ignore[call-arg]
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.05)  # biases, too: they are what a batch of one could add otherwise
    rng = np.random.default_rng(0)
    turns = [
        (random_observations(rng, spec, (10, *spec.observation_shape)), rng.integers(8, size=10).astype(float))
        for _ in range(6)
    ]

    def played(first: int, last: int) -> tuple[np.ndarray, torch.Tensor]:
        """Actions and logits of some of the games, (T, games) and (T, games, 4)."""
        outputs: list[torch.Tensor] = []
        player: Any = begin(model, last - first, 90.0, first, precision="bf16")
        listen(player.player, outputs)
        live = np.ones(last - first, bool)
        actions = [
            player.act(random_observations[first:last], rewards[first:last], live)
            for random_observations, rewards in turns
        ]
        return np.stack(actions), torch.stack(outputs)

    together = played(0, 10)
    for game in (0, 4, 9):
        alone = played(game, game + 1)
        np.testing.assert_array_equal(alone[0][:, 0], together[0][:, game])
        assert torch.equal(alone[1][:, 0], together[1][:, game])


def test_frames_are_encoded_once_while_they_are_in_sight(
    model: AtariDecisionTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode = FrameEncoder.forward

    def counted(self: FrameEncoder, images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(FrameEncoder, "forward", counted)
    steps = Steps(SCREEN)
    steps.played(model.player(3, 5.0))
    assert encoded == steps.live.sum(axis=1).tolist()


@pytest.mark.parametrize("name", ["bc", "dt"])
@pytest.mark.parametrize("spec", [CHOICES, SCREEN], ids=lambda spec: spec.name)
def test_discrete_actions_are_drawn_by_the_episodes_seeds_or_are_the_likeliest(name: str, spec: Spec) -> None:
    torch.manual_seed(0)
    model, steps = small(name, walk(LENGTHS, spec=spec)), Steps(spec)
    once, again, other = (steps.played(model.player(3, 5.0, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    likely = small(name, walk(LENGTHS, spec=spec), temperature=0.0)
    likely.load_state_dict(model.state_dict())
    one, same = (steps.played(likely.player(3, 5.0, seed)) for seed in (1, 2))
    np.testing.assert_array_equal(one, same)


def test_actions_are_drawn_as_often_as_they_are_probable() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2, 0.0]).log().expand(4000, 4)
    drawn = ActionSampler(1.0, 4000, seed=0)(logits, np.ones(4000, bool))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, [0.5, 0.3, 0.2, 0], atol=0.03)
    colder = ActionSampler(0.5, 4000, seed=0)(logits, np.ones(4000, bool))
    np.testing.assert_allclose(np.mean(colder == 0), 0.25 / 0.38, atol=0.03)


def test_a_temperature_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match=r"--temperature is -1.*give 0 or more"):
        find("dt", SCREEN).config(**{"temperature": -1.0})


# ---- learning -------------------------------------------------------------------------------------------------------


def bright(lengths: tuple[int, ...] = (12,) * 6) -> Trajectories:
    """Episodes in which the newest frame's brighter half names the action; the good do as it says, the others not."""
    data = walk(lengths, spec=SCREEN)
    rng = np.random.default_rng(5)
    side = rng.integers(2, size=len(data))
    frames = np.full((len(data), 36, 36), 60, np.uint8)
    for row, bright_side in enumerate(side.tolist()):
        frames[row, :, 18 * bright_side : 18 * (bright_side + 1)] = 200
    good = np.repeat(np.arange(len(lengths)) % 2, lengths)
    return Trajectories.of(
        data.spec,
        data.origin,
        observations=frames,
        actions=np.where(good == 1, side, 1 - side),
        rewards=good.astype(np.float32),
        terminated=np.zeros(len(data), bool),
        starts=data.starts,
    )


def test_a_decision_transformer_of_images_earns_its_target_return() -> None:
    data = bright()
    torch.manual_seed(0)
    model = small("dt", data, dropout=0.0, return_scale=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(model.sample(data, rng))["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    frame = data.observations[0]
    stack = np.concatenate([np.zeros((3, 36, 36), np.uint8), frame[None]])
    side = int(frame[0, -1] > frame[0, 0])
    actions = {target: first_action(model, stack, target) for target in (12.0, 0.0)}
    assert actions == {12.0: side, 0.0: 1 - side}


def first_action(model: SequenceModel, observation: np.ndarray, target_return: float) -> int:
    """The likeliest one: that of most of many draws."""
    player = model.player(51, target_return)
    actions = player.act(np.repeat(observation[None], 51, axis=0), np.zeros(51), np.ones(51, bool))
    return int(np.bincount(actions).argmax())


# ---- Gato ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["none", "best"])
def test_gato_s_kept_keys_and_values_give_the_actions_of_a_recomputation(data: Trajectories, prompt: str) -> None:
    torch.manual_seed(0)
    outputs: dict[str, list[torch.Tensor]] = {}
    actions = {}
    for memory in ("rolling", "recompute"):
        gato = small("gato", data, memory=memory, prompt=prompt, decoding="sampled", temperature=1.0)
        torch.manual_seed(1)
        for weight in gato.parameters():
            torch.nn.init.normal_(weight, std=0.1)
        steps = Steps(SCREEN, steps=4 if prompt == "none" else 3)  # a context, less the prompt's step
        assert isinstance(gato, Gato)
        outputs[memory] = overheard(gato)
        actions[memory] = steps.played(gato.player(3, seed=5))
    np.testing.assert_array_equal(actions["rolling"], actions["recompute"])
    for one, other in zip(outputs["rolling"], outputs["recompute"], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def overheard(gato: Gato) -> list[torch.Tensor]:
    """Whatever logits it will give."""
    outputs: list[torch.Tensor] = []
    logits = gato.logits

    def heard(hidden: torch.Tensor, ids: slice) -> torch.Tensor:
        outputs.append(logits(hidden, ids))
        return outputs[-1]

    gato.logits = heard  # type: ignore[method-assign]
    return outputs
