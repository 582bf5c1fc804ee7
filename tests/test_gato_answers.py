"""Gato on what is answered: pairs and text become tokens, pieces are its own, and what is likely is exact."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from backbone.interface import Answers
from gato import Config, Gato, MixedBatch, Mixture
from gato.answers import PairBatch
from gato.language import Chunks, chunks, nats
from gato.pieces import lines_of
from gato.stream import TokenSequence, TokenType
from gato.text import Text, fit, shipped
from tests.answers import pairs, text
from tests.toys import MISSION, SMALL, small, walk
from training.checkpoint import load_model, save_model
from training.step import rows_of
from training.train import adamw
from trajectories.errors import UserError
from trajectories.mixture import Task

PATCHES = {"patch_width": 8, "patch_groups": 4, "pieces": 400}


def gato(data: Task | Mixture, **changes: object) -> Gato:
    torch.manual_seed(0)
    config = Config(**{**SMALL["gato"], **PATCHES, **changes})  # type: ignore[arg-type]
    model = Gato(config, data.spec)
    model.calibrate(data)
    return model.eval()


def batch(model: Gato, data: Task) -> PairBatch | TokenSequence:
    drawn = model.sample(data, np.random.default_rng(0))
    assert isinstance(drawn, PairBatch | TokenSequence)
    return drawn


# ---- pairs as tokens ------------------------------------------------------------------------------------------------


def test_five_pairs_make_a_sequence_and_only_their_answers_are_learned() -> None:
    data = pairs(questions=True)
    model, tokenizer = gato(data), gato(data).texts.tokenizer
    drawn = batch(model, data)
    stream = model.stream(drawn)
    questions = tokenizer.encode("what color is it?")
    types, ids = stream.token_types.expand(stream.ids.shape)[0], stream.ids[0]
    first = [TokenType.INSTRUCTION] * len(questions) + [TokenType.PATCH, TokenType.SEPARATOR, TokenType.TEXT]
    assert types[: len(first)].tolist() == first
    assert ids[: len(questions)].tolist() == questions
    answers = ids[types == TokenType.TEXT].tolist()
    assert answers.count(tokenizer.end) == 5
    assert {tokenizer.decode([piece]) for piece in answers} - {""} <= {"red", "green", "blue"}
    targets = model.predict(stream)[0][1]
    assert len(targets) == model.loss_weight(drawn) == drawn.loss_weight()
    assert targets.max() < len(tokenizer) <= 400
    assert int(model.count_tokens(drawn)) == int(stream.valid.sum())


def test_a_caption_follows_its_picture_without_a_question() -> None:
    model = gato(pairs())
    stream = model.stream(batch(model, pairs()))
    types = stream.token_types.expand(stream.ids.shape)[0, :3].tolist()
    assert types == [TokenType.PATCH, TokenType.SEPARATOR, TokenType.TEXT]


def test_what_is_held_out_is_never_drawn_nor_in_the_pieces_nor_in_the_mean_image() -> None:
    data = pairs(60, questions=True)
    answers = data.answers.copy()
    answers[data.held_out] = list(data.texts).index("what color is it?")
    images = data.images.copy()
    images[data.held_out] = 0
    data, changed = (replace(data, answers=each, images=images) for each in (answers, data.answers))
    model, same = gato(data), gato(changed)
    assert model.texts.tokenizer.digest == same.texts.tokenizer.digest
    for name, buffer in model.pixels.named_buffers():
        torch.testing.assert_close(buffer, dict(same.pixels.named_buffers())[name])
    drawn = batch(model, data)
    assert isinstance(drawn, PairBatch)
    assert drawn.images.flatten(2).any(dim=2).all()


def test_a_question_in_a_batch_of_longer_ones_leaves_patches_where_they_were() -> None:
    data = pairs(questions=True)
    model = gato(data)
    question = "what color is it?"
    for one in ("what?", question):
        stream = model.reader("made-up", data.images[:2], [one, question], 4).stream
        positions, types = (column.expand(stream.ids.shape) for column in (stream.position, stream.token_types))
        places = positions[types == TokenType.PATCH]
        assert places.tolist() == [len(model.texts.tokenizer.encode(question))] * 2


# ---- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("questions", [False, True])
def test_answers_behind_kept_keys_are_as_likely_as_in_a_whole_sequence(questions: bool) -> None:
    data = pairs(12, questions=questions)
    model = gato(data)
    assert isinstance(model, Answers)
    texts = [data.texts[place] for place in data.questions]
    candidates = [["red", "the greenest green", "b"]] * 12
    texts[3] = texts[3][:8]
    found = model.log_probabilities("made-up", data.images, texts, candidates)
    assert found.shape == (12, 3)
    room, tokenizer = model.room("made-up"), model.texts.tokenizer
    from gato.answers import batch_of

    for column in range(3):
        for place in (0, 3, 5):
            one = batch_of(
                data.images[place][None, None], [texts[place]], [candidates[0][column]], tokenizer, room, "made-up"
            )
            total, _, _ = model.scores([one])[0]
            assert found[place, column] == pytest.approx(-float(total.detach()), rel=1e-4)


def test_another_sequence_model_is_refused_where_keys_are_kept() -> None:
    data = pairs(12)
    model = Gato(Config(**{**SMALL["gato"], **PATCHES}), data.spec, transformer=torch.nn.Identity())  # type: ignore[arg-type]
    model.calibrate(data)
    with pytest.raises(UserError, match="Gato's own transformer"):
        model.answer("made-up", data.images, [""] * 12)


# ---- text -----------------------------------------------------------------------------------------------------------


def test_chunks_begin_at_blanks_anywhere_and_end_with_their_document() -> None:
    data, tokenizer = text(), shipped()
    drawn = Chunks(data, tokenizer).sample(np.random.default_rng(0), 64, 40)
    assert drawn.ids.shape == (64, 40)
    assert (drawn.ids[:, 0] == tokenizer.begin).all()
    assert (drawn.token_types == TokenType.TEXT).all()
    lengths = drawn.valid.sum(dim=1).tolist()
    rows = [tokenizer.decode(row[1:length].tolist()) for row, length in zip(drawn.ids, lengths, strict=True)]
    learned = [each for each, held_out in zip(data.documents, data.held_out, strict=True) if not held_out]
    assert all(any(row in document for document in learned) for row in rows)
    assert len({row[:12] for row in rows}) > 5
    assert min(lengths) < max(lengths) == 40
    assert chunks(data, tokenizer) is chunks(data, tokenizer)


@pytest.mark.parametrize("length", [8, 9, 40, 500])
def test_every_token_of_a_document_counts_once_however_it_is_cut(length: int) -> None:
    documents, tokenizer = [*text().documents, "", "to be"], shipped()
    counted: list[int] = []

    def one_each(rows: TokenSequence, places: torch.Tensor) -> torch.Tensor:
        counted.append(rows.ids.shape[1])
        return (places & rows.valid)[:, 1:].sum(dim=1)

    found = nats(documents, tokenizer, length, one_each)
    assert found.tolist() == [len(tokenizer.encode(each)) for each in documents]
    assert max(counted) <= length


def test_a_model_without_a_clue_takes_the_log_of_its_pieces_for_each_token() -> None:
    data = text()
    model = gato(data)
    torch.nn.init.zeros_(model.embedding.table.pieces)
    lengths, per_token = [len(model.encode(each)) for each in data.documents], log(len(model.texts.tokenizer))
    np.testing.assert_allclose(model.nats(list(data.documents)), np.array(lengths) * per_token, rtol=1e-5)
    assert model.loss(batch(model, data))["total"].item() == pytest.approx(per_token, rel=1e-5)


def test_a_text_is_gone_on_with_by_its_seed() -> None:
    model = gato(text())
    with torch.no_grad():
        model.embedding.table.pieces.normal_(std=0.1)
    first, again, other = (model.go_on("to be or", 6, seed) for seed in (0, 0, 1))
    assert first == again != other


# ---- pieces ---------------------------------------------------------------------------------------------------------


def test_pieces_are_those_of_the_data_in_the_record_and_in_the_checkpoint(tmp_path: Path) -> None:
    data = pairs(questions=True)
    model, again, more = gato(data), gato(data), gato(data, pieces=0)
    digest = model.metadata()["pieces"]["sha256"]
    assert digest == again.metadata()["pieces"]["sha256"] == model.texts.tokenizer.digest
    assert len(more.embedding.table.pieces) == 2000
    assert len(model.encode("what color is it?")) < len(shipped().encode("what color is it?"))
    save_model(tmp_path, "gato", model)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, Gato)
    assert loaded.metadata() == model.metadata()
    assert loaded.spec == data.spec
    questions = (data.images[:3], ["what color is it?"] * 3, [["red", "blue"]] * 3)
    np.testing.assert_array_equal(
        loaded.log_probabilities("made-up", *questions), model.log_probabilities("made-up", *questions)
    )


def test_the_table_has_a_row_for_each_piece_unless_logits_are_over_all_ids() -> None:
    data = text()
    for changes, rows, ids in (({}, 400, None), ({"pieces": 0}, 2000, None), ({"logits": "full"}, 32_000, 34_049)):
        model = gato(data, **changes)
        assert len(model.embedding.table.pieces) == rows >= len(model.texts.tokenizer)
        ids = ids or len(model.texts.tokenizer)
        torch.nn.init.zeros_(model.embedding.table.pieces)
        torch.nn.init.zeros_(model.embedding.table.values)
        assert model.loss(batch(model, data))["total"].item() == pytest.approx(log(ids), rel=1e-5)
    with pytest.raises(UserError, match="rows for 400 pieces only"):
        gato(data).embedding.table.rows(slice(0, 34_049))


def test_the_lines_that_pieces_are_fitted_to_are_those_of_every_task() -> None:
    assert set(lines_of(pairs(questions=True))) == {"what color is it?", "red", "green", "blue"}
    assert set(lines_of(walk((12, 5), spec=MISSION))) <= {
        "go to the red ball", "open a door", "put the grey box next to the yellow key",
    }  # fmt: skip
    assert list(lines_of(walk((12, 5)))) == []
    assert "".join(lines_of(text())) == "".join(list(text().documents)[:4])
    whole = " ".join(text().documents).replace("\n", " ")  # one line that SentencePiece would leave out
    assert len(fit([whole], 300, "whole")) > 256
    with pytest.raises(UserError, match="No text model could be trained on made-up"):
        gato(pairs(), pieces=3)


def test_missions_alone_are_read_with_the_shipped_pieces_unless_others_are_chosen() -> None:
    data = walk((12, 5), spec=MISSION)
    assert gato(data, pieces=0).metadata()["pieces"] == {"number": 2000, "sha256": shipped().digest}
    assert gato(data, pieces=300).metadata()["pieces"]["number"] <= 300


def test_robots_alone_have_neither_pieces_nor_rows_for_them() -> None:
    model = small("gato", walk((12, 5)))
    assert isinstance(model, Gato)
    assert model.embedding.table.text is None
    assert not any("pieces" in name for name in model.state_dict())
    assert "pieces" not in model.metadata()


# ---- several tasks --------------------------------------------------------------------------------------------------


def test_one_model_learns_to_act_to_answer_and_to_write() -> None:
    tasks = (walk((12, 7, 12)), pairs(questions=True), pairs(name="captions"), text(), walk((12, 5), spec=MISSION))
    mixture = Mixture(tasks)
    model = gato(mixture, batch_size=20)
    drawn = model.sample(mixture, np.random.default_rng(0))
    assert isinstance(drawn, MixedBatch)
    assert len(drawn.parts) == 5
    model.loss(drawn.to("cpu"))["total"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    weights = [model.loss_weight(rows_of(drawn, slice(first, None, 2))) for first in range(2)]
    assert sum(weights) == model.loss_weight(drawn)
    player = model.player(2, task="point")
    assert player.act(np.zeros((2, 3), np.float32), np.zeros(2), np.ones(2, bool)).shape == (2, 2)
    with pytest.raises(UserError, match="'captions': name one of its tasks, point, mission"):
        model.player(2, task="captions")
    assert len(model.answer("captions", tasks[1].images[:2], ["", ""])) == 2
    assert model.metadata()["decoding"].keys() == {"point", "mission"}


def learned(model: Gato, data: Task, updates: int) -> Gato:
    optimizer = adamw(model)
    model.train()
    for update in range(updates):
        optimizer.zero_grad()
        model.loss(model.sample(data, np.random.default_rng([0, update])))["total"].backward()
        optimizer.step()
    return model.eval()


def test_a_small_gato_learns_to_name_colors() -> None:
    data = pairs(60, questions=True)
    model = learned(gato(data, learning_rate=5e-3), data, 60)
    held = data.measured
    questions = [data.texts[place] for place in data.questions[held]]
    colors = ["red", "green", "blue"]
    found = model.log_probabilities("made-up", data.images[data.which[held]], questions, [colors] * len(held))
    assert [colors[best] for best in found.argmax(1)] == [data.texts[place] for place in data.answers[held]]
    assert model.answer("made-up", data.images[:3], questions[:3]) == [data.texts[place] for place in data.answers[:3]]


def test_a_small_gato_learns_to_spell() -> None:
    data = text()
    model = gato(data, learning_rate=5e-3, batch_size=4, context=1, prompt_steps=0)
    held = list(data.documents)[-1:]
    before = model.nats(held)
    assert learned(model, data, 60).nats(held) < 0.6 * before


def test_a_text_file_s_own_pieces_may_be_read_from_bytes() -> None:
    assert Text(content=shipped().content).encode("to be") == shipped().encode("to be")
    with pytest.raises(UserError, match="is no SentencePiece model"):
        Text(content=b"nonsense")
