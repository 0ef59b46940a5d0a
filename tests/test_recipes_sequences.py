# SPDX-License-Identifier: Apache-2.0
"""What the recipes of sequences, words, transformers and pixels compute by themselves."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import text
from gradsmith.recipes import dates, reviews
from gradsmith.recipes.autoregressive import pixels, wavenet
from gradsmith.recipes.sequences import (
    captioner,
    forecasting,
    gru_conventions,
    lstmn,
    rnn_topologies,
    sentiment,
    seq2seq_reversal,
    tagger,
    truncated_bptt,
    video,
)
from gradsmith.recipes.tokens import Alphabet, exact_match, token_accuracy, token_loss
from gradsmith.recipes.transformers import bert
from gradsmith.recipes.transformers.classifier import shuffled
from gradsmith.recipes.translation import Pairs
from gradsmith.recipes.words import word2vec
from gradsmith.recipes.words.corpus import place_of


def test_alphabet_goes_there_and_back() -> None:
    alphabet = Alphabet(["abc", "da"])
    assert len(alphabet) == 7
    table = alphabet.encode(["ab", "d"], marks=True)
    assert table.tolist() == [[1, 3, 4, 2], [1, 6, 2, 0]]
    assert [alphabet.decode(row) for row in table] == ["ab", "d"]
    assert alphabet.decode([3, 2, 4]) == "a"


def test_token_measures_leave_padding_out() -> None:
    scores = gs.tensor([[[0.0, 5.0, 0.0], [0.0, 0.0, 5.0], [9.0, 0.0, 0.0]]])
    wanted = np.array([[1, 1, 0]])
    assert token_accuracy(scores, wanted) == 0.5
    loss = token_loss(scores, gs.from_numpy(wanted)).item()
    right = math.log(math.exp(5) + 2)
    assert loss == pytest.approx((right - 5 + right) / 2, rel=1e-5)
    assert exact_match(gs.tensor([[1, 2, 7], [1, 3, 7]]), np.array([[1, 2, 0], [1, 2, 0]])) == 0.5


def test_dates_in_all_styles_are_the_same_day() -> None:
    sources, targets = dates.dates(200, seed=1)
    assert all(datetime.date.fromisoformat(each).year in range(1950, 2050) for each in targets)
    day = datetime.date(2011, 11, 22)
    assert dates.written(day, 3) == "the 22nd of November 2011"
    assert dates.written(datetime.date(2011, 11, 12), 3).startswith("the 12th")
    assert len(set(sources)) > 190


def test_pairs_test_nothing_that_was_trained_on() -> None:
    def make(count: int, seed: int) -> tuple[list[str], list[str]]:
        return seq2seq_reversal.reversals(count, seed, longest=3)

    pairs = Pairs(make, 300, 300, seed=0)
    learnt = {pairs.source.decode(row) for row in pairs.train[0]}
    assert pairs.questions
    assert not learnt & set(pairs.questions)
    assert [each[::-1] for each in pairs.questions] == pairs.answers
    assert pairs.length == 4
    assert pairs.score(gs.from_numpy(pairs.test[1][:, 1:])) == 1.0


def test_topologies_of_one_row() -> None:
    digits = np.array([[9, 3, 10, 1, 2, 5, 4, 7]])
    inputs, targets = rnn_topologies.one_to_many(digits)
    assert inputs.tolist() == [[9, 0, 0, 0, 0, 0, 0, 0]]
    assert targets.tolist() == [[10, 1, 2, 3, 4, 5, 6, 7]]
    assert rnn_topologies.many_to_one(digits)[1].tolist() == [[0, 0, 0, 0, 0, 0, 0, 10]]
    assert rnn_topologies.step_by_step(digits)[1].tolist() == [[0, 0, 9, 3, 10, 1, 2, 5]]
    inputs, targets = rnn_topologies.read_then_write(digits)
    assert inputs.tolist() == [[9, 3, 10, 1, 0, 0, 0, 0]]
    assert targets.tolist() == [[0, 0, 0, 0, 1, 10, 3, 9]]


def test_reviews_mean_what_their_last_clause_says() -> None:
    tokens, verdicts = reviews.reviews(200, seed=0)
    for row, verdict in zip(tokens, verdicts, strict=True):
        words = reviews.as_text(row).split()
        last = [word for word in words if word in reviews.GOOD + reviews.BAD][-1]
        clause = words[max(k for k, word in enumerate(words) if word == "was") :]
        assert verdict == ((last in reviews.GOOD) != ("not" in clause))
    assert 0.4 < verdicts.mean() < 0.6
    mixed = shuffled(tokens, 1)
    assert (mixed != tokens).any()
    np.testing.assert_array_equal(np.sort(mixed), np.sort(tokens))


def test_first_epoch_that_reaches_a_level() -> None:
    assert sentiment.epochs_to([0.5, 0.9, 0.8], 0.9) == 2
    assert sentiment.epochs_to([0.5, 0.6], 0.9) == 3


def test_recall_asks_for_a_key_that_was_read() -> None:
    tokens, targets = lstmn.recall(50, seed=0)
    for row, answer in zip(tokens.tolist(), targets[:, -1].tolist(), strict=True):
        *pairs, question = map(lstmn.name_of, row)
        assert f"{question[0]} is {answer - 1}" in pairs
    assert not targets[:, :-1].any()


def test_adding_problem_and_open_gates() -> None:
    x, y = gru_conventions.adding(20, 10, seed=0)
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(axis=1), y[:, 0], rtol=1e-6)
    assert (x[..., 1].sum(axis=1) == 2).all()
    assert gru_conventions.difference_with_open_gates(gs.from_numpy(x)) < 1e-6


def test_films_move_by_a_pixel_and_captions_name_what_is_there() -> None:
    frames, labels = video.films(8, seed=0)
    for film, label in zip(frames.round()[:, :, 0], labels, strict=True):
        way = list(video.WAYS.values())[label]
        np.testing.assert_array_equal(np.roll(film[0], way, axis=(0, 1)), film[1])
    images, captions = captioner.pictures(20, seed=0)
    for image, caption in zip(images, captions, strict=True):
        words = [captioner.WORDS[each] for each in caption]
        assert words[:2] == ["<start>", "a"]
        assert words[-1] == "<end>"
        amounts = image[:, :, : captioner.SIDE].sum(axis=(1, 2))
        assert ("red", "green", "blue")[int(amounts.argmax())] == words[3]


def test_windows_of_a_series() -> None:
    past, ahead = forecasting.windows(np.arange(70, dtype=np.float32))
    assert past.shape == (11, 48, 1)
    assert ahead[3].tolist() == list(range(51, 63))


def test_entities_and_their_f1() -> None:
    truth = tagger.entities(["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"])
    assert truth == {(0, 2, "PER"), (3, 4, "LOC"), (4, 6, "LOC")}
    found = {(0, 2, "PER"), (3, 4, "DATE")}
    assert tagger.f1_of_entities([found, set()], [truth, set()]) == pytest.approx(2 / 5)
    draw = np.random.default_rng(0)
    for _ in range(50):
        row = tagger.sentence(draw)
        assert not any("{" in word for word, _, _ in row)
        assert tagger.entities([each[2] for each in row]) or all(each[2] == "O" for each in row)


def test_echo_comes_lag_steps_later() -> None:
    x, y = truncated_bptt.echo(np.random.default_rng(0), 20)
    np.testing.assert_array_equal(
        y.numpy()[:, truncated_bptt.LAG :], x.numpy()[:, : -truncated_bptt.LAG]
    )


def test_word2vec_pairs_and_loss() -> None:
    words, around = np.array([1, 2]), np.array([[3, 4], [5, 6]])
    context, true = word2vec.pairs_of("skip-gram", words, around)
    assert np.hstack([context, true]).tolist() == [[1, 3], [1, 4], [2, 5], [2, 6]]
    context, true = word2vec.pairs_of("cbow", words, around)
    assert context.tolist() == around.tolist()
    assert true.tolist() == [[1], [2]]
    with pytest.raises(ValueError, match="kind is 'bag'"):
        word2vec.pairs_of("bag", words, around)
    scores = gs.tensor([[2.0, -1.0, 0.5]])
    wanted = sum(math.log1p(math.exp(each)) for each in (-2.0, -1.0, 0.5))
    assert word2vec.negative_sampling_loss(scores).item() == pytest.approx(wanted, rel=1e-5)


def test_frequent_words_are_thinned() -> None:
    words = np.repeat([0, 1], [9900, 100])
    kept = word2vec.kept_frequent(words, np.random.default_rng(0), threshold=0.01)
    assert kept[9900:].all()
    assert kept[:9900].mean() == pytest.approx(math.sqrt(0.01 / 0.99), abs=0.02)


def test_place_among_neighbours() -> None:
    table = text.WordVectors(["a", "b", "c"], [[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]])
    assert (place_of(table, "a", "c"), place_of(table, "a", "b")) == (0, 1)


def test_masking_shares() -> None:
    tokens = np.ones((200, 100), dtype=np.int64)
    tokens[:, 50:] = 0
    hidden, targets = bert.masked(tokens, np.random.default_rng(0))
    chosen = targets != 0
    assert not chosen[:, 50:].any()
    assert chosen[:, :50].mean() == pytest.approx(0.15, abs=0.01)
    assert (hidden[chosen] == bert.MASK).mean() == pytest.approx(0.8, abs=0.03)
    assert (hidden[chosen] == 1).mean() == pytest.approx(0.1, abs=0.03)
    np.testing.assert_array_equal(hidden[~chosen], tokens[~chosen])


def test_bits_of_places_by_themselves() -> None:
    test = np.zeros((1, 8, 8), dtype=np.int64)
    train = np.zeros((12, 8, 8), dtype=np.int64)
    assert pixels.bits_without_neighbours(train, test) == pytest.approx(math.log2(16 / 13))
    assert pixels.bits_without_neighbours(train[:0], test) == pytest.approx(2.0)


def test_mu_law_goes_there_and_back() -> None:
    levels = np.arange(wavenet.LEVELS)
    np.testing.assert_array_equal(wavenet.to_levels(wavenet.to_sound(levels)), levels)
    assert wavenet.to_sound(np.array([0, 31])).tolist() == pytest.approx([-1.0, 1.0])
