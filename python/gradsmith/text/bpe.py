# SPDX-License-Identifier: Apache-2.0
"""Byte-pair encoding: sub-words learned from the bytes of texts."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

from gradsmith.io.atomic import replace_file
from gradsmith.ops.options import check_int
from gradsmith.tensor import Tensor
from gradsmith.text.cleaning import check_text
from gradsmith.text.vocabulary import read_json

Pair = tuple[int, int]

_BYTES = 256
# Pieces that no merge crosses: words and runs of signs, each with the space before it; other
# spaces. Every character is in one of them.
_PIECE = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s+")


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _merged(symbols: list[int], pair: Pair, symbol: int) -> list[int]:
    """Return the symbols with every ``pair`` replaced, from the left."""
    result, place = [], 0
    while place < len(symbols):
        if tuple(symbols[place : place + 2]) == pair:
            result.append(symbol)
            place += 2
        else:
            result.append(symbols[place])
            place += 1
    return result


class _Pairs:
    """How often each pair of symbols stands in the words, kept up to date over merges."""

    def __init__(self, words: Counter[bytes]) -> None:
        self._words = [list(word) for word in words]
        self._counts = list(words.values())
        self._frequency: Counter[Pair] = Counter()
        self._places: defaultdict[Pair, set[int]] = defaultdict(set)
        for which in range(len(self._words)):
            self._count(which, 1)
        self._heap = [(-count, pair) for pair, count in self._frequency.items()]
        heapq.heapify(self._heap)

    def _count(self, which: int, sign: int) -> set[Pair]:
        """Add (or take off) the pairs of a word, and return them."""
        pairs = Counter(pairwise(self._words[which]))
        for pair, number in pairs.items():
            self._frequency[pair] += sign * number * self._counts[which]
            (self._places[pair].add if sign > 0 else self._places[pair].discard)(which)
        return set(pairs)

    def most_frequent(self) -> tuple[int, Pair] | None:
        """Return count and pair; of equally frequent ones the smallest. None: there is no pair."""
        while self._heap:
            count, pair = self._heap[0]
            if self._frequency[pair] == -count:  # otherwise the entry is out of date
                return -count, pair
            heapq.heappop(self._heap)
        return None

    def merge(self, pair: Pair, symbol: int) -> None:
        """Replace a pair by a new symbol in all words."""
        changed: set[Pair] = set()
        for which in sorted(self._places[pair]):
            changed |= self._count(which, -1)
            self._words[which] = _merged(self._words[which], pair, symbol)
            changed |= self._count(which, 1)
        for each in changed:
            if self._frequency[each] > 0:
                heapq.heappush(self._heap, (-self._frequency[each], each))


class BPETokenizer:
    """Cuts any text into sub-words: frequent pairs of bytes, merged again and again.

    Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016;
    on bytes, as in GPT-2 (Radford et al. 2019), so that no text has unknown parts and decoding
    gives back what was encoded. Numbers 0 ... 255 are the bytes, then come the merges in the order
    in which they were learned, then the special tokens.

    >>> tokenizer = BPETokenizer.train(["low lower lowest"] * 3, vocab_size=258)
    >>> tokenizer.tokenize("lows")
    ['low', 's']
    >>> tokenizer.decode(tokenizer.encode("lows"))
    'lows'

    Args:
        merges: pairs of numbers; merge i makes number 256 + i.
        special_tokens: texts with numbers of their own, such as ``"<pad>"``.

    Raises:
        ValueError: a merge uses a number that does not exist yet, or special tokens are equal.
    """

    def __init__(self, merges: Sequence[Pair] = (), special_tokens: Sequence[str] = ()) -> None:
        """Keep the merges and put the sub-words together."""
        self.merges = [(int(left), int(right)) for left, right in merges]
        self._pieces = [bytes([byte]) for byte in range(_BYTES)]
        for left, right in self.merges:
            if not 0 <= min(left, right) <= max(left, right) < len(self._pieces):
                raise ValueError(
                    f"BPETokenizer: merge {len(self._pieces) - _BYTES} is ({left}, {right}), "
                    f"expected numbers below {len(self._pieces)}"
                )
            self._pieces.append(self._pieces[left] + self._pieces[right])
        self._ranks = {pair: _BYTES + rank for rank, pair in enumerate(self.merges)}
        self.special_tokens = list(special_tokens)
        if len(set(special_tokens)) != len(special_tokens) or "" in special_tokens:
            raise ValueError(f"BPETokenizer: special_tokens {special_tokens} are empty or equal")
        first = len(self._pieces)
        self._specials = {token: first + i for i, token in enumerate(self.special_tokens)}
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        special_tokens: Sequence[str] = (),
        min_frequency: int = 2,
    ) -> Self:
        """Learn merges from texts until there are ``vocab_size`` numbers or no frequent pair.

        Args:
            texts: what to learn from.
            vocab_size: bytes, merges and special tokens together.
            special_tokens: see above.
            min_frequency: pairs that come less often are not merged.

        Raises:
            ValueError: ``vocab_size`` leaves no room for the bytes and special tokens.
            TypeError: the texts are a single str.
        """
        if isinstance(texts, str):
            raise TypeError("BPETokenizer: texts is a str, expected a list of them")
        wanted = check_int("BPETokenizer", "vocab_size", vocab_size) - _BYTES - len(special_tokens)
        if wanted < 0:
            raise ValueError(
                f"BPETokenizer: vocab_size is {vocab_size}, expected at least "
                f"{_BYTES + len(special_tokens)}"
            )
        words: Counter[str] = Counter()
        for text in texts:
            words.update(_PIECE.findall(check_text("BPETokenizer", text)))
        pairs = _Pairs(Counter({_to_bytes(word): count for word, count in words.items()}))
        merges: list[Pair] = []
        while len(merges) < wanted:
            best = pairs.most_frequent()
            if best is None or best[0] < min_frequency:
                break
            pairs.merge(best[1], _BYTES + len(merges))
            merges.append(best[1])
        return cls(merges, special_tokens)

    def __len__(self) -> int:
        """Return the number of sub-words, special tokens included."""
        return len(self._pieces) + len(self.special_tokens)

    def special_id(self, token: str) -> int:
        """Return the number of a special token (KeyError if it is none)."""
        if token not in self._specials:
            raise KeyError(f"BPETokenizer: {token!r} is not among {self.special_tokens}")
        return self._specials[token]

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Return the numbers of the sub-words of a text.

        Args:
            text: any text.
            special: take special tokens in the text as such; otherwise they are plain text.
        """
        check_text("encode", text)
        if not special or not self._specials:
            return self._encode_text(text)
        longest_first = sorted(self._specials, key=len, reverse=True)
        parts = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)
        numbers: list[int] = []
        for place, part in enumerate(parts):
            numbers += [self._specials[part]] if place % 2 else self._encode_text(part)
        return numbers

    def _encode_text(self, text: str) -> list[int]:
        return [number for piece in _PIECE.findall(text) for number in self._encode_piece(piece)]

    def _encode_piece(self, piece: str) -> list[int]:
        known = self._cache.get(piece)
        if known is not None:
            return known
        symbols = list(_to_bytes(piece))
        while len(symbols) > 1:
            none = len(self._pieces)
            first = min(pairwise(symbols), key=lambda pair: self._ranks.get(pair, none))
            if first not in self._ranks:
                break
            symbols = _merged(symbols, first, self._ranks[first])
        self._cache[piece] = symbols
        return symbols

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """Return the text of numbers; what is no UTF-8 becomes U+FFFD.

        Raises:
            IndexError: a number is out of range.
        """
        numbers = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        content = b"".join(self._bytes_of(number) for number in numbers)
        try:
            return content.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return content.decode("utf-8", "replace")

    def _bytes_of(self, number: int) -> bytes:
        if not 0 <= number < len(self):
            raise IndexError(f"BPETokenizer: {number} is out of range for {len(self)} sub-words")
        if number < len(self._pieces):
            return self._pieces[number]
        return _to_bytes(self.special_tokens[number - len(self._pieces)])

    def tokenize(self, text: str) -> list[str]:
        """Return the sub-words of a text; parts of a character show as U+FFFD."""
        return [self._pieces[number].decode("utf-8", "replace") for number in self.encode(text)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write merges and special tokens to a JSON file."""
        content: dict[str, Any] = {"merges": self.merges, "special_tokens": self.special_tokens}
        replace_file(os.fspath(path), json.dumps(content).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the tokenizer that `save` wrote; ValueError if the file is none."""
        content = read_json("BPETokenizer", path, {"merges", "special_tokens"})
        try:
            return cls(content["merges"], content["special_tokens"])
        except TypeError as error:
            raise ValueError(f"BPETokenizer: {os.fspath(path)} is damaged: {error}") from None
