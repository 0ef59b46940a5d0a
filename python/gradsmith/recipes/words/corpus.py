# SPDX-License-Identifier: Apache-2.0
"""Python's documentation as words, and how vectors of its words are judged."""

from __future__ import annotations

import numpy as np

from gradsmith import text, viz
from gradsmith.backend import Array
from gradsmith.data import datasets
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

# Words that mean nearly the same or the opposite, or are of a kind.
RELATED = (
    ("list", "tuple"),
    ("integer", "float"),
    ("string", "bytes"),
    ("true", "false"),
    ("function", "method"),
    ("left", "right"),
    ("first", "second"),
    ("one", "two"),
    ("keys", "values"),
    ("try", "except"),
    ("raised", "raises"),
    ("must", "should"),
    ("class", "metaclass"),
    ("global", "nonlocal"),
)


class Corpus:
    """Documents as numbers of the words that come at least a few times."""

    def __init__(self, run: Run) -> None:
        """Read them; a quick run takes every third."""
        texts = datasets.python_docs("train").texts + datasets.python_docs("test").texts
        documents = [
            [word for word in text.word_tokenize(each.lower()) if word.isalpha()]
            for each in texts[:: run.choose(1, 3)]
        ]
        self.vocabulary = text.Vocabulary(documents, min_freq=8, specials=(), unknown=None)
        self.sequences: list[Array] = [
            np.array([self.vocabulary[word] for word in each if word in self.vocabulary])
            for each in documents
        ]

    def windows(self, reach: int) -> tuple[Array, Array]:
        """Return all words (N,), and those up to ``reach`` before and behind (N, 2 reach)."""
        size = 2 * reach + 1
        rows = np.concatenate(
            [
                np.lib.stride_tricks.sliding_window_view(each, size)
                for each in self.sequences
                if len(each) >= size
            ]
        )
        return rows[:, reach], np.delete(rows, reach, axis=1)

    def judge(self, run: Run, vectors: Tensor, at_most: float, quick: float) -> None:
        """Tell where related words stand among each word's neighbours, and print neighbours."""
        table = text.WordVectors(self.vocabulary.tokens, vectors.numpy())
        pairs = [pair for pair in RELATED if pair[0] in table and pair[1] in table]
        ranks = [place_of(table, *pair) for pair in pairs]
        share = float(np.median(ranks)) / len(table)
        run.figure(
            "median place of related words (chance 0.5)", share, at_most=at_most, quick=quick
        )
        words = [pair[0] for pair in pairs]
        rows = [[word, ", ".join(n for n, _ in table.most_similar(word, 6))] for word in words]
        run.table("Neighbours", ["word", "nearest words"], rows)
        shown = [word for pair in pairs for word in pair]
        points = np.stack([table[word].numpy() for word in shown])
        picture = viz.plot_embeddings(points, names=shown)
        run.picture("words", picture, "Some words on the first two principal components.")


def place_of(table: text.WordVectors, word: str, other: str) -> int:
    """Return the place of a word among the neighbours of another, 0 for the nearest."""
    return [name for name, _ in table.most_similar(word, len(table))].index(other)
