# SPDX-License-Identifier: Apache-2.0
"""Texts cut into sentences, words and characters, by rules alone."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import TypeVar

from gradsmith.ops.options import check_int
from gradsmith.text.cleaning import check_text

T = TypeVar("T")

_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "sr",
        "jr",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "fig",
        "no",
        "vol",
        "pp",
        "ed",
        "al",
        "inc",
        "ltd",
        "co",
        "dept",
        "approx",
    ]
)
# The end of a sentence: marks, closing quotes or brackets, white space, and what may begin one.
_END = re.compile(
    r"(?P<mark>[.!?\u2026]+)[\"'\u2019\u201d)\]]*\s+(?=[\"'\u2018\u201c(\[]*[^\W_a-z])"
    r"|(?P<stop>[\u3002\uff01\uff1f]+)\s*|\n\s*\n\s*"
)


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    # Python's \w lacks the marks that vowels and accents of many scripts are written with.
    marks = (chr(code) for code in range(0x300, 0x10000))
    mark = "".join(char for char in marks if unicodedata.category(char)[0] == "M")
    letters = rf"[\w{mark}]+"
    return re.compile(
        rf"{letters}(?:['\u2019\-]{letters}|(?<=\d)[.,]\d+)*|(?P<sign>[^\w\s])(?P=sign)*"
    )


def word_tokenize(text: str) -> list[str]:
    """Return words, numbers, and punctuation marks (equal ones in a row together).

    >>> word_tokenize("Mother-in-law doesn't pay $3.50...")
    ['Mother-in-law', "doesn't", 'pay', '$', '3.50', '...']

    Raises:
        TypeError: the text is no str.
    """
    found = _word_pattern().finditer(check_text("word_tokenize", text))
    return [match.group() for match in found]


def sentence_tokenize(text: str, abbreviations: Collection[str] = _ABBREVIATIONS) -> list[str]:
    """Return the sentences of a text.

    One ends at ``.``, ``!`` or ``?`` before white space and a capital letter or digit, or at an
    empty line; not after an abbreviation or a single capital letter with a point.

    >>> sentence_tokenize("Dr. J. Doe is here. Is she? Yes, at 3.15 p.m. exactly.")
    ['Dr. J. Doe is here.', 'Is she?', 'Yes, at 3.15 p.m. exactly.']

    Args:
        text: any text.
        abbreviations: in small letters, without the last point.

    Raises:
        TypeError: the text is no str.
    """
    sentences, start = [], 0
    for match in _END.finditer(check_text("sentence_tokenize", text)):
        if match["mark"] == "." and text[match.start() + 1].isspace():
            words = text[start : match.start()].split()
            last = words[-1].lstrip("\"'(\u2018\u201c[") if words else ""
            if last.lower() in abbreviations or (len(last) == 1 and last.isupper()):
                continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def char_tokenize(text: str) -> list[str]:
    """Return the characters (Unicode code points) of a text; TypeError if it is no str."""
    return list(check_text("char_tokenize", text))


def ngrams(tokens: Sequence[T], n: int) -> list[tuple[T, ...]]:
    """Return every n tokens in a row; none where there are fewer than n.

    >>> ngrams(["a", "b", "c"], 2)
    [('a', 'b'), ('b', 'c')]

    Raises:
        ValueError: n is below 1.
    """
    if check_int("ngrams", "n", n) < 1:
        raise ValueError(f"ngrams: n is {n}, expected at least 1")
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
