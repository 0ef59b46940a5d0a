# SPDX-License-Identifier: Apache-2.0
"""What recipes on tokens share: the loss per token, exact match, texts as padded numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor

PAD = 0


def token_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of scores (N, T, V) with tokens (N, T), but for padding."""
    flat = scores.reshape(-1, scores.shape[-1])
    return F.cross_entropy(flat, targets.reshape(-1), ignore_index=PAD)


def exact_match(written: Tensor, wanted: Array) -> float:
    """Return the share of texts (N, T) that are right in every token but padding."""
    return float(((written.numpy() == wanted) | (wanted == PAD)).all(axis=1).mean())


def token_accuracy(scores: Tensor, targets: Tensor | Array) -> float:
    """Return the share of tokens (N, T) but padding whose score (N, T, V) is the highest."""
    wanted = targets.numpy() if isinstance(targets, Tensor) else targets
    right = scores.numpy().argmax(axis=-1) == wanted
    return float(right[wanted != PAD].mean())


class Alphabet:
    """Characters as numbers from 3 up; 0 fills up, 1 starts and 2 ends a text."""

    START, END = 1, 2

    def __init__(self, texts: Iterable[str]) -> None:
        """Number the characters of the texts."""
        self.characters = sorted(set("".join(texts)))
        self._number = {each: rank for rank, each in enumerate(self.characters, 3)}

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.characters) + 3

    def encode(self, texts: Sequence[str], marks: bool = False) -> Array:
        """Return the texts (N, T), filled up; with start and end if asked for."""
        rows = [[self._number[each] for each in text] for text in texts]
        if marks:
            rows = [[self.START, *row, self.END] for row in rows]
        table = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
        for line, row in zip(table, rows, strict=True):
            line[: len(row)] = row
        return table

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text up to its end."""
        text = ""
        for number in numbers:
            if number == self.END:
                break
            text += self.characters[number - 3] if number > self.END else ""
        return text
