# SPDX-License-Identifier: Apache-2.0
"""Documents as counts of their words; names, arguments and numbers of scikit-learn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from gradsmith.backend import Array, as_dtype, get_default_dtype, on_host
from gradsmith.data.transformer import Transformer
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, wrap
from gradsmith.text.cleaning import without_accents

_ANALYZERS = ("word", "char", "char_wb")
_NORMS = ("l1", "l2", None)


class CountVectorizer(Transformer):
    """Maps documents to the counts of their words or n-grams, a dense int64 tensor (N, V).

    >>> counts = CountVectorizer()
    >>> counts.fit_transform(["to be or not to be", "to go"]).tolist()
    [[2, 0, 1, 1, 2], [0, 1, 0, 0, 1]]
    >>> counts.get_feature_names_out()
    ['be', 'go', 'not', 'or', 'to']

    Args:
        lowercase: make letters small first.
        strip_accents: ``"unicode"`` keeps the letter of one with a mark.
        preprocessor: does both in its own way.
        tokenizer: cuts a text into words, in place of ``token_pattern``.
        token_pattern: regular expression of a word.
        stop_words: words to leave out.
        ngram_range: (least, most) words or characters in a term.
        analyzer: ``"word"``; ``"char"``; ``"char_wb"``, characters within words that have a space
            on both sides; or a function from a document to its terms.
        max_df: leave out terms in more documents than this number (int) or share (float).
        min_df: leave out terms in fewer documents.
        max_features: keep the most frequent terms; equally frequent ones in alphabetical order.
        vocabulary: the terms, or what maps each one to its column; then ``fit`` learns nothing.
        binary: count once.
        dtype: of the result; None: int64 for counts, the default dtype for TF-IDF.

    Attributes:
        vocabulary_: the column of each term.

    Raises:
        ValueError: an unknown option; in ``fit``, no term is left.
        TypeError: the documents are a single str.
    """

    _learned: ClassVar[tuple[str, ...]] = ("vocabulary_",)

    def __init__(
        self,
        *,
        lowercase: bool = True,
        strip_accents: str | None = None,
        preprocessor: Callable[[str], str] | None = None,
        tokenizer: Callable[[str], list[str]] | None = None,
        token_pattern: str = r"(?u)\b\w\w+\b",
        stop_words: Collection[str] | None = None,
        ngram_range: tuple[int, int] = (1, 1),
        analyzer: str | Callable[[Any], Iterable[str]] = "word",
        max_df: float = 1.0,
        min_df: float = 1,
        max_features: int | None = None,
        vocabulary: Mapping[str, int] | Iterable[str] | None = None,
        binary: bool = False,
        dtype: Any = None,
    ) -> None:
        """Keep the options."""
        self._op = type(self).__name__
        if strip_accents not in (None, "unicode"):
            raise ValueError(
                f"{self._op}: strip_accents is {strip_accents!r}, expected 'unicode' or None"
            )
        if isinstance(stop_words, str):
            raise ValueError(f"{self._op}: stop_words is {stop_words!r}, expected a list of words")
        if not callable(analyzer) and analyzer not in _ANALYZERS:
            raise ValueError(f"{self._op}: analyzer is {analyzer!r}, expected one of {_ANALYZERS}")
        if not 1 <= ngram_range[0] <= ngram_range[1]:
            raise ValueError(
                f"{self._op}: ngram_range is {ngram_range}, expected 1 <= least <= most"
            )
        for name, value in (("max_df", max_df), ("min_df", min_df)):
            share = isinstance(value, float)
            if check_number(self._op, name, value) < 0 or (share and value > 1):
                raise ValueError(f"{self._op}: {name} is {value}, expected a count or a share")
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.preprocessor = preprocessor
        self.tokenizer = tokenizer
        self.token_pattern = re.compile(token_pattern)
        self.stop_words = frozenset(stop_words or ())
        self.ngram_range = ngram_range
        self.analyzer = analyzer
        self.max_df, self.min_df = max_df, min_df
        self.max_features = max_features
        self.vocabulary = None if vocabulary is None else _columns(self._op, vocabulary)
        self.binary = binary
        self.dtype = None if dtype is None else as_dtype(dtype)
        if self.vocabulary is not None:
            self.vocabulary_ = self.vocabulary

    # ---- from a document to its terms ------------------------------------------------------------

    def terms_of(self, document: Any) -> list[str]:
        """Return the terms of a document, as often as they come."""
        if callable(self.analyzer):
            return list(self.analyzer(document))
        if self.preprocessor is not None:
            text = self.preprocessor(document)
        else:
            text = document.lower() if self.lowercase else document
            text = without_accents(text) if self.strip_accents else text
        if self.analyzer == "word":
            cut = self.token_pattern.findall if self.tokenizer is None else self.tokenizer
            words = [word for word in cut(text) if word not in self.stop_words]
            return [" ".join(part) for part in self._parts(words)]
        text = re.sub(r"\s\s+", " ", text)
        if self.analyzer == "char":
            return list(self._parts(text))
        padded = [f" {word} " for word in text.split()]
        return [term for word in padded for term in self._parts_of_word(word)]

    def _parts(self, whole: Any) -> list[Any]:
        """Return all parts of the lengths in ``ngram_range``."""
        least, most = self.ngram_range
        lengths = range(least, min(most, len(whole)) + 1)
        return [whole[i : i + n] for n in lengths for i in range(len(whole) - n + 1)]

    def _parts_of_word(self, word: str) -> list[str]:
        """As `_parts`; a word that is shorter than the least length counts once, whole."""
        return self._parts(word) or [word]

    def _counts(self, documents: Iterable[Any]) -> list[Counter[str]]:
        if isinstance(documents, str):
            raise TypeError(f"{self._op}: X is a str, expected a list of documents")
        return [Counter(self.terms_of(document)) for document in documents]

    # ---- learning and counting -------------------------------------------------------------------

    def fit(self, X: Iterable[Any], y: Any = None) -> Self:
        """Learn the terms of documents."""
        self._learn(self._counts(X))
        return self

    def fit_transform(self, X: Iterable[Any], y: Any = None) -> Tensor:
        """Learn the terms of documents and count them."""
        counts = self._counts(X)
        self._learn(counts)
        return self._result(self._table(counts))

    def transform(self, X: Iterable[Any]) -> Tensor:
        """Return the counts in documents of the terms that ``fit`` learned."""
        self._check_fitted()
        return self._result(self._table(self._counts(X)))

    def _learn(self, counts: list[Counter[str]]) -> None:
        if self.vocabulary is not None:
            return
        in_documents = Counter(term for count in counts for term in count)
        total: Counter[str] = Counter()
        for count in counts:
            total.update(dict.fromkeys(count, 1) if self.binary else count)
        least, most = (
            limit * len(counts) if isinstance(limit, float) else limit
            for limit in (self.min_df, self.max_df)
        )
        terms = sorted(term for term, number in in_documents.items() if least <= number <= most)
        if self.max_features is not None:
            terms.sort(key=lambda term: -total[term])
            terms = sorted(terms[: self.max_features])
        if not terms:
            raise ValueError(
                f"{self._op}: no term is left of the {len(in_documents)} in {len(counts)} documents"
            )
        self.vocabulary_ = {term: column for column, term in enumerate(terms)}

    def _table(self, counts: list[Counter[str]]) -> Array:
        table = np.zeros((len(counts), len(self.vocabulary_)), dtype=np.int64)
        for row, count in zip(table, counts, strict=True):
            for term, number in count.items():
                column = self.vocabulary_.get(term)
                if column is not None:
                    row[column] = 1 if self.binary else number
        return table

    def _result(self, table: Array) -> Tensor:
        return wrap(table if self.dtype is None else table.astype(self.dtype))

    def get_feature_names_out(self) -> list[str]:
        """Return the term of each column."""
        self._check_fitted()
        return sorted(self.vocabulary_, key=self.vocabulary_.__getitem__)

    def inverse_transform(self, X: Any) -> list[list[str]]:
        """Return for each row the terms whose columns are not 0."""
        names = self.get_feature_names_out()
        rows = on_host(X._array) if isinstance(X, Tensor) else np.asarray(X)
        return [[names[column] for column in np.flatnonzero(row)] for row in rows]


def _columns(op: str, vocabulary: Mapping[str, int] | Iterable[str]) -> dict[str, int]:
    if isinstance(vocabulary, Mapping):
        columns = dict(vocabulary)
    else:
        terms = list(vocabulary)
        columns = {term: column for column, term in enumerate(terms)}
        if len(columns) != len(terms):
            raise ValueError(f"{op}: vocabulary has terms that come twice")
    if sorted(columns.values()) != list(range(len(columns))) or not columns:
        raise ValueError(f"{op}: vocabulary does not number its terms from 0 without gaps")
    return columns


class TfidfVectorizer(CountVectorizer):
    """Maps documents to counts weighted by how rare a term is, a dense float tensor (N, V).

    tf(t, d) * idf(t) with idf(t) = ln((1 + N) / (1 + df(t))) + 1, rows scaled to norm 1.

    Args:
        norm: ``"l2"``, ``"l1"`` or None, of each row.
        use_idf: weight by idf; otherwise by 1.
        smooth_idf: the formula above; otherwise ln(N / df(t)) + 1.
        sublinear_tf: 1 + ln(tf) in place of tf.
        **counting: arguments of `CountVectorizer`.

    Attributes:
        vocabulary_: the column of each term.
        idf_: the weight of each column, float64 (V,).
    """

    _learned: ClassVar[tuple[str, ...]] = ("vocabulary_", "idf_")

    def __init__(
        self,
        *,
        norm: str | None = "l2",
        use_idf: bool = True,
        smooth_idf: bool = True,
        sublinear_tf: bool = False,
        **counting: Any,
    ) -> None:
        """Keep the options."""
        super().__init__(**counting)
        if norm not in _NORMS:
            raise ValueError(f"{self._op}: norm is {norm!r}, expected one of {_NORMS}")
        self.norm = norm
        self.use_idf = use_idf
        self.smooth_idf = smooth_idf
        self.sublinear_tf = sublinear_tf

    def _learn(self, counts: list[Counter[str]]) -> None:
        super()._learn(counts)
        extra = int(self.smooth_idf)
        in_documents = (self._table(counts) > 0).sum(axis=0) + extra
        if self.use_idf and not in_documents.all():
            empty = int(in_documents.argmin())
            missing = next(term for term, place in self.vocabulary_.items() if place == empty)
            raise ValueError(
                f"{self._op}: {missing!r} is in no document; smooth_idf=True allows it"
            )
        total = len(counts) + extra
        self.idf_ = np.log(total / in_documents) + 1 if self.use_idf else np.ones(len(in_documents))

    def _result(self, table: Array) -> Tensor:
        weights = table.astype(np.float64)
        if self.sublinear_tf:
            weights[table > 0] = np.log(weights[table > 0]) + 1
        weights *= self.idf_
        if self.norm is not None:
            length = np.linalg.norm(weights, ord=int(self.norm[1]), axis=1, keepdims=True)
            weights /= np.where(length == 0, 1, length)
        return wrap(weights.astype(self.dtype or get_default_dtype()))
