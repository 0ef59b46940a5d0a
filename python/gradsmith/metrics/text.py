# SPDX-License-Identifier: Apache-2.0
"""Metrics of language models and of translations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.metrics.base import Metric, RatioMetric, to_array
from gradsmith.metrics.classification import check_classes
from gradsmith.ops.options import check_int


def _before(op: str, shape: tuple[int, ...], lengths: Any) -> Array:
    """Return where positions (N, L) lie within the first ``lengths`` (N) of their row."""
    array = to_array(lengths)
    if len(shape) != 2 or array.shape != shape[:1] or array.dtype.kind not in "iu":
        raise ValueError(
            f"{op}: lengths are {array.dtype} of shape {array.shape}, expected integers (N) with "
            f"a target (N, L), not {shape}"
        )
    return np.asarray(np.arange(shape[1]) < array[:, None])


class Perplexity(RatioMetric):
    """The exponential of the mean cross-entropy of logits with the tokens that come next."""

    def __init__(self, ignore_index: int = -100, name: str = "perplexity") -> None:
        """Start empty; targets of ``ignore_index`` do not count."""
        self.ignore_index = check_int("Perplexity", "ignore_index", ignore_index)
        super().__init__(name)

    def update(self, output: Any, target: Any, lengths: Any = None) -> None:
        """Take in logits (N, C, ...) and tokens (N, ...), as of `functional.cross_entropy`.

        Args:
            output: logits (N, C) or (N, C, L).
            target: tokens (N) or (N, L).
            lengths: (N) ints: the first so many positions of each row (N, L) count.

        Raises:
            ValueError: the shapes do not fit.
            TypeError: the target holds no integers.
            IndexError: a token is out of range.
        """
        logits, tokens = to_array(output).astype(np.float64), to_array(target)
        if logits.ndim < 2 or tokens.shape != logits.shape[:1] + logits.shape[2:]:
            raise ValueError(
                f"{self.name}: output has shape {logits.shape}, target {tokens.shape}, expected "
                "logits (N, C, ...) and tokens (N, ...)"
            )
        if tokens.dtype.kind not in "iu":
            raise TypeError(f"{self.name}: target is {tokens.dtype}, expected integers")
        kept = tokens != self.ignore_index
        if lengths is not None:
            kept &= _before(self.name, tokens.shape, lengths)
        rows, chosen = np.moveaxis(logits, 1, -1)[kept], tokens[kept]
        check_classes(self.name, chosen, logits.shape[1])
        largest = rows.max(1, initial=-np.inf)
        log_sums = np.log(np.exp(rows - largest[:, None]).sum(1)) + largest
        self.total += float((log_sums - rows[np.arange(len(rows)), chosen]).sum())
        self.count += len(chosen)

    def result(self) -> float:
        """Return the perplexity of all tokens since `reset`; NaN before the first."""
        mean = super().result()
        return math.exp(mean) if mean < 700 else math.inf if mean >= 700 else math.nan


def _check_tokens(op: str, what: str, tokens: Any) -> None:
    if isinstance(tokens, str) or not isinstance(tokens, Sequence):
        raise TypeError(f"{op}: {what} is a {type(tokens).__name__}, expected a list of tokens")


def _ngrams(tokens: Sequence[Any], order: int) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))


class BLEU(Metric):
    """How many n-grams of translations occur in references (Papineni et al. 2002), 0 to 1.

    The geometric mean of the clipped precisions of orders 1 to ``max_order``, times the penalty for
    brevity, over the whole corpus.
    """

    def __init__(
        self, max_order: int = 4, smoothing: str | None = None, name: str = "bleu"
    ) -> None:
        """Start empty.

        Args:
            max_order: the longest n-grams.
            smoothing: None, or ``"add-one"`` to both counts of orders above 1 (Lin and Och 2004),
                for single sentences, most of which have no 4-gram in common.
            name: what logs show.

        Raises:
            ValueError: ``max_order`` is not positive, or the smoothing is unknown.
        """
        if check_int("BLEU", "max_order", max_order) < 1:
            raise ValueError(f"BLEU: max_order is {max_order}, expected at least 1")
        if smoothing not in (None, "add-one"):
            raise ValueError(f"BLEU: smoothing is {smoothing!r}, expected None or 'add-one'")
        self.max_order = max_order
        self.smoothing = smoothing
        super().__init__(name)

    def reset(self) -> None:
        """Forget all sentences."""
        self.matches = np.zeros(self.max_order, np.int64)
        self.ngrams = np.zeros(self.max_order, np.int64)
        self.length = 0
        self.reference_length = 0

    def update(self, output: Sequence[Any], target: Sequence[Any]) -> None:
        """Take in translations (lists of tokens) and for each a list of references.

        Raises:
            ValueError: their numbers differ, or a translation has no reference.
            TypeError: a sentence is no list of tokens.
        """
        if len(output) != len(target):
            raise ValueError(
                f"{self.name}: got {len(output)} translations and {len(target)} lists of "
                "references, expected as many"
            )
        for candidate, references in zip(output, target, strict=True):
            _check_tokens(self.name, "a translation", candidate)
            for reference in references:
                _check_tokens(self.name, "a reference", reference)
            if not references:
                raise ValueError(f"{self.name}: a translation has no reference")
            self._add(candidate, references)

    def _add(self, candidate: Sequence[Any], references: Sequence[Sequence[Any]]) -> None:
        size = len(candidate)
        self.length += size
        # The reference nearest in length counts, of two as near the shorter.
        self.reference_length += min((abs(len(r) - size), len(r)) for r in references)[1]
        for index in range(self.max_order):
            mine, allowed = _ngrams(candidate, index + 1), Counter[tuple[Any, ...]]()
            for reference in references:
                allowed |= _ngrams(reference, index + 1)
            self.matches[index] += (mine & allowed).total()
            self.ngrams[index] += mine.total()

    def result(self) -> float:
        """Return the score of all sentences since `reset`; NaN before the first."""
        if not self.reference_length and not self.length:
            return math.nan
        matches, ngrams = self.matches.astype(np.float64), self.ngrams.astype(np.float64)
        if self.smoothing == "add-one":
            matches[1:] += 1
            ngrams[1:] += 1
        if not (matches > 0).all():
            return 0.0
        brevity = min(0.0, 1 - self.reference_length / self.length)
        return math.exp(brevity + float(np.log(matches / ngrams).mean()))


def perplexity(output: Any, target: Any, ignore_index: int = -100, lengths: Any = None) -> float:
    """Return the perplexity of one batch (see `Perplexity`)."""
    return float(Perplexity(ignore_index)(output, target, lengths))


def bleu(
    output: Sequence[Any], target: Sequence[Any], max_order: int = 4, smoothing: str | None = None
) -> float:
    """Return the BLEU score of a corpus (see `BLEU`).

    Example:
        >>> import gradsmith as gs
        >>> translation, reference = "the cat sat down".split(), "the cat sat".split()
        >>> round(gs.metrics.bleu([translation], [[reference]], max_order=2), 3)
        0.707
    """
    return float(BLEU(max_order, smoothing)(output, target))
