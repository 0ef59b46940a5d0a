# SPDX-License-Identifier: Apache-2.0
"""Views, rearrangements, joining and splitting: values, gradients, and who shares memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.backend import is_channels_last
from gradsmith.ops.shape_copy import pad
from tests.cases import Case, CaseTests


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def moved(name: str, call: Any, definition: Any, *shapes: tuple[int, ...]) -> Case:
    """A case that only moves elements, of one tensor (2, 3, 4) by default."""
    make_inputs = normal(*(shapes or ((2, 3, 4),)))
    return Case(name, call, definition, make_inputs, tolerance="exact")


def padded(mode: str, amounts: tuple[int, ...], numpy_mode: str) -> Case:
    pairs = [(0, 0)] * (3 - len(amounts) // 2)
    pairs += [amounts[i : i + 2] for i in range(len(amounts) - 2, -1, -2)]
    return moved(
        f"pad-{mode}-{amounts}",
        lambda x: pad(x, amounts, mode),
        lambda x: np.pad(x, pairs, numpy_mode),  # type: ignore[call-overload]
    )


CASES = [
    moved("reshape", lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1)),
    moved("permute", lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    moved("transpose", lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, -1)),
    moved("T", lambda x: x.T, lambda x: x.T),
    moved("mT", lambda x: x.mT, lambda x: x.swapaxes(-1, -2)),
    moved(
        "expand",
        lambda x: x.expand(2, 3, -1),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        (3, 4),
    ),
    moved("expand-1", lambda x: x.expand(3, 4), lambda x: np.broadcast_to(x, (3, 4)), (3, 1)),
    moved("unsqueeze", lambda x: x.unsqueeze(-2), lambda x: np.expand_dims(x, -2)),
    moved("squeeze", lambda x: x.squeeze(1), lambda x: x[:, 0], (2, 1, 3)),
    moved("flatten", lambda x: x.flatten(1), lambda x: x.reshape(2, 12)),
    moved("unflatten", lambda x: x.unflatten(-1, (2, -1)), lambda x: x.reshape(2, 3, 2, 2)),
    moved(
        "movedim",
        lambda x: x.movedim((0, 1), (2, 0)),
        lambda x: np.moveaxis(x, (0, 1), (2, 0)),
    ),
    moved("flip", lambda x: x.flip((0, 2)), lambda x: np.flip(x, (0, 2))),
    moved("roll", lambda x: x.roll((1, -2), (0, 2)), lambda x: np.roll(x, (1, -2), (0, 2))),
    moved("roll-flat", lambda x: x.roll(5), lambda x: np.roll(x, 5)),
    *(
        moved(
            f"rot90-{k}",
            lambda x, k=k: x.rot90(k, (0, 2)),
            lambda x, k=k: np.rot90(x, k, (0, 2)),
        )
        for k in (-1, 0, 1, 2)
    ),
    moved("repeat", lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3)), (2, 3)),
    moved("tile", lambda x: x.tile(2), lambda x: np.tile(x, 2)),
    moved(
        "repeat_interleave",
        lambda x: x.repeat_interleave(2, 1),
        lambda x: np.repeat(x, 2, 1),
    ),
    moved(
        "repeat_interleave-each",
        lambda x: x.repeat_interleave(gs.tensor([0, 2, 1]), 1),
        lambda x: np.repeat(x, [0, 2, 1], 1),
    ),
    padded("constant", (1, 2), "constant"),
    padded("constant", (1, 2, 0, 1), "constant"),
    padded("reflect", (2, 1, 1, 2), "reflect"),
    padded("replicate", (2, 5, 1, 0), "edge"),
    padded("circular", (2, 1, 3, 0), "wrap"),
    moved("pad-negative", lambda x: pad(x, (-1, -1, 1, -1)), lambda x: _cropped(x)),
    moved("narrow", lambda x: x.narrow(1, 1, 2), lambda x: x[:, 1:3]),
    moved("select", lambda x: x.select(-1, -2), lambda x: x[..., -2]),
    moved("split", lambda x: x.split(2, 1), lambda x: (x[:, :2], x[:, 2:])),
    moved(
        "split-sections",
        lambda x: x.split([1, 0, 3], 2),
        lambda x: (x[..., :1], x[..., 1:1], x[..., 1:]),
    ),
    moved("chunk", lambda x: x.chunk(2, 2), lambda x: (x[..., :2], x[..., 2:])),
    moved("unbind", lambda x: x.unbind(1), lambda x: tuple(x[:, i] for i in range(3))),
    moved(
        "cat",
        lambda a, b: gs.cat((a, b, a), -1),
        lambda a, b: np.concatenate((a, b, a), -1),
        *((2, 3), (2, 4)),
    ),
    moved(
        "stack",
        lambda a, b: gs.stack((a, b), 1),
        lambda a, b: np.stack((a, b), 1),
        *((2, 3), (2, 3)),
    ),
    moved("hstack", lambda *x: gs.hstack(x), lambda *x: np.hstack(x), (2, 3), (2, 1)),
    moved("vstack", lambda *x: gs.vstack(x), lambda *x: np.vstack(x), (3,), (2, 3)),
    moved("meshgrid", gs.meshgrid, lambda *x: np.meshgrid(*x, indexing="ij"), (3,), (4,)),
    moved(
        "meshgrid-xy",
        lambda *x: gs.meshgrid(*x, indexing="xy"),
        lambda *x: np.meshgrid(*x, indexing="xy"),
        *((3,), (4,), (2,)),
    ),
    moved(
        "broadcast_tensors",
        gs.broadcast_tensors,
        lambda *x: np.broadcast_arrays(*x),
        *((3, 1), (1, 4)),
    ),
]


def _cropped(x: np.ndarray) -> np.ndarray:
    return np.concatenate((np.zeros((2, 1, 2)), x[:, :2, 1:3]), 1)


class TestCases(CaseTests):
    pass


def test_views_share_memory() -> None:
    x = gs.zeros(2, 3, 4)
    views = [
        *(x.reshape(6, 4), x.view(24), x.permute(2, 0, 1), x.T, x.unsqueeze(0), x.flatten()),
        *(x.narrow(2, 1, 2), x.select(0, 1), *x.split(2, 1), *x.unbind(0), x.expand(5, 2, 3, 4)),
        *(gs.diagonal(x), x[1:], x[:, None]),
    ]
    x.fill_(1.0)
    for view in views:
        assert view.numpy().min() == 1.0
        assert view._version is x._version


def test_reshape_copies_only_where_it_must() -> None:
    x = gs.zeros(3, 4)
    assert x.reshape(12).data_ptr() == x.data_ptr()
    assert x.T.reshape(12).data_ptr() != x.data_ptr()
    with pytest.raises(ValueError, match="view: a tensor of shape"):
        x.T.view(12)
    assert x.T.view(2, 2, 3).shape == (2, 2, 3)


def test_a_change_of_the_base_is_noticed_through_its_views() -> None:
    x = gs.ones(4, requires_grad=True)
    base = x * 2
    piece = base[1:]
    product = piece * piece
    base.detach().fill_(0.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        product.sum().backward()


def test_unused_pieces_have_a_zero_gradient() -> None:
    x = gs.ones(6, requires_grad=True)
    (x.chunk(3)[1] * 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0, 2.0, 2.0, 0.0, 0.0]


def test_chunk_and_split_sizes() -> None:
    x = gs.arange(7)
    assert [len(each) for each in x.chunk(3)] == [3, 3, 1]
    assert [len(each) for each in x.split(3)] == [3, 3, 1]
    assert [len(each) for each in gs.zeros(2).chunk(5)] == [1, 1]
    assert [each.shape for each in gs.zeros(0, 2).split(4)] == [(0, 2)]
    assert gs.zeros(0, 2).unbind(0) == ()


def test_joining_promotes_and_takes_empty_tensors() -> None:
    assert gs.cat((gs.ones(2), gs.zeros(0))).tolist() == [1.0, 1.0]
    assert gs.stack((gs.tensor(1), gs.tensor(2.5))).tolist() == [1.0, 2.5]
    assert gs.cat([gs.tensor([True]), gs.tensor([2])]).dtype == gs.int64


def test_padding_values_and_dtypes() -> None:
    assert pad(gs.tensor([1, 2]), (1, 0), value=7).tolist() == [7, 1, 2]
    assert pad(gs.tensor([True]), (0, 1)).tolist() == [True, False]
    assert pad(gs.ones(1, 1), (0, 0)).tolist() == [[1.0]]


def test_other_names_and_ranks() -> None:
    x = gs.arange(6).reshape(2, 3)
    assert gs.swapaxes(x, 0, 1).shape == gs.moveaxis(x, 0, 1).shape == (3, 2)
    assert gs.swapdims(x, 0, 1).tolist() == gs.swapaxes(x, 0, 1).tolist()
    assert x.t().shape == (3, 2)
    assert gs.atleast_1d(gs.tensor(1)).shape == (1,)
    assert gs.atleast_2d(gs.ones(3)).shape == (1, 3)
    assert gs.atleast_3d(gs.ones(3)).shape == (1, 3, 1)
    assert gs.ones(3, 1).expand_as(x.T).shape == (3, 2)
    assert x.view_as(gs.ones(6)).shape == x.reshape_as(gs.ones(6)).shape == (6,)
    assert gs.broadcast_to(gs.ones(3), (2, 3)).shape == (2, 3)
    assert gs.tensor(3.0).flip(()).item() == 3.0
    assert gs.tensor(3.0).squeeze().unsqueeze(0).shape == (1,)


ONES = gs.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ONES.reshape(4, 2), ValueError, "reshape: a tensor of shape"),
        (lambda: ONES.reshape(-1, 4), ValueError, "reshape"),
        (lambda: ONES.reshape("a"), TypeError, "reshape: size"),
        (lambda: gs.reshape([1, 2], (2,)), TypeError, "reshape: input is a list"),
        (lambda: ONES.permute(0, 0), ValueError, "permute"),
        (lambda: ONES.permute(0, 2), IndexError, "permute: dim 2"),
        (lambda: ONES.transpose(0, 2), IndexError, "transpose: dim 2"),
        (lambda: ONES.expand(4, 3), ValueError, "expand: shape"),
        (lambda: ONES.expand(-1, 2, 3), ValueError, "expand"),
        (lambda: ONES.flatten(1, 0), ValueError, "flatten: start_dim"),
        (lambda: ONES.unflatten(1, (2, -1)), ValueError, "unflatten: dim 1"),
        (lambda: ONES.flip((0, 0)), ValueError, "flip"),
        (lambda: ONES.flip(2), IndexError, "flip: dim 2"),
        (lambda: ONES.split(0), ValueError, "split: split_size is 0"),
        (lambda: ONES.split([1, 2], 0), ValueError, "split: sections"),
        (lambda: ONES.chunk(0), ValueError, "chunk: chunks is 0"),
        (lambda: gs.tensor(1.0).unbind(), ValueError, "unbind"),
        (lambda: ONES.narrow(0, 1, 2), IndexError, "narrow: start 1"),
        (lambda: ONES.select(0, 2), IndexError, "select: index 2"),
        (lambda: ONES.repeat(2), ValueError, "repeat: repeats is"),
        (lambda: ONES.repeat(2, -1), ValueError, "repeat"),
        (lambda: ONES.repeat_interleave(-1), ValueError, "repeat_interleave"),
        (lambda: ONES.repeat_interleave([1, 2], 1), ValueError, "repeat_interleave: repeats has"),
        (lambda: ONES.roll((1, 2), 0), ValueError, "roll: 2 shifts"),
        (lambda: ONES.rot90(1, (0, 0)), ValueError, "rot90: dims"),
        (lambda: ONES.movedim((0, 1), (0,)), ValueError, "movedim: source"),
        (lambda: pad(ONES, (1,)), ValueError, "pad: pad has 1 numbers"),
        (lambda: pad(ONES, (1,) * 6), ValueError, "pad: pad has 6 numbers"),
        (lambda: pad(ONES, (3, 0), "reflect"), ValueError, "pad: 3 and 0"),
        (lambda: pad(ONES, (4, 0), "circular"), ValueError, "pad: 4 and 0"),
        (lambda: pad(ONES, (-2, -2)), ValueError, "leave dim 1"),
        (lambda: pad(ONES, (1, 1), "mirror"), ValueError, "pad: mode is 'mirror'"),
        (lambda: gs.cat([]), ValueError, "cat: got no tensors"),
        (lambda: gs.cat([ONES, gs.ones(2, 4)]), ValueError, r"cat: tensors\[1\] has shape"),
        (lambda: gs.cat([ONES, 1.0]), TypeError, r"cat: tensors\[1\] is a float"),
        (lambda: gs.cat([gs.tensor(1.0)]), ValueError, "cat"),
        (lambda: gs.stack([ONES, gs.ones(2)]), ValueError, r"stack: tensors\[1\]"),
        (lambda: gs.stack([ONES], 4), IndexError, "stack: dim 4"),
        (lambda: gs.meshgrid(ONES), ValueError, "meshgrid"),
        (lambda: gs.broadcast_tensors(ONES, gs.ones(4)), ValueError, "broadcast_tensors"),
        (lambda: gs.ones(2).mT, ValueError, "mT: got shape"),
        (lambda: gs.ones(1, 1, 1).t(), ValueError, "t: got shape"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- channels-last: an order of memory that convolutions choose by themselves --------------------


def channels_last(shape: tuple[int, ...]) -> gs.Tensor:
    n, c, *spatial = shape
    values = np.random.default_rng(0).standard_normal((n, *spatial, c)).astype(np.float32)
    return gs.from_numpy(np.moveaxis(values, -1, 1))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (2, 3, 2, 4, 5), (8, 64, 32, 32)])
def test_elementwise_ops_keep_channels_last(shape: tuple[int, ...]) -> None:
    x = channels_last(shape)
    plain = gs.from_numpy(np.ascontiguousarray(x.numpy()))
    bias = gs.randn(shape[1], *(1 for _ in shape[2:]))
    results = {
        "unary": (x.exp(), plain.exp()),
        "number": (x + 1, plain + 1),
        "broadcast": (bias + x, bias + plain),
        "mixed": (x + plain, plain + plain),
        "where": (gs.where(x > 0, x, 0.0), gs.where(plain > 0, plain, 0.0)),
        "convert": (x.double(), plain.double()),
        "clone": (x.clone(), plain),
    }
    for name, (result, expected) in results.items():
        assert result.stride() == x.stride(), name
        assert np.array_equal(result.numpy(), expected.numpy()), name
    assert x.contiguous().is_contiguous()
    assert np.array_equal(x.contiguous().numpy(), plain.numpy())


def test_view_of_channels_last_copies_where_strides_allow_none() -> None:
    x = channels_last((2, 3, 4, 5)).requires_grad_()
    rows = x.view(2, -1)
    assert np.array_equal(rows.detach().numpy(), x.detach().numpy().reshape(2, -1))
    (rows * gs.arange(60.0)).sum().backward()
    assert x.grad is not None
    assert np.array_equal(
        x.grad.numpy(), np.tile(np.arange(60.0).reshape(1, 3, 4, 5), (2, 1, 1, 1))
    )
    with pytest.raises(ValueError, match="cannot be viewed"):
        gs.randn(3, 4).T.view(12)


def test_gradient_of_a_reshaped_channels_last_tensor_lies_as_it_does() -> None:
    x = channels_last((2, 5, 3, 4)).requires_grad_()
    y = x * 1
    seen: list[gs.Tensor] = []
    y.register_hook(seen.append)
    (y.reshape(2, -1) * gs.arange(120.0).reshape(2, 60)).sum().backward()
    assert is_channels_last(seen[0].numpy())
    assert np.array_equal(seen[0].numpy(), np.arange(120.0).reshape(2, 5, 3, 4))


def test_derivatives_of_a_reshaped_channels_last_tensor() -> None:
    def cubed_rows(x: gs.Tensor) -> gs.Tensor:
        last = gs.from_numpy(np.zeros((2, 2, 3, 4)).transpose(0, 3, 1, 2))
        lying = last + x  # in the order of the first operand
        assert is_channels_last(lying.detach().numpy())
        return lying.reshape(2, -1) ** 3

    x = gs.randn(2, 4, 2, 3, dtype=gs.float64).requires_grad_()
    assert gs.autograd.gradcheck(cubed_rows, (x,))
    assert gs.autograd.gradgradcheck(cubed_rows, (x,))
