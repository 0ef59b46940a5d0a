# SPDX-License-Identifier: Apache-2.0
"""A made-up language of film reviews.

A review has one or two clauses ("the plot was not very good"), joined by "and" if they agree, else
by "but". Its verdict is that of its last clause, where "not" turns the adjective round; so single
words give it away in part only, and their order counts. Words without a meaning make the lengths
differ.
"""

from __future__ import annotations

import numpy as np

from gradsmith.backend import Array
from gradsmith.recipes.tokens import PAD

GOOD = ("good", "great", "funny", "clever", "moving", "brilliant")
BAD = ("bad", "dull", "boring", "stupid", "poor", "awful")
_THINGS = ("plot", "cast", "music", "film", "ending", "dialogue")
_FILLERS = ("well", "really", "you", "know", "i", "think", "last", "night", "so", "honestly")
LONGEST = 20
WORDS = ("<pad>", "the", "was", "not", "very", "and", "but", *_THINGS, *GOOD, *BAD, *_FILLERS)
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


def as_text(tokens: Array) -> str:
    """Return a review in words."""
    return " ".join(WORDS[number] for number in tokens if number != PAD)
