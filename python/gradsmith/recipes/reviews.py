# SPDX-License-Identifier: Apache-2.0
"""A made-up language of film reviews.

A review has one or two clauses ("the plot was not very good"), joined by "and" if they agree, else
by "but". Its verdict is that of its last clause, where "not" turns the adjective round; so single
words give it away in part only, and their order counts. Words without a meaning make the lengths
differ. The standard set is IMDB, whose reviews are real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradsmith import text
from gradsmith.backend import Array
from gradsmith.data import TextDataset, datasets
from gradsmith.recipes.run import Run
from gradsmith.recipes.standard import IMDB, standard_set
from gradsmith.recipes.tokens import PAD

GOOD = ("good", "great", "funny", "clever", "moving", "brilliant")
BAD = ("bad", "dull", "boring", "stupid", "poor", "awful")
_THINGS = ("plot", "cast", "music", "film", "ending", "dialogue")
_FILLERS = ("well", "really", "you", "know", "i", "think", "last", "night", "so", "honestly")
LONGEST = 20
WORDS = ("<pad>", "the", "was", "not", "very", "and", "but", *_THINGS, *GOOD, *BAD, *_FILLERS)
_IMDB_WORDS, _IMDB_LENGTH = 10_000, 120
_NUMBER = {word: rank for rank, word in enumerate(WORDS)}


def _clause(draw: np.random.Generator) -> tuple[list[str], int]:
    good, turned = draw.random() < 0.5, draw.random() < 0.3
    words = ["the", str(draw.choice(_THINGS)), "was"]
    words += ["not"] * int(turned) + ["very"] * (draw.random() < 0.3)
    return [*words, str(draw.choice(GOOD if good else BAD))], int(good != turned)


def _review(draw: np.random.Generator) -> tuple[list[str], int]:
    words, verdict = _clause(draw)
    for _ in range(draw.integers(2)):
        clause, last = _clause(draw)
        words += ["and" if last == verdict else "but", *clause]
        verdict = last
    for _ in range(draw.integers(8)):
        words.insert(draw.integers(len(words) + 1), str(draw.choice(_FILLERS)))
    return words, verdict


def reviews(count: int, seed: int, length: int = LONGEST) -> tuple[Array, Array]:
    """Return reviews as numbers of WORDS (count, length), filled up, and verdicts (count,)."""
    draw = np.random.default_rng(seed)
    tokens = np.full((count, length), PAD, dtype=np.int64)
    verdicts = np.empty(count, dtype=np.int64)
    for row in range(count):
        words, verdicts[row] = _review(draw)
        tokens[row, : len(words)] = [_NUMBER[word] for word in words]
    return tokens, verdicts


def as_text(tokens: Array, words: Sequence[str] = WORDS) -> str:
    """Return a review in words."""
    return " ".join(words[number] for number in tokens if number != PAD)


class ReviewSet(NamedTuple):
    """Reviews (N, T) as numbers of the words, filled up, with verdicts (N,) of 0 and 1."""

    x: Array
    y: Array
    test_x: Array
    test_y: Array
    words: Sequence[str]
    is_standard: bool


def review_set(run: Run, count: int, length: int = LONGEST) -> ReviewSet:
    """Return IMDB if it is wanted and there, else so many made-up reviews of some length."""
    found = standard_set(
        run, IMDB, datasets.imdb, "made-up film reviews; the order of words counts"
    )
    if found is None:
        test = reviews(1000, 2 * run.seed + 1, length)
        return ReviewSet(*reviews(count, 2 * run.seed, length), *test, WORDS, False)
    training, testing = (_part(each, run.choose(None, 1000)) for each in found)
    documents = [_words_of(each) for each in training.texts]
    vocabulary = text.Vocabulary(documents, max_size=_IMDB_WORDS)
    encoded = [_encoded(vocabulary, each) for each in (training, testing)]
    return ReviewSet(*encoded[0], *encoded[1], vocabulary.tokens, True)


def _part(found: TextDataset, count: int | None) -> TextDataset:
    """Return so many reviews, evenly spread as verdicts come in order; None for all."""
    size = len(found.texts)
    chosen = np.linspace(0, size - 1, min(count or size, size)).astype(int)
    assert found.targets is not None
    return TextDataset([found.texts[k] for k in chosen], found.targets[chosen])


def _words_of(review: str) -> list[str]:
    return text.word_tokenize(review.replace("<br />", " ").lower())


def _encoded(vocabulary: text.Vocabulary, found: TextDataset) -> tuple[Array, Array]:
    """Return the last words of each review, which tell more than its first, and verdicts."""
    assert found.targets is not None
    numbers = [vocabulary.encode(_words_of(each))[-_IMDB_LENGTH:] for each in found.texts]
    table = np.full((len(numbers), _IMDB_LENGTH), PAD, dtype=np.int64)
    for row, each in zip(table, numbers, strict=True):
        row[: len(each)] = each
    return table, np.asarray(found.targets)
