# SPDX-License-Identifier: Apache-2.0
"""Windows and other strided views; joining, splitting and choosing by NumPy's rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.ops.shape_layout import allows_view
from tests.cases import Case, CaseTests
from tests.test_shape import moved


def summed(name: str, call: Any, definition: Any, *shapes: tuple[int, ...]) -> Case:
    """A case whose elements occur several times, so that gradients add up."""
    return Case(
        name,
        call,
        definition,
        lambda rng: tuple(rng.standard_normal(shape) for shape in shapes),
        tolerance="exact",
        depth=8,
        dtypes=("float32", "float64"),
    )


def windows(x: np.ndarray, axis: int, size: int, step: int) -> np.ndarray:
    starts = range(0, x.shape[axis] - size + 1, step)
    return np.stack([np.moveaxis(x.take(range(i, i + size), axis), axis, -1) for i in starts], axis)


CASES = [
    summed("unfold", lambda x: x.unfold(1, 3, 1), lambda x: windows(x, 1, 3, 1), (2, 6, 3)),
    summed("unfold-step", lambda x: x.unfold(-1, 2, 3), lambda x: windows(x, 1, 2, 3), (2, 9)),
    summed("unfold-T", lambda x: x.T.unfold(0, 4, 2), lambda x: windows(x.T, 0, 4, 2), (2, 9)),
    summed(
        "as_strided",
        lambda x: gs.as_strided(x.contiguous(), (3, 4), (2, 1), 1),
        lambda x: np.stack([x.reshape(-1)[1 + 2 * i : 5 + 2 * i] for i in range(3)]),
        (2, 5),
    ),
    moved("adjoint", lambda x: x.adjoint(), lambda x: x.swapaxes(-1, -2)),
    moved("ravel", gs.ravel, np.ravel),
    moved("fliplr", gs.fliplr, np.fliplr),
    moved("flipud", gs.flipud, np.flipud),
    moved("dstack", lambda *x: gs.dstack(x), lambda *x: np.dstack(x), (3,), (1, 3), (1, 3, 2)),
    moved(
        "column_stack",
        lambda *x: gs.column_stack(x),
        lambda *x: np.column_stack(x),
        *((3,), (3, 2)),
    ),
    moved("row_stack", lambda *x: gs.row_stack(x), lambda *x: np.vstack(x), (3,), (2, 3)),
    moved("tensor_split", lambda x: x.tensor_split(3, 2), lambda x: np.array_split(x, 3, 2)),
    moved(
        "tensor_split-places",
        lambda x: x.tensor_split((1, 3), -1),
        lambda x: np.split(x, (1, 3), -1),
    ),
    moved("hsplit", lambda x: x.hsplit(3), lambda x: np.hsplit(x, 3)),
    moved("vsplit", lambda x: x.vsplit((1,)), lambda x: np.vsplit(x, (1,))),
    moved("dsplit", lambda x: x.dsplit(2), lambda x: np.dsplit(x, 2)),
    moved(
        "cartesian_prod",
        gs.cartesian_prod,
        lambda a, b: np.array(list(itertools.product(a, b))),
        *((3,), (2,)),
    ),
    *(
        moved(
            f"combinations-{r}",
            lambda x, r=r: gs.combinations(x, r),
            lambda x, r=r: np.array(list(itertools.combinations(x, r))),
            (5,),
        )
        for r in (1, 2, 4)
    ),
    moved(
        "combinations-again",
        lambda x: gs.combinations(x, 3, with_replacement=True),
        lambda x: np.array(list(itertools.combinations_with_replacement(x, 3))),
        (3,),
    ),
]


class TestCases(CaseTests):
    pass


def test_windows_share_memory_and_are_read_only_where_they_overlap() -> None:
    x = gs.arange(6.0)
    apart, over = x.unfold(0, 2, 2), x.unfold(0, 3, 1)
    x[1] = 7.0
    assert apart.tolist()[0] == over.tolist()[0][:2] == [0.0, 7.0]
    assert over._version is x._version
    apart[0, 0] = 9.0
    assert x[0].item() == 9.0
    with pytest.raises(ValueError, match="read-only"):
        over[0, 0] = 1.0


def test_windows_at_the_edges() -> None:
    x = gs.arange(3)
    assert x.unfold(0, 3, 5).tolist() == [[0, 1, 2]]
    assert x.unfold(0, 0, 1).shape == (4, 0)
    assert gs.tensor(5).unfold(0, 1, 1).tolist() == [5]
    assert gs.zeros(0, 2).unfold(1, 2, 1).shape == (0, 1, 2)


def test_strides_of_every_order_of_dimensions() -> None:
    x = gs.arange(12.0).reshape(3, 4)
    assert x.T.as_strided((2, 2), (1, 4)).tolist() == [[0, 4], [1, 5]]
    assert gs.as_strided(x, (), (), 11).item() == 11
    assert gs.as_strided(x, (2, 0), (9, 9), 99).shape == (2, 0)
    assert gs.as_strided(x[1:], (2,), (3,), 1).tolist() == [5, 8]


def test_block_diag() -> None:
    blocks = [gs.ones(2, 1), gs.tensor([2.0, 3.0]), gs.tensor(4.0), gs.zeros(1, 0)]
    assert gs.block_diag(*blocks).tolist() == [
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 2, 3, 0],
        [0, 0, 0, 4],
        [0, 0, 0, 0],
    ]
    x = gs.ones(2, 2, requires_grad=True)
    (gs.block_diag(x, x) * gs.arange(16.0).reshape(4, 4)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[10, 12], [18, 20]]


def test_other_forms_of_arguments() -> None:
    a, b = gs.arange(2), gs.arange(3)
    assert [x.shape for x in gs.meshgrid([a, b])] == [(2, 3)] * 2
    assert [x.shape for x in gs.atleast_2d(a, b)] == [(1, 2), (1, 3)]
    assert [x.shape for x in gs.atleast_3d([a])] == [(1, 2, 1)]
    assert [x.shape for x in gs.broadcast_tensors((a[:, None], b))] == [(2, 3)] * 2
    assert gs.broadcast_shapes((2, 1), 3, ()) == (2, 3)
    assert a.swapaxes(axis0=0, axis1=0).shape == (2,)
    assert gs.cat((gs.tensor([]), gs.ones(2, 2))).shape == (2, 2)
    assert [x.tolist() for x in b.tensor_split(gs.tensor([1]))] == [[0], [1, 2]]
    assert [x.tolist() for x in b.tensor_split([2, 1])] == [[0, 1], [], [1, 2]]
    assert b.repeat_interleave(2, output_size=6).shape == (6,)


X = gs.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: X.unfold(1, 4, 1), ValueError, "unfold: size is 4"),
        (lambda: X.unfold(1, 2, 0), ValueError, "unfold: step is 0"),
        (lambda: X.unfold(2, 1, 1), IndexError, "unfold: dim 2"),
        (lambda: X.as_strided((2, 3), (3, 2)), ValueError, "as_strided: .* reach element 7"),
        (lambda: X.as_strided((2,), (1,), 5), ValueError, "reach element 6 of 6"),
        (lambda: X.as_strided((2,), (-1,), 5), ValueError, "as_strided: size is"),
        (lambda: X.as_strided((2, 2), (1,)), ValueError, "one stride for each size"),
        (lambda: X[:, ::2].as_strided((2,), (1,)), ValueError, "do not lie side by side"),
        (lambda: X.as_strided((2.0,), (1,)), TypeError, "as_strided: size"),
        (lambda: gs.adjoint(gs.ones(2)), ValueError, "adjoint: got shape"),
        (lambda: gs.fliplr(gs.ones(2)), ValueError, "fliplr: got shape"),
        (lambda: gs.flipud(gs.tensor(1)), ValueError, "flipud"),
        (lambda: X.tensor_split(0), ValueError, "tensor_split: 0 pieces"),
        (lambda: gs.tensor(1).tensor_split(1), ValueError, "tensor_split: the tensor"),
        (lambda: X.hsplit(2), ValueError, "hsplit: 2 pieces"),
        (lambda: gs.tensor(1).hsplit(1), ValueError, "hsplit: input has shape"),
        (lambda: gs.ones(2).vsplit(1), ValueError, "vsplit: input has shape"),
        (lambda: X.dsplit(1), ValueError, "dsplit: input has shape"),
        (lambda: gs.block_diag(gs.ones(1, 1, 1)), ValueError, r"block_diag: tensors\[0\]"),
        (lambda: gs.cartesian_prod(X), ValueError, r"cartesian_prod: tensors\[0\]"),
        (lambda: gs.cartesian_prod(), ValueError, "cartesian_prod: got no tensors"),
        (lambda: gs.combinations(X), ValueError, "combinations: input has shape"),
        (lambda: gs.combinations(X[0], -1), ValueError, "combinations: .* r is -1"),
        (lambda: gs.broadcast_shapes((2,), (3,)), ValueError, "broadcast_shapes: shapes"),
        (lambda: gs.atleast_1d([1.0]), TypeError, r"atleast_1d: tensors\[0\]"),
        (lambda: X.repeat_interleave(2, 0, output_size=5), ValueError, "output_size is 5"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_what_reshapes_without_a_copy() -> None:
    """As NumPy decides it, over drawn layouts and shapes."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        sizes = rng.choice([1, 2, 3, 4, 6], rng.integers(1, 5))
        base = np.zeros(2 * sizes)
        keys = [
            (slice(0, n), slice(0, 2 * n, 2), slice(n - 1, None, -1))[rng.integers(3)]
            for n in sizes
        ]
        array = np.zeros(sizes) if rng.random() < 0.5 else base[tuple(keys)]
        array = array.transpose(rng.permutation(array.ndim))
        rest, wanted = array.size, []
        while rest > 1:
            wanted.append(int(rng.choice([n for n in range(1, rest + 1) if rest % n == 0])))
            rest //= wanted[-1]
        if wanted and rng.random() < 0.2:
            wanted[rng.integers(len(wanted))] = -1
        is_view = np.shares_memory(array, array.reshape(wanted))
        assert allows_view(array, wanted) == is_view, (array.shape, array.strides, wanted)
