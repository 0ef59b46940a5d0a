# SPDX-License-Identifier: Apache-2.0
"""Cleaning, tokens, vocabularies and padded sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import text

# ---- cleaning and tokens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "options", "expected"),
    [
        ("  A\tB\n\nc ", {}, "a b c"),
        ("A B", {"lowercase": False}, "A B"),
        ("a<br />b <!-- no --> c<script>x()</script>", {}, "a b c"),
        ("1 < 2 &amp; 3 > 2", {"strip_punctuation": False}, "1 < 2 & 3 > 2"),
        ("a<b>c</b>", {"strip_html": False, "strip_punctuation": False}, "a<b>c</b>"),
        ("see http://a.b/c?d=e#f, www.x.org or me@x.org.", {}, "see or"),
        ("at http://a.b now", {"strip_urls": False}, "at http a b now"),
        ("\u00c9t\u00e9 na\u00efve \u0130", {}, "ete naive i"),
        ("\u00c9t\u00e9", {"strip_accents": False}, "\u00e9t\u00e9"),
        ("don't 'quote' it\u2019s ''", {}, "don't quote it\u2019s"),
        ("a-b_c, $5!", {}, "a b c 5"),
        ("a, b.", {"strip_punctuation": False}, "a, b."),
        ("in 1,200.50 and 3rd", {"strip_numbers": True}, "in and rd"),
        ("", {}, ""),
    ],
)
def test_clean(raw: str, options: dict[str, bool], expected: str) -> None:
    assert text.clean(raw, **options) == expected


def test_word_tokenize() -> None:
    assert text.word_tokenize("A 3.14abc, 1,000!! (x-ray's)") == [
        *("A", "3.14", "abc", ",", "1,000", "!!", "(", "x-ray's", ")")
    ]
    assert text.word_tokenize("end,3 e.g. -- 'so'") == [
        *("end", ",", "3", "e", ".", "g", ".", "--", "'", "so", "'")
    ]
    hindi = "\u0939\u093f\u0928\u094d\u0926\u0940"
    assert text.word_tokenize(f"{hindi} cafe\u0301") == [hindi, "cafe\u0301"]
    assert text.word_tokenize(" \n") == []
    with pytest.raises(TypeError, match="text is a list"):
        text.word_tokenize(["a"])  # type: ignore[arg-type]


def test_sentence_tokenize() -> None:
    assert text.sentence_tokenize('He said "No." Then 2... Well? (Yes!) ok. go') == [
        *('He said "No."', "Then 2...", "Well?", "(Yes!) ok. go")
    ]
    assert text.sentence_tokenize("One\n\ntwo. Three etc. Four vs. Five\n") == [
        *("One", "two.", "Three etc. Four vs. Five")
    ]
    assert text.sentence_tokenize("At 3.15 by U. S. Grant. A") == ["At 3.15 by U. S. Grant.", "A"]
    assert text.sentence_tokenize("a etc. B", abbreviations=()) == ["a etc.", "B"]
    assert text.sentence_tokenize("\u4f60\u597d\u3002\u518d\u89c1") == [
        *("\u4f60\u597d\u3002", "\u518d\u89c1")
    ]
    assert text.sentence_tokenize("  ") == []


def test_characters_and_ngrams() -> None:
    assert text.char_tokenize("a \u00e9") == ["a", " ", "\u00e9"]
    assert text.ngrams("abc", 2) == [("a", "b"), ("b", "c")]
    assert text.ngrams([1, 2], 3) == []
    with pytest.raises(ValueError, match="n is 0"):
        text.ngrams("abc", 0)


# ---- vocabulary ----------------------------------------------------------------------------------

DOCUMENTS = [["b", "a", "b", "c"], ["a", "<pad>", "d"]]


def test_vocabulary(tmp_path: Path) -> None:
    vocabulary = text.Vocabulary(iter(DOCUMENTS))
    assert vocabulary.tokens == ["<pad>", "<unk>", "a", "b", "c", "d"]
    assert len(vocabulary) == 6
    assert "a" in vocabulary
    assert "z" not in vocabulary
    assert vocabulary["z"] == 1
    assert vocabulary.encode(["d", "z", "a"]) == [5, 1, 2]
    assert vocabulary.decode(gs.tensor([5, 1])) == ["d", "<unk>"]
    vocabulary.save(tmp_path / "v.json")
    loaded = text.Vocabulary.load(tmp_path / "v.json")
    assert loaded.tokens == vocabulary.tokens
    assert loaded["z"] == 1
    assert text.Vocabulary(DOCUMENTS, min_freq=2).tokens[2:] == ["a", "b"]
    assert text.Vocabulary(DOCUMENTS, max_size=3).tokens[2:] == ["a"]
    plain = text.Vocabulary(DOCUMENTS, specials=(), unknown=None)
    assert plain.tokens == ["a", "b", "<pad>", "c", "d"]
    with pytest.raises(KeyError, match="'z' is not in it"):
        plain["z"]


def test_vocabulary_refuses(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="document is a str"):
        text.Vocabulary(["abc"])
    with pytest.raises(ValueError, match="'a' comes twice"):
        text.Vocabulary(specials=("a", "a"), unknown="a")
    with pytest.raises(ValueError, match="unknown is '<unk>'"):
        text.Vocabulary(specials=("<pad>",))
    with pytest.raises(ValueError, match="max_size is 1"):
        text.Vocabulary(max_size=1)
    with pytest.raises(ValueError, match="min_freq is 0"):
        text.Vocabulary(min_freq=0)
    with pytest.raises(IndexError, match="2 is out of range for 2"):
        text.Vocabulary().decode([2])
    path = tmp_path / "v.json"
    for content, message in (
        ("[", "is no JSON"),
        ("[]", "holds no object with the keys"),
        ('{"tokens": [1], "unknown": null}', "no list of tokens"),
        ('{"tokens": ["a", "a"], "unknown": null}', "comes twice"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            text.Vocabulary.load(path)


# ---- sequences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 0, 0], [2, 3, 4]]),
        ({"padding": "post", "value": 9}, [[1, 9, 9], [9, 9, 9], [2, 3, 4]]),
        ({"maxlen": 2}, [[0, 1], [0, 0], [3, 4]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [0, 0], [2, 3]]),
        ({"maxlen": 0}, [[], [], []]),
        ({"maxlen": 4, "padding": "post"}, [[1, 0, 0, 0], [0, 0, 0, 0], [2, 3, 4, 0]]),
    ],
)
def test_pad_sequences(options: dict[str, Any], expected: list[list[int]]) -> None:
    padded = text.pad_sequences([[1], [], gs.tensor([2, 3, 4])], **options)
    assert padded.tolist() == expected
    assert padded.dtype == np.int32
    assert padded.shape == (3, len(expected[0]))


def test_pad_sequences_of_vectors() -> None:
    padded = text.pad_sequences([np.ones((1, 2)), np.ones((2, 2))], dtype="float32", value=-1)
    assert padded.tolist() == [[[-1, -1], [1, 1]], [[1, 1], [1, 1]]]
    assert text.pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([[1]], {"padding": "left"}, "padding is 'left'"),
        ([[1]], {"truncating": None}, "truncating is None"),
        ([[1]], {"maxlen": -1}, "maxlen is -1"),
        ([1, 2], {}, "a single number"),
        ([[[1, 2]], [[1]]], {}, "differ in shape"),
        ([[2**40]], {}, "does not fit in int32"),
        ([[1]], {"value": -1, "dtype": "uint8"}, "does not fit in uint8"),
    ],
)
def test_pad_sequences_refuses(sequences: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text.pad_sequences(sequences, **options)


def test_one_hot() -> None:
    rows = text.one_hot(["b", "?"], text.Vocabulary([["b"]]))
    assert rows.dtype == gs.float32
    assert rows.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert text.one_hot([], text.Vocabulary(), dtype=gs.int64).shape == (0, 2)


@pytest.mark.parametrize("weighting", ["inverse", "flat"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_cooccurrence(weighting: str, symmetric: bool) -> None:
    random = np.random.default_rng(0)
    sequences = [random.integers(0, 5, size=length) for length in (9, 0, 1, 4)]
    expected = np.zeros((5, 5))
    for sequence in sequences:
        for i, here in enumerate(sequence):
            for j, there in enumerate(sequence):
                if 0 < i - j <= 3:
                    weight = 1 / (i - j) if weighting == "inverse" else 1
                    expected[here, there] += weight
                    expected[there, here] += weight if symmetric else 0
    given = [sequences[0].tolist(), *sequences[1:3], gs.tensor(sequences[3])]
    counts = text.cooccurrence(given, 5, 3, weighting=weighting, symmetric=symmetric)
    np.testing.assert_allclose(counts.numpy(), expected, rtol=1e-6)


def test_cooccurrence_refuses() -> None:
    with pytest.raises(IndexError, match="numbers run from 0 to 5"):
        text.cooccurrence([[0, 5]], 5)
    with pytest.raises(TypeError, match="expected \\(L,\\) int"):
        text.cooccurrence([[0.5]], 5)
    with pytest.raises(ValueError, match="weighting is 'x'"):
        text.cooccurrence([[1]], 5, weighting="x")
    with pytest.raises(ValueError, match="window is 0"):
        text.cooccurrence([[1]], 5, 0)
