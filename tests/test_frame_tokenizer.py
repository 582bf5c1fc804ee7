"""Frames as tokens, and the Trajectory Transformer that reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.toys import SCREEN, random_observations, small, walk
from training.checkpoint import load_model, save_model
from trajectories import store
from trajectories.errors import UserError
from trajectories.types import Spec, Trajectories
from trajectory_transformer.atari import AtariTrajectoryTransformer
from trajectory_transformer.config import CODES
from trajectory_transformer.frame_tokenizer import FrameTokenizer


@pytest.fixture(scope="module")
def data() -> Trajectories:
    return walk((12, 7, 12), spec=SCREEN)


@pytest.mark.parametrize(("sides", "tokens"), [((84, 84), 25), ((36, 36), 4), ((84, 64), 20), ((50, 41), 6)])
def test_a_frame_is_one_of_512_codes_for_each_place_and_is_shown_in_its_own_size(
    sides: tuple[int, int], tokens: int
) -> None:
    torch.manual_seed(0)
    tokenizer = FrameTokenizer((1, *sides), width=8)
    torch.nn.init.normal_(tokenizer.down[-1].weight, std=5.0)
    frames = torch.randint(256, (300, 1, *sides), dtype=torch.uint8)
    codes = tokenizer.encode(frames)
    assert codes.shape == (300, tokens) == (300, tokenizer.tokens)
    assert codes.min() >= 0
    assert 300 < codes.max() < CODES
    assert tokenizer.decode(codes).shape == frames.shape


def test_codes_are_shown_as_the_rounded_levels_they_stand_for() -> None:
    torch.manual_seed(0)
    tokenizer = FrameTokenizer((1, 36, 36), width=8)
    torch.nn.init.normal_(tokenizer.down[-1].weight, std=5.0)
    frames = torch.randint(256, (20, 1, 36, 36), dtype=torch.uint8)
    torch.testing.assert_close(
        tokenizer.decode(tokenizer.encode(frames)), tokenizer.show(tokenizer.levels(frames).round())
    )
    assert set(tokenizer.levels(frames).round().unique().tolist()) <= set(range(-4, 4))


def test_the_tokenizer_learns_where_a_small_thing_is() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    frames = np.full((400, 1, 36, 36), 90, np.uint8)
    for frame, (row, column) in zip(frames, rng.integers(33, size=(400, 2)), strict=True):
        frame[0, row : row + 3, column : column + 3] = 230
    tokenizer = FrameTokenizer((1, 36, 36), width=32)
    tokenizer.fit(frames, 300, 32, 3e-3, rng)
    shown = tokenizer.decode(tokenizer.encode(torch.from_numpy(frames[:50])))[:, 0]
    right = 0
    for one, frame in zip(shown, frames, strict=False):
        row, column = divmod(int(one.argmax()), 36)
        right += frame[0, row, column] == 230
    assert right > 35  # by chance less than one
    assert not any(weight.requires_grad for weight in tokenizer.parameters())


def test_what_moves_is_shown_although_more_differs_that_stands_still() -> None:
    """A wall of stones, another in every episode, and a ball of nine pixels in its own place in every frame."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    frames = np.zeros((600, 36, 36), np.uint8)
    walls = rng.integers(2, size=(12, 12, 12), dtype=np.uint8).repeat(50, axis=0).repeat(3, axis=2)
    frames[:, :12] = 150 * walls
    ball = np.zeros_like(frames, dtype=bool)
    for here, (row, column) in zip(ball, rng.integers((14, 0), 33, size=(600, 2)), strict=True):
        here[row : row + 3, column : column + 3] = True
    frames[ball] = 230
    tokenizer = FrameTokenizer((1, 36, 36), width=32)
    tokenizer.fit(frames[:, None], 300, 32, 3e-3, rng)
    shown = tokenizer.decode(tokenizer.encode(torch.from_numpy(frames[:, None])))[:, 0].numpy()
    below = np.broadcast_to(np.arange(36)[:, None] >= 14, ball.shape)
    assert shown[ball].mean() > 0.5 > 4 * shown[below & ~ball].mean()  # 230 of 255 is 0.9


def test_the_trajectory_transformer_of_images_reads_the_newest_frame_s_codes(data: Trajectories) -> None:
    torch.manual_seed(0)
    model = small("tt", data)
    assert isinstance(model, AtariTrajectoryTransformer)
    batch = model.sample(data, np.random.default_rng(0))
    tokens = model.tokenize(batch)[0]
    assert tokens.shape[2] == 4 + 1 + 1 + 1
    codes = model.tokenizer.encode(torch.from_numpy(data.observations[:, None]))
    for window, mask in zip(tokens, batch.mask, strict=True):
        rows = [(codes == window[step, :4]).all(1).nonzero()[:, 0].tolist() for step in range(int(mask.sum()))]
        assert all(rows)
    shown = random_observations(np.random.default_rng(2), SCREEN, (3, *SCREEN.observation_shape))
    read = model.tokenizer.encode(model.newest(shown))
    assert torch.equal(read, model.tokenizer.encode(torch.from_numpy(shown[:, 3:])))


def test_a_resumed_run_uses_the_tokenizer_it_began_with(data: Trajectories) -> None:
    first, again = (small("tt", data, tokenizer_updates=updates) for updates in (3, 1))
    assert isinstance(first, AtariTrajectoryTransformer)
    assert isinstance(again, AtariTrajectoryTransformer)
    assert not np.array_equal(first.columns(data)[0].observations, again.columns(data)[0].observations)
    again.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(first.columns(data)[0].observations, again.columns(data)[0].observations)


def test_a_run_that_goes_on_does_not_learn_to_see_again(data: Trajectories, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("tt", data)
    monkeypatch.setattr(FrameTokenizer, "fit", lambda *_: pytest.fail("the tokenizer was fitted again"))
    again = type(model)(model.config, data.spec)
    again.load_state_dict(model.state_dict())
    again.calibrate(data)
    assert again.metadata() == model.metadata()
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_a_run_of_it_keeps_a_picture_of_its_reconstructions(data: Trajectories, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = small("tt", data)
    save_model(tmp_path, "tt", model)
    with Image.open(tmp_path / "reconstructions.png") as picture:
        assert picture.size == (8 * 36, 2 * 36)
        above = np.asarray(picture)[:36, :36, 0]
    np.testing.assert_array_equal(above, data.observations[0])
    again = load_model(tmp_path)
    assert isinstance(again, AtariTrajectoryTransformer)
    assert again.metadata()["frames"] == model.metadata()["frames"]


def test_frames_that_are_read_can_be_let_go_of(data: Trajectories, tmp_path: Path) -> None:
    model = small("tt", data)
    assert isinstance(model, AtariTrajectoryTransformer)
    np.save(tmp_path / "frames.npy", data.observations)
    frames = model.frames(np.load(tmp_path / "frames.npy", mmap_mode="r"))
    assert frames.shape == (len(data), 1, *SCREEN.frame_shape)
    assert store._mapping(frames) is not None
    colors = Spec("colors", (36, 40, 3), (), 9, 3, observation_dtype="uint8")
    other = small("tt", walk((12, 7), spec=colors))
    assert isinstance(other, AtariTrajectoryTransformer)
    assert other.frames(np.zeros((5, 36, 40, 3), np.uint8)).shape == (5, 3, 36, 40)


@pytest.mark.filterwarnings("error")  # torch warns of frames that cannot be written to
def test_frames_in_a_file_that_may_only_be_read_are_encoded() -> None:
    tokenizer = FrameTokenizer((1, 36, 36), width=8)
    frames = np.random.default_rng(0).integers(256, size=(5, 1, 36, 36), dtype=np.uint8)
    frames.flags.writeable = False
    codes = torch.from_numpy(tokenizer.encode_all(frames).astype(int))
    assert codes.tolist() == tokenizer.encode(torch.from_numpy(frames.copy())).tolist()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 5)])
def test_some_actions_are_random_so_that_a_game_does_not_stand_still(
    data: Trajectories, share: float, expected: int
) -> None:
    model = small("tt", data, random_actions=share, cdf_actions=0.0, top_actions=1, prefix_context=False)
    shown = np.zeros((2, *SCREEN.observation_shape), np.uint8)
    player = model.player(2, 0.0, seed=3)
    played = np.array([player.act(shown, np.zeros(2), np.ones(2, bool)) for _ in range(40)])
    assert SCREEN.actions == 5
    assert len(np.unique(played)) == expected
    alone = model.player(1, 0.0, seed=4)
    again = [alone.act(shown[:1], np.zeros(1), np.ones(1, bool))[0] for _ in range(40)]
    assert played[:, 1].tolist() == again


def test_other_bins_than_the_codes_are_refused(data: Trajectories) -> None:
    with pytest.raises(UserError, match="--bins is 100, but the codes of frames are 512"):
        small("tt", data, bins=100)
