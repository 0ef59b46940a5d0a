# SPDX-License-Identifier: Apache-2.0
"""Einstein summation onto permute, sum, multiplication and batched matrix products.

Operands are taken in pairs from the left. In each pair, labels that nobody else needs are summed:
labels of one operand at once, labels of both by a matrix product whose batch are the labels that
both have and that stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gradsmith.ops.diagonal import diagonal
from gradsmith.ops.elementwise import mul
from gradsmith.ops.gemm import matmul
from gradsmith.ops.options import names_errors
from gradsmith.ops.reduce import sum
from gradsmith.ops.shape import expand, permute, reshape
from gradsmith.tensor import Tensor, array_of

# A function of a tensor and its further arguments.
Step = tuple[Callable[..., Tensor], tuple[Any, ...]]


@dataclass
class _Term:
    """A tensor to come: its shape, the label of each dimension, and the steps that make it.

    The dimensions behind ``...`` are "...0", "...1" and so on.
    """

    shape: tuple[int, ...]
    labels: list[str]
    steps: list[Step] = field(default_factory=list)

    def size(self, label: str) -> int:
        return self.shape[self.labels.index(label)]

    def then(
        self, function: Callable[..., Tensor], args: Any, shape: tuple[int, ...], labels: list[str]
    ) -> _Term:
        """Return the term with one more step; none where it would change nothing."""
        same = function is not diagonal and shape == self.shape and labels == self.labels
        steps = self.steps if same else [*self.steps, (function, args)]
        return _Term(shape, labels, steps)


@dataclass(frozen=True)
class _Plan:
    """The steps of the first operand, then for each other one: its own, the product, what follows.

    ``pairs[i]`` is (steps of the product so far, steps of operand i + 1, mul or matmul).
    """

    pairs: list[tuple[list[Step], list[Step], Callable[..., Tensor]]]
    last: list[Step]


def _expanded(term: str, spread: int, equation: str) -> list[str]:
    """Return the labels of a term in which ``...`` stands for ``spread`` dimensions."""
    before, dots, after = term.partition("...")
    if not all(letter.isascii() and letter.isalpha() for letter in before + after):
        raise ValueError(f"einsum: {term!r} in {equation!r} holds more than letters and one '...'")
    middle = [f"...{i}" for i in range(spread)] if dots else []
    return [*before, *middle, *after]


def _parse(equation: str, ndims: list[int]) -> tuple[list[list[str]], list[str]]:
    """Return the labels of every operand and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {equation!r} names {len(terms)} operands, got {len(ndims)}")
    spreads = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims, strict=True)]
    widest = max((s for t, s in zip(terms, spreads, strict=True) if "..." in t), default=0)
    operands = []
    for i, (term, spread) in enumerate(zip(terms, spreads, strict=True)):
        if spread < 0 or (spread > 0 and "..." not in term):
            raise ValueError(
                f"einsum: operand {i} has {ndims[i]} dimensions, which {term!r} does not label"
            )
        labels = _expanded(term, spread, equation)
        # Dimensions behind the dots broadcast, so they are numbered from the right.
        shift = widest - spread
        operands.append([f"...{int(x[3:]) + shift}" if x.startswith("...") else x for x in labels])
    if arrow:
        result = _expanded(right, widest, equation)
    else:
        everything = [label for labels in operands for label in labels]
        single = {x for x in everything if len(x) == 1 and everything.count(x) == 1}
        result = [f"...{i}" for i in range(widest)] + sorted(single)
    unknown = [x for x in result if not any(x in labels for labels in operands)]
    if unknown or len(set(result)) < len(result):
        raise ValueError(
            f"einsum: the result {right!r} of {equation!r} names a label twice or one that no "
            "operand has"
        )
    return operands, result


def _sizes(terms: list[_Term]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term in terms:
        for label, size in zip(term.labels, term.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                raise ValueError(f"einsum: label {label!r} has sizes {known} and {size}")
    return sizes


def _with_diagonals(term: _Term) -> _Term:
    """Take the diagonal of dimensions that carry the same label."""
    for label in dict.fromkeys(term.labels):
        while term.labels.count(label) > 1:
            first = term.labels.index(label)
            second = term.labels.index(label, first + 1)
            size = term.shape[first]
            if size != term.shape[second]:
                raise ValueError(
                    f"einsum: label {label!r} has sizes {size} and {term.shape[second]} in one "
                    "operand"
                )
            others = [d for d in range(len(term.shape)) if d not in (first, second)]
            shape = (*(term.shape[d] for d in others), size)
            labels = [*(term.labels[d] for d in others), label]
            term = term.then(diagonal, (0, first, second), shape, labels)
    return term


def _summed(term: _Term, keep: set[str]) -> _Term:
    """Sum over the labels that are not to be kept."""
    gone = tuple(d for d, label in enumerate(term.labels) if label not in keep)
    shape = tuple(size for d, size in enumerate(term.shape) if d not in gone)
    return term.then(sum, (gone,), shape, [x for x in term.labels if x in keep])


def _ordered(term: _Term, labels: list[str]) -> _Term:
    """Bring the dimensions into this order, with size 1 in place of missing ones."""
    order = tuple(term.labels.index(label) for label in labels if label in term.labels)
    present = [term.labels[d] for d in order]
    term = term.then(permute, order, tuple(term.shape[d] for d in order), present)
    shape = tuple(term.size(x) if x in present else 1 for x in labels)
    return term.then(reshape, (shape,), shape, labels)


def _stretched(term: _Term, labels: list[str], sizes: dict[str, int]) -> _Term:
    """Repeat dimensions of size 1 that another operand has at full size."""
    shape = tuple(
        sizes[label] if label in labels else size
        for label, size in zip(term.labels, term.shape, strict=True)
    )
    return term.then(expand, (shape,), shape, term.labels)


def _as_matrices(
    term: _Term, batch: list[str], rows: list[str], columns: list[str], sizes: dict[str, int]
) -> _Term:
    """Merge dimensions into those of a batch of matrices; without a batch into one matrix."""
    term = _ordered(_stretched(term, batch + rows + columns, sizes), batch + rows + columns)
    merged = [math.prod(term.size(x) for x in group) for group in (batch, rows, columns)]
    shape = tuple(merged if batch else merged[1:])
    return term.then(reshape, (shape,), shape, ["batch", "row", "column"][-len(shape) :])


def _contracted(
    a: _Term, b: _Term, keep: set[str], sizes: dict[str, int]
) -> tuple[_Term, _Term, Callable[..., Tensor], _Term]:
    """Return two terms, what multiplies them, and the product without the labels not to be kept."""
    a = _summed(a, keep | set(b.labels))
    b = _summed(b, keep | set(a.labels))
    inner = [x for x in a.labels if x in b.labels and x not in keep]
    batch = [x for x in a.labels if x in b.labels and x in keep]
    a_free = [x for x in a.labels if x not in b.labels]
    b_free = [x for x in b.labels if x not in a.labels]
    labels = batch + a_free + b_free
    shape = tuple(sizes[x] for x in batch)
    shape += (*(a.size(x) for x in a_free), *(b.size(x) for x in b_free))
    if not inner:
        return _ordered(a, labels), _ordered(b, labels), mul, _Term(shape, labels)
    left = _as_matrices(a, batch, a_free, inner, sizes)
    right = _as_matrices(b, batch, inner, b_free, sizes)
    product = _Term((*left.shape[:-1], right.shape[-1]), ["matrices"])
    return left, right, matmul, product.then(reshape, (shape,), shape, labels)


# A model repeats its equations on the same shapes.
@lru_cache(maxsize=256)
def _plan(equation: str, shapes: tuple[tuple[int, ...], ...]) -> _Plan:
    names, result = _parse(equation, [len(shape) for shape in shapes])
    given = [
        _with_diagonals(_Term(shape, labels)) for shape, labels in zip(shapes, names, strict=True)
    ]
    sizes = _sizes(given)
    pairs = []
    out = given[0]
    for i, term in enumerate(given[1:], start=1):
        keep = set(result).union(*(later.labels for later in given[i + 1 :]))
        left, right, product, out = _contracted(out, term, keep, sizes)
        pairs.append((left.steps, right.steps, product))
    return _Plan(pairs, _ordered(_summed(out, set(result)), result).steps)


def _after(tensor: Tensor, steps: list[Step]) -> Tensor:
    for function, args in steps:
        tensor = function(tensor, *args)
    return tensor


@names_errors
def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Return the sum of products that the equation describes, in NumPy's notation.

    Args:
        equation: labels of each operand's dimensions and, after ``->``, of the result's, as in
            ``"bik,bkj->bij"``. Without ``->`` the result has the labels that occur once, in
            alphabetical order. ``...`` stands for dimensions that broadcast; a label twice in an
            operand takes its diagonal.
        operands: the tensors, or one list of them.

    Raises:
        ValueError: the equation is malformed, or does not fit the operands' shapes.
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation is a {type(equation).__name__}, expected a str")
    shapes = tuple([array_of("einsum", x, f"operand {i}").shape for i, x in enumerate(operands)])
    plan = _plan(equation, shapes)
    out = operands[0]
    for (before, own, product), operand in zip(plan.pairs, operands[1:], strict=True):
        out = product(_after(out, before), _after(operand, own))
    return _after(out, plan.last)
