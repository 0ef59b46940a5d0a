# SPDX-License-Identifier: Apache-2.0
"""Word vectors from files of GloVe and word2vec."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from itertools import islice
from typing import Any, BinaryIO, cast

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.keyed_random import generator_of
from gradsmith.ops.options import check_int, check_number
from gradsmith.tensor import Tensor, wrap
from gradsmith.text.vocabulary import Vocabulary

_LONGEST_WORD = 10_000  # bytes; beyond it the file is no word2vec file


class WordVectors:
    """Words and their vectors.

    Attributes:
        words: the words, in the order of the file.
        vectors: float32 tensor of shape (V, D).
    """

    def __init__(self, words: Iterable[str], vectors: Any) -> None:
        """Keep words and vectors; of equal words the first counts. ValueError if counts differ."""
        self.words = list(words)
        self._array: Array = np.asarray(vectors, dtype=np.float32)
        if self._array.ndim != 2 or len(self._array) != len(self.words):
            raise ValueError(
                f"WordVectors: vectors have shape {self._array.shape}, expected "
                f"({len(self.words)}, D)"
            )
        self.vectors = wrap(self._array)
        self._index: dict[str, int] = {}
        for index, word in enumerate(self.words):
            self._index.setdefault(word, index)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def __getitem__(self, word: str) -> Tensor:
        """Return the vector of a word, of shape (D,) (KeyError if it is not there)."""
        return wrap(self._array[self._place(word)])

    def _place(self, word: str) -> int:
        if word not in self._index:
            raise KeyError(f"WordVectors: no vector of {word!r}")
        return self._index[word]

    def most_similar(self, word: str, topn: int = 10) -> list[tuple[str, float]]:
        """Return the words whose vectors have the largest cosine with a word's, and the cosines."""
        place = self._place(word)
        lengths = np.linalg.norm(self._array, axis=1)
        products = self._array @ self._array[place]
        cosines = products / np.maximum(lengths * lengths[place], np.finfo(np.float32).tiny)
        order = [index for index in np.argsort(-cosines, kind="stable") if index != place]
        return [(self.words[index], float(cosines[index])) for index in order[:topn]]

    def matrix(
        self, vocabulary: Vocabulary | Iterable[str], *, std: float = 0.0, seed: Any = None
    ) -> Tensor:
        """Return a row for each token of a vocabulary, as the weight of an `Embedding`.

        Args:
            vocabulary: V tokens.
            std: tokens without a vector get normal numbers of this standard deviation.
            seed: of these: an int, a Generator, or None for the library's generator.

        Returns:
            float32 tensor of shape (V, D).
        """
        tokens = vocabulary.tokens if isinstance(vocabulary, Vocabulary) else list(vocabulary)
        shape = (len(tokens), self._array.shape[1])
        rows = np.zeros(shape, dtype=np.float32)
        if check_number("matrix", "std", std):
            rows[:] = generator_of("matrix", seed).normal(0, std, shape)
        for row, token in zip(rows, tokens, strict=True):
            if token in self._index:
                row[:] = self._array[self._index[token]]
        return wrap(rows)


def load_embeddings(
    path: str | os.PathLike[str], *, limit: int | None = None, format: str = "auto"
) -> WordVectors:
    """Return the word vectors in a file, plain or ``.gz``.

    Args:
        path: the file.
        limit: read the first words only, which are the most frequent ones.
        format: ``"glove"``: lines of a word and its numbers; ``"word2vec"``: the same after a line
            with the number of words and of dimensions; ``"word2vec_binary"``: that line, then each
            word, a space, and float32 numbers; ``"auto"`` looks which it is.

    Raises:
        OSError: the file cannot be read.
        ValueError: an unknown format, or the file has another one or is damaged.
    """
    op = "load_embeddings"
    formats = ("auto", "glove", "word2vec", "word2vec_binary")
    if format not in formats:
        raise ValueError(f"{op}: format is {format!r}, expected one of {formats}")
    if limit is not None and check_int(op, "limit", limit) < 1:
        raise ValueError(f"{op}: limit is {limit}, expected at least 1")
    name = os.fspath(path)
    try:
        with gzip.open(name) if name.endswith(".gz") else open(name, "rb") as opened:
            file = cast(BinaryIO, opened)
            size = None
            if format == "auto":
                format = _format_of(file)
            if format != "glove":
                size = _header(file)
                limit = size[0] if limit is None else min(limit, size[0])
            if format == "word2vec_binary" and size is not None:
                words, rows = _binary(file, size[1], limit or 0)
            else:
                words, rows = _text(file, None if size is None else size[1], limit)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{op}: {name} is damaged or no {format} file: {error}") from None
    if size is not None and len(words) < (limit or 0):
        raise ValueError(f"{op}: {name} ends after {len(words)} of {size[0]} words")
    return WordVectors(words, np.stack(rows))


def _header(file: BinaryIO) -> tuple[int, int]:
    fields = file.readline(1000).split()
    count, size = (int(field) for field in fields)
    if count < 1 or size < 1:
        raise ValueError(f"it claims {count} words of {size} dimensions")
    return count, size


def _format_of(file: BinaryIO) -> str:
    """Return the format of a file by its first lines, and go back to its beginning."""
    fields = file.readline(1 << 20).split()
    second = file.read(1 << 16).split(b"\n")[0].split()
    file.seek(0)
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        return "glove"
    try:
        numbers = [float(field) for field in second[1:]]
    except ValueError:
        return "word2vec_binary"
    return "word2vec" if len(numbers) >= int(fields[1]) else "word2vec_binary"


def _text(file: BinaryIO, size: int | None, limit: int | None) -> tuple[list[str], list[Array]]:
    words, rows = [], []
    for number, line in enumerate(islice(file, limit), 1):
        fields = line.rstrip().split(b" ")
        size = len(fields) - 1 if size is None else size
        if size < 1 or len(fields) <= size:
            raise ValueError(f"word {number} has {len(fields) - 1} numbers, expected {size}")
        # A few words of GloVe hold spaces.
        words.append(b" ".join(fields[:-size]).decode("utf-8", "replace"))
        rows.append(np.array([float(field) for field in fields[-size:]], dtype=np.float32))
    if not rows:
        raise ValueError("it is empty")
    return words, rows


def _binary(file: BinaryIO, size: int, limit: int) -> tuple[list[str], list[Array]]:
    words, rows = [], []
    for number in range(1, limit + 1):
        word = bytearray()
        while (byte := file.read(1)) != b" ":
            if not byte or len(word) > _LONGEST_WORD:
                raise ValueError(f"word {number} has no end")
            word += byte
        content = file.read(4 * size)
        if len(content) < 4 * size:
            raise ValueError(f"the vector of word {number} is cut off")
        words.append(bytes(word).lstrip(b"\n").decode("utf-8", "replace"))
        rows.append(np.frombuffer(content, dtype="<f4").astype(np.float32))
    return words, rows
