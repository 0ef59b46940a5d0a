# SPDX-License-Identifier: Apache-2.0
"""What does not matter taken out of a text."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

_HIDDEN = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_URL = re.compile(r"\b(?:[a-z][a-z0-9+.-]*://|www\.)[^\s<>\"]+|\b[\w.+-]+@[\w-]+\.[\w.-]+", re.I)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_APOSTROPHES = "'\u2019"


def check_text(op: str, text: Any) -> str:
    """Return the text; TypeError if it is no str."""
    if not isinstance(text, str):
        raise TypeError(f"{op}: text is a {type(text).__name__}, expected a str")
    return text


def without_accents(text: str) -> str:
    """Return a text without the marks that Unicode can split off its letters."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if not unicodedata.combining(char))


def _without_punctuation(text: str) -> str:
    def is_kept(place: int) -> bool:
        char = text[place]
        if char in _APOSTROPHES:
            return text[place - 1 : place].isalpha() and text[place + 1 : place + 2].isalpha()
        return unicodedata.category(char)[0] not in "PS"

    return "".join(char if is_kept(place) else " " for place, char in enumerate(text))


def clean(
    text: str,
    *,
    lowercase: bool = True,
    strip_html: bool = True,
    strip_urls: bool = True,
    strip_accents: bool = True,
    strip_punctuation: bool = True,
    strip_numbers: bool = False,
) -> str:
    """Return a text without what the options name, and with single spaces.

    >>> clean("<p>Don't miss the <b>Caf\u00e9</b>: https://example.org &amp; 3.50!</p>")
    "don't miss the cafe 3 50"

    Args:
        text: any text.
        lowercase: make letters small.
        strip_html: take out tags, comments, scripts and styles, and resolve ``&amp;`` and others.
        strip_urls: take out addresses of pages and of mail.
        strip_accents: keep the letter of one with a mark.
        strip_punctuation: take out punctuation and symbols; an apostrophe within a word stays.
        strip_numbers: take out numbers.

    Raises:
        TypeError: the text is no str.
    """
    check_text("clean", text)
    if strip_html:
        text = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    if strip_urls:
        text = _URL.sub(" ", text)
    if strip_accents:
        text = without_accents(text)
    if lowercase:
        text = text.lower()
    if strip_numbers:
        text = _NUMBER.sub(" ", text)
    if strip_punctuation:
        text = _without_punctuation(text)
    return " ".join(text.split())
