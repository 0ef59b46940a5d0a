# SPDX-License-Identifier: Apache-2.0
"""Einstein summation onto permute, sum, multiplication and batched matrix products.

Operands are taken in pairs from the left. In each pair, labels that nobody else needs are summed:
labels of one operand at once, labels of both by a matrix product whose batch are the labels that
both have and that stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradsmith.ops.diagonal import diagonal
from gradsmith.ops.elementwise import mul
from gradsmith.ops.gemm import matmul
from gradsmith.ops.options import names_errors
from gradsmith.ops.reduce import sum
from gradsmith.ops.shape import expand, permute, reshape
from gradsmith.tensor import Tensor, array_of


@dataclass
class _Labelled:
    """A tensor and the label of each dimension; those behind ``...`` are "...0", "...1", ..."""

    tensor: Tensor
    labels: list[str]

    def size(self, label: str) -> int:
        return self.tensor.shape[self.labels.index(label)]


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


def _sizes(operands: list[_Labelled]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for operand in operands:
        for label, size in zip(operand.labels, operand.tensor.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                raise ValueError(f"einsum: label {label!r} has sizes {known} and {size}")
    return sizes


def _with_diagonals(tensor: Tensor, labels: list[str]) -> _Labelled:
    """Take the diagonal of dimensions that carry the same label."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if tensor.shape[first] != tensor.shape[second]:
                raise ValueError(
                    f"einsum: label {label!r} has sizes {tensor.shape[first]} and "
                    f"{tensor.shape[second]} in one operand"
                )
            tensor = diagonal(tensor, 0, first, second)
            del labels[second], labels[first]
            labels.append(label)
    return _Labelled(tensor, labels)


def _summed(operand: _Labelled, keep: set[str]) -> _Labelled:
    """Sum over the labels that are not to be kept."""
    gone = tuple(d for d, label in enumerate(operand.labels) if label not in keep)
    if not gone:
        return operand
    return _Labelled(sum(operand.tensor, gone), [x for x in operand.labels if x in keep])


def _ordered(operand: _Labelled, labels: list[str], sizes: dict[str, int]) -> Tensor:
    """Return the tensor with its dimensions in this order, size 1 in place of missing ones."""
    order = [operand.labels.index(label) for label in labels if label in operand.labels]
    tensor = permute(operand.tensor, tuple(order))
    if len(order) == len(labels):
        return tensor
    shape = tuple(operand.size(x) if x in operand.labels else 1 for x in labels)
    return reshape(tensor, shape)


def _stretched(operand: _Labelled, labels: list[str], sizes: dict[str, int]) -> _Labelled:
    """Repeat dimensions of size 1 that another operand has at full size."""
    shape = tuple(
        sizes[label] if label in labels else size
        for label, size in zip(operand.labels, operand.tensor.shape, strict=True)
    )
    tensor = operand.tensor if shape == operand.tensor.shape else expand(operand.tensor, shape)
    return _Labelled(tensor, operand.labels)


def _contracted(a: _Labelled, b: _Labelled, keep: set[str], sizes: dict[str, int]) -> _Labelled:
    """Return the product of two operands, summed over the labels that are not to be kept."""
    a = _summed(a, keep | set(b.labels))
    b = _summed(b, keep | set(a.labels))
    inner = [x for x in a.labels if x in b.labels and x not in keep]
    batch = [x for x in a.labels if x in b.labels and x in keep]
    a_free = [x for x in a.labels if x not in b.labels]
    b_free = [x for x in b.labels if x not in a.labels]
    labels = batch + a_free + b_free
    if not inner:
        return _Labelled(mul(_ordered(a, labels, sizes), _ordered(b, labels, sizes)), labels)
    a, b = _stretched(a, batch + inner, sizes), _stretched(b, batch + inner, sizes)
    batch_shape = tuple(sizes[x] for x in batch)
    rows, columns = (math.prod(a.size(x) for x in a_free), math.prod(b.size(x) for x in b_free))
    depth = math.prod(sizes[x] for x in inner)
    batches = (math.prod(batch_shape),) if batch else ()
    left = reshape(_ordered(a, batch + a_free + inner, sizes), (*batches, rows, depth))
    right = reshape(_ordered(b, batch + inner + b_free, sizes), (*batches, depth, columns))
    free_shape = (*(a.size(x) for x in a_free), *(b.size(x) for x in b_free))
    return _Labelled(reshape(matmul(left, right), (*batch_shape, *free_shape)), labels)


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
    ndims = [array_of("einsum", x, f"operand {i}").ndim for i, x in enumerate(operands)]
    names, result = _parse(equation, ndims)
    given = [_with_diagonals(x, labels) for x, labels in zip(operands, names, strict=True)]
    sizes = _sizes(given)
    out = given[0]
    for i, operand in enumerate(given[1:], start=1):
        keep = set(result).union(*(later.labels for later in given[i + 1 :]))
        out = _contracted(out, operand, keep, sizes)
    out = _summed(out, set(result))
    return _ordered(out, result, sizes)
