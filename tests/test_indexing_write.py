# SPDX-License-Identifier: Apache-2.0
"""Copies with something written or reduced at an index, and the same in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import gradcheck
from tests.cases import Case, CaseTests
from tests.reference import indexing as reference

PICKS = np.array([2, 0, 3])
TWICE = np.array([3, 1, 1, 1, 3])
GRID = np.array([[0, 1, 1, 0], [2, 0, 1, 1], [0, 0, 0, 0]])
MASK = np.array([[True, False, True, True], [False] * 4, [False, True, False, False]])


def there(array: np.ndarray, like: gs.Tensor) -> gs.Tensor:
    return gs.tensor(array, device=like.device)


def writes(
    name: str,
    call: Any,
    definition: Any,
    *shapes: tuple[int, ...],
    depth: int = 0,
) -> Case:
    """A case that writes a tensor into the first one; with a depth it adds or multiplies too."""
    return Case(
        name,
        call,
        definition,
        lambda rng: tuple(rng.standard_normal(shape) for shape in shapes),
        tolerance="reduce" if depth else "exact",
        depth=max(depth, 1),
        dtypes=("float32", "float64") if depth else ("float32", "float64", "bfloat16", "float16"),
    )


def reduces(how: str, include_self: bool) -> list[Case]:
    options = (how, include_self)
    cases = [
        writes(
            f"scatter_reduce-{how}-{include_self}",
            lambda x, src, o=options: gs.scatter_reduce(
                x, 0, there(GRID, x), src, o[0], include_self=o[1]
            ),
            lambda x, src, o=options: reference.scatter_reduce(x, 0, GRID, src, *o),
            *((3, 5), (3, 4)),
            depth=8,
        )
    ]
    if how != "sum":
        cases.append(
            writes(
                f"index_reduce-{how}-{include_self}",
                lambda x, src, o=options: gs.index_reduce(
                    x, 1, there(TWICE, x), src, o[0], include_self=o[1]
                ),
                lambda x, src, o=options: reference.index_reduce(x, 1, TWICE, src, *o),
                *((2, 4, 3), (2, 5, 3)),
                depth=8,
            )
        )
    return cases


CASES = [
    writes(
        "index_put",
        lambda x, v: gs.index_put(x, (there(PICKS, x), None, there(PICKS, x)), v),
        lambda x, v: reference.index_put(x, (PICKS, slice(None), PICKS), v),
        *((4, 2, 4), (3, 2)),
    ),
    writes(
        "index_put-mask",
        lambda x, v: gs.index_put(x, (there(MASK, x),), v),
        lambda x, v: reference.index_put(x, MASK, v),
        *((3, 4), (4,)),
    ),
    writes(
        "index_put-accumulate",
        lambda x, v: gs.index_put(x, (there(TWICE, x),), v, accumulate=True),
        lambda x, v: reference.index_put(x, TWICE, v, accumulate=True),
        *((4, 2), (1, 2)),
        depth=4,
    ),
    writes(
        "put",
        lambda x, v: gs.put(x, there(GRID[1:2, :3], x), v),
        lambda x, v: reference.index_put(x.reshape(-1), GRID[1, :3], v).reshape(x.shape),
        *((3, 4), (3,)),
    ),
    writes(
        "put-accumulate",
        lambda x, v: gs.put(x, there(GRID, x), v, accumulate=True),
        lambda x, v: reference.index_put(
            x.reshape(-1), GRID.reshape(-1), v.reshape(-1), accumulate=True
        ).reshape(x.shape),
        *((3, 4), (4, 3)),
        depth=8,
    ),
    writes(
        "index_fill",
        lambda x, v: gs.index_fill(x, 1, there(TWICE, x), v),
        lambda x, v: reference.index_put(x, (slice(None), TWICE), v),
        *((3, 4), ()),
    ),
    writes(
        "index_copy",
        lambda x, v: gs.index_copy(x, -1, there(PICKS, x), v),
        lambda x, v: reference.index_put(x, (slice(None), PICKS), v),
        *((3, 4), (3, 3)),
    ),
    writes(
        "masked_scatter",
        lambda x, v: gs.masked_scatter(x, there(MASK, x), v),
        lambda x, v: reference.masked_scatter(x, MASK, v),
        *((3, 4), (2, 3)),
    ),
    writes(
        "select_scatter",
        lambda x, v: gs.select_scatter(x, v, 1, -2),
        lambda x, v: reference.index_put(x, (slice(None), -2), v),
        *((3, 4), (3,)),
    ),
    writes(
        "slice_scatter",
        lambda x, v: gs.slice_scatter(x, v, 1, 1, None, 2),
        lambda x, v: reference.index_put(x, (slice(None), slice(1, None, 2)), v),
        *((3, 4), (3, 2)),
    ),
    writes(
        "scatter-add",
        lambda x, v: gs.scatter(x, 0, there(GRID, x), v, reduce="add"),
        lambda x, v: reference.scatter_add(x, 0, GRID, v),
        *((3, 5), (3, 4)),
        depth=8,
    ),
    writes(
        "scatter-multiply",
        lambda x: gs.scatter(x, 0, there(GRID, x), 1.5, reduce="multiply"),
        lambda x: reference.scatter_reduce(x, 0, GRID, np.full(GRID.shape, 1.5), "prod"),
        (3, 5),
        depth=8,
    ),
    *(
        each
        for how in ("sum", "prod", "mean", "amax", "amin")
        for include_self in (True, False)
        for each in reduces(how, include_self)
    ),
]


class TestCases(CaseTests):
    pass


def test_ties_share_the_gradient() -> None:
    x = gs.zeros(2, requires_grad=True)
    src = gs.zeros(3, requires_grad=True)
    out = gs.scatter_reduce(x, 0, gs.tensor([0, 0, 0]), src, "amax")
    out[0].backward()
    assert x.grad is not None
    assert src.grad is not None
    assert x.grad.tolist() == [0.25, 0.0]
    assert src.grad.tolist() == [0.25] * 3


def test_reductions_of_integers_and_zeros() -> None:
    n = gs.tensor([7, -7, 5])
    ids = gs.tensor([0, 1, 1, 0])
    assert gs.scatter_reduce(n, 0, ids, gs.tensor([2, 3, 4, 4]), "mean").tolist() == [4, 0, 5]
    assert gs.index_reduce(n, 0, ids[:2], n[:2], "prod", include_self=False).tolist() == [7, -7, 5]
    x = gs.zeros(1, dtype=gs.float64, requires_grad=True)
    src = gs.tensor([2.0, 0.0, 3.0], dtype=gs.float64, requires_grad=True)
    assert gradcheck(
        lambda x, src: gs.scatter_reduce(x, 0, gs.tensor([0, 0, 0]), src, "prod"), (x, src)
    )


def test_infinities_stay_where_they_are() -> None:
    src = gs.tensor([np.inf, 2.0, 3.0, 4.0], requires_grad=True)
    ids = gs.tensor([0, 1, 1, 1])
    out = gs.scatter_reduce(gs.ones(3), 0, ids, src, "prod")
    assert out.tolist() == [np.inf, 24.0, 1.0]
    out[:2].sum().backward()
    assert src.grad is not None
    assert src.grad.tolist() == [1.0, 12.0, 8.0, 6.0]


def test_empty_and_0d() -> None:
    none = gs.tensor([], dtype=gs.int64)
    x = gs.ones(2, 3)
    for out in (
        gs.index_fill(x, 1, none, 5.0),
        gs.index_copy(x, 0, none, gs.ones(0, 3)),
        gs.index_reduce(x, 0, none, gs.ones(0, 3), "amax"),
        gs.scatter_reduce(x, 0, none.reshape(0, 0), x, "prod", include_self=False),
        gs.masked_scatter(x, gs.zeros(2, 3).bool(), gs.ones(0)),
        gs.index_put(x, (none,), gs.ones(0, 3), accumulate=True),
    ):
        assert out.tolist() == x.tolist()
    o, zero = gs.tensor(2.0), gs.tensor([0])
    assert gs.index_fill(o, 0, zero, 5).item() == 5
    assert gs.index_copy(o, 0, zero, gs.tensor(3.0)).item() == 3
    assert gs.index_reduce(o, 0, zero, gs.tensor(3.0), "prod").item() == 6
    assert gs.argwhere(o).shape == (1, 0)


IDS = gs.tensor([0, 2])
IN_PLACE: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "index_put_": (((IDS,), gs.ones(2, 3)), {}),
    "put_": ((IDS, gs.ones(2)), {"accumulate": True}),
    "index_fill_": ((0, IDS, 7.0), {}),
    "index_copy_": ((0, IDS, gs.ones(2, 3)), {}),
    "masked_scatter_": ((gs.eye(3).bool(), gs.ones(3)), {}),
    "scatter_reduce_": ((0, gs.tensor([[1, 1, 1]]), gs.ones(3, 3), "sum"), {"include_self": False}),
    "index_reduce_": ((0, IDS, gs.ones(2, 3), "amin"), {}),
    "scatter_": ((0, gs.tensor([[1, 1, 1]]), 2.0), {"reduce": "multiply"}),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name: str) -> None:
    """The change equals the function, is counted, and has the function's gradient."""
    args, options = IN_PLACE[name]
    leaf = gs.tensor(np.arange(9.0).reshape(3, 3).astype(np.float32), requires_grad=True)
    expected = getattr(leaf * 2, name.removesuffix("_"))(*args, **options)
    x = leaf * 2
    before = x._shared_version().number
    assert getattr(x, name)(*args, **options) is x
    assert x._shared_version().number > before
    assert x.tolist() == expected.tolist()
    seed = gs.arange(9.0).reshape(3, 3)
    (got,) = gs.autograd.grad(x, leaf, seed)
    (want,) = gs.autograd.grad(expected, leaf, seed)
    assert got.tolist() == want.tolist()
    with pytest.raises(RuntimeError, match=f"{name}: the tensor is a leaf that requires"):
        getattr(leaf, name)(*args, **options)


def test_index_put_in_place_accumulates() -> None:
    x = gs.zeros(3)
    x.index_put_((gs.tensor([1, 1]),), gs.tensor([2.0, 3.0]), accumulate=True)
    assert x.tolist() == [0.0, 5.0, 0.0]


X, GIVEN = gs.ones(3, 4), gs.zeros(1, 4, dtype=gs.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.index_put(X, IDS, X), TypeError, "index_put: indices is a Tensor"),
        (lambda: gs.index_put(X, (IDS + 2,), X[:2]), IndexError, "index_put: "),
        (lambda: gs.index_put(X, (IDS,), X.double()), TypeError, "index_put: values is float64"),
        (lambda: gs.index_put(X, (IDS,), gs.ones(3)), ValueError, "index_put: "),
        (lambda: gs.index_put(X, (IDS,), gs.ones(3), True), ValueError, "index_put: "),
        (lambda: gs.put(X, IDS, gs.ones(3)), ValueError, "put: source has 3 elements"),
        (lambda: gs.put(X, IDS + 11, gs.ones(2)), IndexError, "put: "),
        (lambda: gs.index_fill(X, 1, IDS + 2, 1.0), IndexError, "index_fill: "),
        (lambda: gs.index_fill(X, 1, IDS, X), ValueError, "index_fill: value has shape"),
        (lambda: gs.index_fill(X, 1, IDS, "a"), TypeError, "index_fill: value is a str"),
        (lambda: gs.index_fill(X, 1, X.long(), 1), ValueError, "index_fill: index has shape"),
        (lambda: gs.index_copy(X, 2, IDS, X), IndexError, "index_copy: dim 2"),
        (lambda: gs.index_copy(X, 0, -IDS, X[:2]), IndexError, "index_copy: index goes from -2"),
        (lambda: gs.index_copy(X, 0, IDS, X), ValueError, "index_copy: source has shape"),
        (lambda: gs.masked_scatter(X, X, X), TypeError, "masked_scatter: mask is float32"),
        (lambda: gs.masked_scatter(X, X > 0, X[0]), ValueError, "source has 4 elements"),
        (lambda: gs.masked_scatter(X, gs.ones(5) > 0, X), ValueError, "do not broadcast"),
        (lambda: gs.select_scatter(X, X, 0, 1), ValueError, "select_scatter: src has shape"),
        (lambda: gs.select_scatter(X, X[0], 0, 3), IndexError, "select_scatter: "),
        (lambda: gs.slice_scatter(X, X, 0, 1), ValueError, "slice_scatter: src has shape"),
        (lambda: gs.slice_scatter(X, X.double()), TypeError, "slice_scatter: src is float64"),
        (lambda: gs.scatter(X, 0, GIVEN, 1.0, reduce="max"), ValueError, "scatter: reduce is"),
        (lambda: gs.scatter_reduce(X, 0, GIVEN, X, "max"), ValueError, "reduce is 'max'"),
        (lambda: gs.scatter_reduce(X, 0, GIVEN + 3, X, "prod"), IndexError, "scatter_reduce: "),
        (lambda: gs.scatter_reduce(X, 0, GIVEN, 1.0, "sum"), TypeError, "src is a float"),
        (lambda: gs.index_reduce(X, 0, IDS, X, "amax"), ValueError, "index_reduce: source has"),
        (lambda: gs.index_reduce(X, 0, IDS, X[:2], "sum"), ValueError, "reduce is 'sum'"),
        (lambda: gs.index_reduce(X, 0, IDS + 1, X[:2], "mean"), IndexError, "index_reduce: "),
        (lambda: gs.unravel_index(IDS, (2, 1)), ValueError, "unravel_index: "),
        (lambda: gs.unravel_index(X, (12,)), TypeError, "unravel_index: indices is float32"),
        (lambda: gs.gather(X, 0, GIVEN, sparse_grad=True), ValueError, "gather: sparse_grad"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
