# SPDX-License-Identifier: Apache-2.0
"""Sets of texts: film reviews, and the documentation that comes with Python."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradsmith.data.archive import members
from gradsmith.data.cache import cache_dir, stored_file
from gradsmith.data.datasets.splits import check_split
from gradsmith.data.texts import TextDataset

_IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_SENTIMENTS = ["neg", "pos"]


def imdb(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    download: bool = False,
    transform: Callable[[str], Any] | None = None,
) -> TextDataset:
    """Return 25,000 film reviews with their sentiment, 0 (negative) or 1 (positive).

    Maas et al., "Learning word vectors for sentiment analysis", 2011. Negative reviews come first,
    each kind in the order of the file numbers.

    Args:
        root: the folder of ``aclImdb_v1.tar.gz``, or of the ``aclImdb`` it holds; None: ``imdb`` in
            the cache folder.
        split: ``"train"`` or ``"test"``.
        download: fetch the archive if it is missing and check its SHA-256 sum.
        transform: maps a text to what a sample holds, such as a vocabulary's ``encode``.

    Raises:
        ValueError: an unknown split, or the archive holds no reviews.
        FileNotFoundError: the files are missing and ``download`` is off.
        RuntimeError: a download failed.
    """
    check_split("imdb", split)
    folder = cache_dir() / "imdb" if root is None else Path(root)
    unpacked = folder / "aclImdb"
    if unpacked.is_dir():
        found = _reviews_of_folder(unpacked, split)
    else:
        path = folder / "aclImdb_v1.tar.gz"
        path = stored_file("imdb", path, [_IMDB_URL], _IMDB_SHA256, download)
        found = _reviews_of_archive(path, split)
    reviews = []
    for name, content in found:
        match = _review_pattern(split).fullmatch(name)
        if match:
            reviews.append((_SENTIMENTS.index(match[1]), int(match[2]), content))
    if not reviews:
        raise ValueError(f"imdb: {folder} holds no reviews aclImdb/{split}/neg|pos/*.txt")
    reviews.sort(key=lambda review: review[:2])
    texts = [content.decode("utf-8", "replace") for _, _, content in reviews]
    return TextDataset(texts, np.array([kind for kind, _, _ in reviews]), transform, _SENTIMENTS)


def _review_pattern(split: str) -> re.Pattern[str]:
    """Return what a review's name looks like: sentiment, number and rating."""
    return re.compile(rf"(?:.*/)?{split}/(neg|pos)/(\d+)_\d+\.txt")


def _reviews_of_folder(folder: Path, split: str) -> Iterator[tuple[str, bytes]]:
    pattern = _review_pattern(split)
    for path in folder.glob(f"{split}/*/*.txt"):
        if pattern.fullmatch(path.as_posix()):
            yield path.as_posix(), path.read_bytes()


def _reviews_of_archive(path: Path, split: str) -> Iterator[tuple[str, bytes]]:
    pattern = _review_pattern(split)
    return members("imdb", path, lambda name: pattern.fullmatch(name) is not None)


def python_docs(split: str = "train", transform: Callable[[str], Any] | None = None) -> TextDataset:
    """Return the language reference that Python carries for its ``help``, as plain English texts.

    About 80 documents, 460,000 characters; they depend on the Python version alone. In the order of
    their names every fifth is for the test. ``"\\n".join(dataset.texts)`` is the corpus.

    Raises:
        ImportError: this Python was installed without its documentation (``pydoc_data``).
        ValueError: an unknown split.
    """
    check_split("python_docs", split)
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ImportError(
            "python_docs: this Python lacks the standard module pydoc_data; a full installation "
            "(from python.org, or the package libpython3-stdlib) has it"
        ) from None
    names = [
        name for rank, name in enumerate(sorted(topics)) if (rank % 5 == 4) == (split == "test")
    ]
    return TextDataset([topics[name] for name in names], None, transform)
