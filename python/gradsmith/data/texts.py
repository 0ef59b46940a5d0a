# SPDX-License-Identifier: Apache-2.0
"""Datasets of texts, and windows over one long sequence of tokens."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.data.dataset import Dataset, check_indices, index_array, position
from gradsmith.ops.options import check_int
from gradsmith.tensor import Tensor, as_array, wrap


def text_lines(
    path: str | os.PathLike[str], *, encoding: str = "utf-8", keep_empty: bool = False
) -> list[str]:
    """Return the lines of a text file, plain or ``.gz``, without their ends.

    Args:
        path: the file.
        encoding: of the text; a byte-order mark of UTF-8 is dropped.
        keep_empty: keep lines that hold nothing but white space.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not in that encoding.
    """
    name = os.fspath(path)
    opened = gzip.open if name.endswith(".gz") else open
    try:
        with opened(name, "rt", encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
            lines = [str(line).rstrip("\r\n") for line in file]
    except UnicodeDecodeError as error:
        raise ValueError(f"text_lines: {name} is not {encoding}: {error}") from None
    return [line for line in lines if keep_empty or line.strip()]


class TextDataset(Dataset[Any]):
    """Texts, each with its target if there are any.

    Sample i is ``(transform(texts[i]), targets[i])``, or the first alone where there are no
    targets. Without a transform the text stays a string.

    >>> data = TextDataset(["good film", "bad film"], [1, 0], str.split)
    >>> data[0]
    (['good', 'film'], tensor(1))

    Attributes:
        texts: the strings.
        targets: int64 or float array of shape (N,), or None.
        classes: the names of the classes, or None.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: Any = None,
        transform: Callable[[str], Any] | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        """Keep the texts; ValueError when the targets are of another length."""
        if isinstance(texts, str):
            raise TypeError("TextDataset: texts is a str, expected a list of them")
        self.texts = list(texts)
        self.targets = None if targets is None else on_host(as_array(targets))
        if self.targets is not None and self.targets.shape[:1] != (len(self.texts),):
            raise ValueError(
                f"TextDataset: {len(self.texts)} texts, but targets of shape {self.targets.shape}"
            )
        self.transform = transform
        self.classes = None if classes is None else list(classes)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def __getitem__(self, index: int) -> Any:
        """Return the sample at ``index``."""
        where = position("TextDataset", index, len(self))
        text = self.texts[where]
        sample = text if self.transform is None else self.transform(text)
        return sample if self.targets is None else (sample, wrap(np.asarray(self.targets[where])))


class WindowDataset(Dataset[tuple[Tensor, Tensor]]):
    """Windows over a sequence of tokens, each with the tokens that follow: a language model's data.

    Sample i is (tokens[s : s + length], tokens[s + 1 : s + 1 + length]) with s = i * stride, both
    int64 of shape (length,). Windows that would not be full are left out.
    """

    def __init__(self, tokens: Any, length: int, stride: int | None = None) -> None:
        """Keep the tokens (int64, one dimension); the stride is ``length`` where not given."""
        op = "WindowDataset"
        self.tokens = index_array(op, tokens.numpy() if isinstance(tokens, Tensor) else tokens)
        self.length = check_int(op, "length", length)
        self.stride = self.length if stride is None else check_int(op, "stride", stride)
        if self.length < 1 or self.stride < 1:
            raise ValueError(
                f"{op}: length is {length} and stride {stride}, expected both at least 1"
            )

    def __len__(self) -> int:
        """Return the number of windows."""
        return max(0, (len(self.tokens) - self.length - 1) // self.stride + 1)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the window at ``index`` and what follows each of its tokens."""
        where = position("WindowDataset", index, len(self))
        inputs, targets = self.take(np.array([where]))
        return inputs[0], targets[0]

    def take(self, indices: Array) -> list[Tensor]:
        """Return the batch at ``indices``: inputs and targets of shape (B, length)."""
        check_indices("WindowDataset", indices, len(self))
        places = (indices % max(len(self), 1) * self.stride)[:, None] + np.arange(self.length)
        return [wrap(self.tokens[places]), wrap(self.tokens[places + 1])]
