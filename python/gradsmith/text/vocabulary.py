# SPDX-License-Identifier: Apache-2.0
"""Tokens and their numbers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from gradsmith.io.atomic import replace_file
from gradsmith.ops.options import check_int
from gradsmith.tensor import Tensor


def read_json(op: str, path: str | os.PathLike[str], keys: set[str]) -> dict[str, Any]:
    """Return the object in a JSON file; ValueError unless it has just these keys."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{op}: {os.fspath(path)} is no JSON: {error}") from None
    if not isinstance(found, dict) or set(found) != keys:
        raise ValueError(f"{op}: {os.fspath(path)} holds no object with the keys {sorted(keys)}")
    return found


class Vocabulary:
    """Numbers the tokens of documents: the special ones first, then the others by frequency.

    Equally frequent tokens come in alphabetical order.

    >>> vocabulary = Vocabulary([["to", "be", "or", "not", "to", "be"]], min_freq=2)
    >>> vocabulary.tokens
    ['<pad>', '<unk>', 'be', 'to']
    >>> vocabulary.encode(["to", "go"])
    [3, 1]

    Args:
        documents: lists of tokens.
        min_freq: leave out tokens that come less often.
        max_size: the most tokens, special ones included.
        specials: tokens that come first.
        unknown: which of them stands for tokens that are not in the vocabulary; None: there is
            none, and `encode` raises.

    Attributes:
        tokens: the tokens; each one's place is its number.

    Raises:
        ValueError: special tokens are not different or lack ``unknown``, or do not fit.
        TypeError: a document is a str.
    """

    def __init__(
        self,
        documents: Iterable[Iterable[str]] = (),
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = ("<pad>", "<unk>"),
        unknown: str | None = "<unk>",
    ) -> None:
        """Count the tokens."""
        if check_int("Vocabulary", "min_freq", min_freq) < 1:
            raise ValueError(f"Vocabulary: min_freq is {min_freq}, expected at least 1")
        if max_size is not None and check_int("Vocabulary", "max_size", max_size) < len(specials):
            raise ValueError(
                f"Vocabulary: max_size is {max_size}, expected at least the {len(specials)} of the "
                "special tokens"
            )
        counts: Counter[str] = Counter()
        for document in documents:
            if isinstance(document, str):
                raise TypeError("Vocabulary: a document is a str, expected a list of tokens")
            counts.update(document)
        for special in specials:
            del counts[special]
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        frequent = [token for token, count in ranked if count >= min_freq]
        self._set([*specials, *frequent][:max_size], unknown)

    @classmethod
    def from_tokens(cls, tokens: Iterable[str], unknown: str | None = None) -> Self:
        """Return the vocabulary of these tokens in their order; ValueError if two are equal."""
        vocabulary = cls(specials=(), unknown=None)
        vocabulary._set(list(tokens), unknown)
        return vocabulary

    def _set(self, tokens: list[str], unknown: str | None) -> None:
        self.tokens = tokens
        self._index = {token: index for index, token in enumerate(tokens)}
        if len(self._index) != len(tokens):
            twice = next(token for token, count in Counter(tokens).items() if count > 1)
            raise ValueError(f"Vocabulary: the token {twice!r} comes twice")
        if unknown is not None and unknown not in self._index:
            raise ValueError(f"Vocabulary: unknown is {unknown!r}, which is not among the tokens")
        self.unknown = unknown

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._index

    def __getitem__(self, token: str) -> int:
        """Return the number of a token, or that of the unknown one (KeyError without one)."""
        index = self._index.get(token)
        if index is not None:
            return index
        if self.unknown is None:
            raise KeyError(f"Vocabulary: {token!r} is not in it, and it has no unknown token")
        return self._index[self.unknown]

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the numbers of tokens (KeyError as ``vocabulary[token]``)."""
        return [self[token] for token in tokens]

    def decode(self, indices: Iterable[int] | Tensor) -> list[str]:
        """Return the tokens of numbers, of shape (N,); IndexError for one out of range."""
        numbers = indices.tolist() if isinstance(indices, Tensor) else list(indices)
        for number in numbers:
            if not 0 <= number < len(self):
                raise IndexError(f"Vocabulary: {number} is out of range for {len(self)} tokens")
        return [self.tokens[number] for number in numbers]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary to a JSON file."""
        content = {"tokens": self.tokens, "unknown": self.unknown}
        replace_file(os.fspath(path), json.dumps(content).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the vocabulary that `save` wrote; ValueError if the file is none."""
        content = read_json("Vocabulary", path, {"tokens", "unknown"})
        tokens = content["tokens"]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError(f"Vocabulary: {os.fspath(path)} holds no list of tokens")
        return cls.from_tokens(tokens, content["unknown"])
