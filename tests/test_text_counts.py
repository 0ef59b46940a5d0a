# SPDX-License-Identifier: Apache-2.0
"""Counts of words: by hand, and equal to scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.text import CountVectorizer, TfidfVectorizer

DOCUMENTS = [
    "The cat sat on the mat; the CAT slept.",
    "A dog sat on  the log,\nand on the caf\u00e9",
    "cats and dogs: a cat, a dog",
    "",
    "Caf\u00e9 \u00e0 la carte",
]


def theirs(name: str, options: dict[str, Any]) -> Any:
    module = pytest.importorskip(
        "sklearn.feature_extraction.text", reason="scikit-learn is not installed"
    )
    return getattr(module, name)(**options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CountVectorizer", {}),
        ("CountVectorizer", {"ngram_range": (1, 3), "stop_words": ["the", "on"]}),
        ("CountVectorizer", {"lowercase": False, "token_pattern": r"\w+"}),
        ("CountVectorizer", {"strip_accents": "unicode", "binary": True}),
        ("CountVectorizer", {"min_df": 2, "max_df": 0.6}),
        ("CountVectorizer", {"min_df": 0.4, "max_df": 3}),
        ("CountVectorizer", {"max_features": 2}),
        ("CountVectorizer", {"analyzer": "char", "ngram_range": (2, 4)}),
        ("CountVectorizer", {"analyzer": "char_wb", "ngram_range": (2, 5)}),
        ("CountVectorizer", {"analyzer": "char_wb", "ngram_range": (5, 6)}),
        ("CountVectorizer", {"analyzer": str.split}),
        ("CountVectorizer", {"tokenizer": str.split, "token_pattern": ""}),
        ("CountVectorizer", {"preprocessor": str.upper}),
        ("CountVectorizer", {"vocabulary": ["sat", "cat", "emu"]}),
        ("TfidfVectorizer", {}),
        ("TfidfVectorizer", {"norm": "l1", "ngram_range": (1, 2)}),
        ("TfidfVectorizer", {"norm": None, "smooth_idf": False}),
        ("TfidfVectorizer", {"use_idf": False, "sublinear_tf": True}),
        ("TfidfVectorizer", {"vocabulary": {"cat": 1, "sat": 0}}),
    ],
)
@pytest.mark.filterwarnings("ignore:The parameter 'token_pattern' will not be used")
def test_counts_equal_scikit_learn(name: str, options: dict[str, Any]) -> None:
    expected, ours = theirs(name, options), getattr(gs.text, name)(**options)
    table = expected.fit_transform(DOCUMENTS).toarray()
    result = ours.fit_transform(DOCUMENTS)
    assert ours.get_feature_names_out() == expected.get_feature_names_out().tolist()
    np.testing.assert_allclose(result.numpy(), table, rtol=1e-6)
    other = ["the cat and the unknown emu"]
    np.testing.assert_allclose(
        ours.transform(other).numpy(), expected.transform(other).toarray(), rtol=1e-6
    )
    if name == "TfidfVectorizer" and ours.use_idf:
        np.testing.assert_allclose(ours.idf_, expected.idf_)


def test_dtypes_and_state() -> None:
    counts = CountVectorizer(dtype=gs.float32)
    assert counts.fit_transform(["bb aa", "bb"]).dtype == gs.float32
    tfidf = TfidfVectorizer(token_pattern=r"\w")
    weights = tfidf.fit_transform(["b a", "b b"])
    assert weights.dtype == gs.float32
    # idf of a: ln(3 / 2) + 1, of b: ln(3 / 3) + 1.
    rare = np.log(1.5) + 1
    expected = [[rare / np.hypot(rare, 1), 1 / np.hypot(rare, 1)], [0, 1]]
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)
    assert tfidf.inverse_transform(weights) == [["a", "b"], ["b"]]
    again = TfidfVectorizer(token_pattern=r"\w")
    again.load_state_dict(tfidf.state_dict())
    np.testing.assert_array_equal(again.transform(["a a b"]), tfidf.transform(["a a b"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strip_accents": "x"}, "strip_accents is 'x'"),
        ({"stop_words": "english"}, "expected a list of words"),
        ({"analyzer": "words"}, "analyzer is 'words'"),
        ({"ngram_range": (2, 1)}, "ngram_range is"),
        ({"min_df": -1}, "min_df is -1"),
        ({"max_df": 1.5}, "max_df is 1.5"),
        ({"vocabulary": ["a", "a"]}, "come twice"),
        ({"vocabulary": {"a": 1}}, "without gaps"),
        ({"norm": "max"}, "norm is 'max'"),
    ],
)
def test_vectorizers_refuse_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TfidfVectorizer(**options)


def test_vectorizers_refuse_documents() -> None:
    with pytest.raises(TypeError, match="X is a str"):
        CountVectorizer().fit("a text")
    with pytest.raises(ValueError, match="no term is left of the 0 in 1"):
        CountVectorizer().fit(["a"])
    with pytest.raises(ValueError, match="call fit first"):
        CountVectorizer().transform(["a"])
    with pytest.raises(ValueError, match="'emu' is in no document"):
        TfidfVectorizer(vocabulary=["cat", "emu"], smooth_idf=False).fit(["cat"])
