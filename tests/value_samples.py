# SPDX-License-Identifier: Apache-2.0
"""Calls of functions that no Case has, and what NumPy or Python gives for the same."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.gradient_samples import normal
from tests.reference import random as reference

# The call, and what it gives, in arrays and plain Python.
Value = tuple[Callable[[], Any], Any]
A, B = normal(2, 3), normal(2, 3, seed=1)
A[0, 1] = B[0, 1]
TALL = normal(4, 2, seed=3)
ODD = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, 2.5])
M, N = np.array([[4, 0, 6], [3, 9, 1]]), np.array([[2, 5, 3], [1, 0, 2]])
P, Q = M > 3, N > 1


def of(function: Callable[..., Any], *arrays: Any) -> Any:
    """Return the function of the arrays as tensors."""
    return function(*(gs.tensor(each) if isinstance(each, np.ndarray) else each for each in arrays))


def changed(name: str, *arrays: Any) -> Callable[[], gs.Tensor]:
    """Return the call that changes the first array, as a tensor, in place by the others."""

    def call() -> gs.Tensor:
        target = gs.tensor(arrays[0])
        assert of(getattr(gs.Tensor, name), target, *arrays[1:]) is target
        return target

    return call


def _same(names: str, *arrays: Any, own: str = "") -> dict[str, Value]:
    """Return rows of functions that NumPy has by the same name, or by ``own``."""
    return {
        f"gs.{name}": (
            lambda name=name: of(getattr(gs, name), *arrays),
            getattr(np, own or name)(*arrays),
        )
        for name in names.split()
    }


def _refused(call: Callable[[], Any], error: type[Exception]) -> str:
    with pytest.raises(error, match=r"\w") as caught:
        call()
    return caught.type.__name__


def _gathered(x: gs.Tensor) -> float | None:
    (x * 3).sum().backward()
    return x.grad.sum().item() if x.grad is not None else None


def _drawn(draw: Callable[..., gs.Tensor]) -> Callable[[], gs.Tensor]:
    def call() -> gs.Tensor:
        gs.manual_seed(5)
        return draw(2, 3, dtype=gs.float64)

    return call


def _made(call: Callable[[gs.Tensor], Any]) -> Callable[[], Any]:
    return lambda: call(gs.tensor(A))


LOGIC: dict[str, Value] = {
    **_same("all any count_nonzero logical_not argwhere", P),
    **_same("argmax argmin argsort", A[0]),
    **_same("isfinite isinf isnan isneginf isposinf isreal signbit nan_to_num", ODD),
    **_same("greater less", A, B),
    **_same("equal", A, B, own="array_equal"),
    **_same("allclose isclose isin", A, B),
    **_same("logical_and logical_or logical_xor", P, Q),
    "gs.eq": (lambda: of(gs.eq, A, B), A == B),
    "gs.ne": (lambda: of(gs.ne, A, B), A != B),
    "gs.ge": (lambda: of(gs.ge, A, B), A >= B),
    "gs.le": (lambda: of(gs.le, A, B), A <= B),
    "gs.nonzero": (lambda: gs.nonzero(gs.tensor(P)), np.argwhere(P)),
    "Tensor.__eq__": (lambda: gs.tensor(A) == gs.tensor(B), A == B),
    "Tensor.__ne__": (lambda: gs.tensor(A) != gs.tensor(B), A != B),
    **{
        f"Tensor.{name}_": (changed(f"{name}_", P, Q), getattr(np, name)(P, Q))
        for name in ("logical_and", "logical_or", "logical_xor")
    },
    "Tensor.logical_not_": (changed("logical_not_", P), ~P),
    **{
        f"Tensor.{name}_": (changed(f"{name}_", M, N), getattr(np, own)(M, N))
        for name, own in (
            *(("bitwise_and", "bitwise_and"), ("bitwise_or", "bitwise_or")),
            *(("bitwise_xor", "bitwise_xor"), ("bitwise_left_shift", "left_shift")),
            *(("bitwise_right_shift", "right_shift"), ("gcd", "gcd"), ("lcm", "lcm")),
        )
    },
    "Tensor.bitwise_not_": (changed("bitwise_not_", M), ~M),
    "Tensor.heaviside_": (changed("heaviside_", A, B), np.heaviside(A, B)),
    "Tensor.nextafter_": (changed("nextafter_", A, B), np.nextafter(A, B)),
    "gs.nextafter": (lambda: of(gs.nextafter, A, B), np.nextafter(A, B)),
    "Tensor.__rlshift__": (lambda: 5 << gs.tensor(N), 5 << N),
    "Tensor.__rrshift__": (lambda: 500 >> gs.tensor(N), 500 >> N),
    "Tensor.__rfloordiv__": (lambda: 2.5 // gs.tensor(A), 2.5 // A),
    "Tensor.__rmod__": (lambda: 2.5 % gs.tensor(A), 2.5 % A),
    "Tensor.__rpow__": (lambda: 2.5 ** gs.tensor(A), 2.5**A),
    "Tensor.__rtruediv__": (lambda: 2.5 / gs.tensor(A), 2.5 / A),
    "Tensor.__rmatmul__": (lambda: TALL @ gs.tensor(A), TALL @ A),
    "Tensor.__pos__": (lambda: +gs.tensor(A), A),
    "gs.positive": (lambda: gs.positive(gs.tensor(A)), A),
    "gs.rsub": (lambda: of(gs.rsub, A, B), B - A),
    "gs.mm": (lambda: of(gs.mm, TALL, A), TALL @ A),
}

MAKING: dict[str, Value] = {
    **_same("arange", 1.0, 3.0, 0.5),
    **_same("linspace", -1.0, 2.0, 7),
    **_same("ones_like zeros_like", A),
    **_same("atleast_1d atleast_2d atleast_3d", A[0]),
    **_same("broadcast_to", A, (4, 2, 3)),
    **_same("swapaxes", A, 0, 1),
    **_same("bincount", M[0]),
    **_same("unique", M.ravel()),
    "gs.histogram": (
        lambda: gs.histogram(gs.tensor(A.ravel()), 4),
        (np.histogram(A, 4)[0] * 1.0, np.histogram(A, 4)[1]),
    ),
    **_same("searchsorted", np.sort(A[0]), B),
    "gs.tril_indices": (lambda: gs.tril_indices(3, 4), np.array(np.tril_indices(3, m=4))),
    "gs.triu_indices": (lambda: gs.triu_indices(3, 4, 1), np.array(np.triu_indices(3, 1, 4))),
    "gs.unravel_index": (
        lambda: gs.unravel_index(gs.tensor(M), (3, 4)),
        np.unravel_index(M, (3, 4)),
    ),
    "gs.bucketize": (lambda: of(gs.bucketize, B, np.sort(A[0])), np.searchsorted(np.sort(A[0]), B)),
    "gs.histc": (lambda: gs.histc(gs.tensor(A), 5, -1, 1), np.histogram(A, 5, (-1, 1))[0] * 1.0),
    "gs.unique_consecutive": (
        lambda: gs.unique_consecutive(gs.tensor([1, 1, 2, 1, 3, 3])),
        np.array([1, 2, 1, 3]),
    ),
    "gs.block_diag": (
        lambda: of(gs.block_diag, A, TALL[:1]),
        np.block([[A, np.zeros((2, 2))], [np.zeros((1, 3)), TALL[:1]]]),
    ),
    "gs.rand": (_drawn(gs.rand), reference.uniform(5, 0, 6).reshape(2, 3)),
    "gs.randn": (_drawn(gs.randn), reference.normal(5, 0, 6).reshape(2, 3)),
    "gs.logspace": (lambda: gs.logspace(0, 3, 4), np.logspace(0, 3, 4)),
    "gs.ones": (lambda: gs.ones(2, 3), np.ones((2, 3))),
    "gs.zeros": (lambda: gs.zeros(2, 3), np.zeros((2, 3))),
    "gs.full": (lambda: gs.full((2, 3), 1.5), np.full((2, 3), 1.5)),
    "gs.full_like": (lambda: gs.full_like(gs.tensor(A), 1.5), np.full((2, 3), 1.5)),
    "gs.empty": (lambda: gs.empty(2, 3).shape, (2, 3)),
    "gs.empty_like": (lambda: gs.empty_like(gs.tensor(M)).shape, (2, 3)),
    "gs.as_tensor": (lambda: gs.as_tensor(A), A),
    "gs.asarray": (lambda: gs.asarray(A.tolist(), dtype=gs.float64), A),
    "gs.from_numpy": (lambda: gs.from_numpy(A), A),
    "gs.from_dlpack": (lambda: gs.from_dlpack(A.copy()), A),
    "gs.broadcast_shapes": (lambda: gs.broadcast_shapes((2, 1), 3), (2, 3)),
    "gs.t": (lambda: gs.t(gs.tensor(A)), A.T),
    "gs.std_mean": (lambda: gs.std_mean(gs.tensor(A), 1), (A.std(1, ddof=1), A.mean(1))),
    "gs.var_mean": (lambda: gs.var_mean(gs.tensor(A), 1), (A.var(1, ddof=1), A.mean(1))),
    "gs.linalg.norm": (lambda: gs.linalg.norm(gs.tensor(A), "nuc"), np.linalg.norm(A, "nuc")),
    "gs.linalg.vector_norm": (
        lambda: gs.linalg.vector_norm(gs.tensor(A), 3, dim=1),
        np.linalg.norm(A, 3, axis=1),
    ),
    "gs.linalg.matrix_rank": (
        lambda: gs.linalg.matrix_rank(gs.tensor(TALL @ TALL.T)),
        np.array(2),
    ),
    "gs.pinverse": (lambda: gs.pinverse(gs.tensor(TALL)), np.linalg.pinv(TALL)),
    "gs.qr": (
        lambda: [abs(each) for each in gs.qr(gs.tensor(TALL))],
        tuple(map(abs, np.linalg.qr(TALL))),
    ),
    "gs.svd": (lambda: gs.svd(gs.tensor(TALL)).S, np.linalg.svd(TALL)[1]),
    "F.one_hot": (lambda: F.one_hot(gs.tensor(N), 7), np.eye(7, dtype=int)[N]),
    "F.upsample": (lambda: F.upsample(gs.tensor(A[None]), 6), A[None].repeat(2, 2)),
    "F.half_sum_squared_error": (
        lambda: of(F.half_sum_squared_error, A, B),
        np.square(A - B).sum() / 2,
    ),
    "F.sum_squared_error": (lambda: of(F.sum_squared_error, A, B), np.square(A - B).sum()),
    "F.cycle_loss": (lambda: of(F.cycle_loss, A, B), abs(A - B).mean()),
    "F.identity_loss": (lambda: of(F.identity_loss, A, B), abs(A - B).mean()),
    "F.sparsity_l1": (lambda: F.sparsity_l1(gs.tensor(A)), abs(A).sum() / 2),
}

_LEAF = gs.tensor(A, requires_grad=True)
METHODS: dict[str, Value] = {
    "Tensor.H": (_made(lambda x: x.H), A.T),
    "Tensor.__array__": (_made(np.asarray), A),
    "Tensor.__bool__": (
        lambda: [bool(gs.tensor(each)) for each in (0.0, 0.5, math.nan)],
        [False, True, True],
    ),
    "Tensor.__contains__": (_made(lambda x: [A[1, 2] in x, 9.0 in x]), [True, False]),
    "Tensor.__copy__": (_made(copy.copy), A),
    "Tensor.__deepcopy__": (_made(copy.deepcopy), A),
    "Tensor.__cuda_array_interface__": (
        _made(lambda x: hasattr(x, "__cuda_array_interface__")),
        False,
    ),
    "Tensor.__dlpack__": (_made(np.from_dlpack), A),
    "Tensor.__dlpack_device__": (_made(lambda x: x.__dlpack_device__()), (1, 0)),
    "Tensor.__float__": (lambda: float(gs.tensor(A)[0, 0]), float(A[0, 0])),
    "Tensor.__format__": (lambda: f"{gs.tensor(2.5):8.3f}", f"{2.5:8.3f}"),
    "Tensor.__index__": (lambda: operator.index(gs.tensor(M)[0, 2]), 6),
    "Tensor.__int__": (lambda: int(gs.tensor(-2.7)), -2),
    "Tensor.__iter__": (_made(list), list(A)),
    "Tensor.__len__": (_made(len), 2),
    "Tensor.__reduce_ex__": (
        _made(lambda x: _refused(lambda: pickle.dumps(x), TypeError)),
        "TypeError",
    ),
    "Tensor.__repr__": (lambda: repr(gs.tensor([1.0, 2.5])), "tensor([1.0000, 2.5000])"),
    "Tensor.backward": (lambda: _gathered(gs.ones(2, requires_grad=True)), 6.0),
    "Tensor.bfloat16": (_made(lambda x: x.bfloat16()), A.astype(ml_dtypes.bfloat16)),
    "Tensor.half": (_made(lambda x: x.half()), A.astype(np.float16)),
    "Tensor.bool": (lambda: gs.tensor(M).bool(), M != 0),
    "Tensor.byte": (lambda: gs.tensor(M).byte(), M.astype(np.uint8)),
    "Tensor.copy_": (changed("copy_", A, B), B),
    "Tensor.cpu": (_made(lambda x: x.cpu()), A),
    "Tensor.data": (lambda: _LEAF.data, A),
    "Tensor.data_ptr": (_made(lambda x: x[1].data_ptr() - x.data_ptr()), 24),
    "Tensor.detach_": (lambda: (_LEAF * 2).detach_(), A * 2),
    "Tensor.dim": (_made(lambda x: x.dim()), 2),
    "Tensor.double": (lambda: gs.tensor(M).double(), M.astype(float)),
    "Tensor.element_size": (_made(lambda x: x.element_size()), 8),
    "Tensor.expand_as": (lambda: gs.tensor(A[:1]).expand_as(gs.ones(2, 3)), A[[0, 0]]),
    "Tensor.fill_": (changed("fill_", A, 1.5), np.full((2, 3), 1.5)),
    "Tensor.fill_diagonal_": (
        changed("fill_diagonal_", A, 9.0),
        np.where(np.eye(2, 3, dtype=bool), 9.0, A),
    ),
    "Tensor.float": (_made(lambda x: x.float()), A.astype(np.float32)),
    "Tensor.grad_fn": (lambda: [_LEAF.grad_fn, (_LEAF * 2).grad_fn is None], [None, False]),
    "Tensor.int": (lambda: gs.tensor(A * 9).int(), (A * 9).astype(np.int32)),
    "Tensor.is_contiguous": (
        _made(lambda x: [x.is_contiguous(), x.T.is_contiguous()]),
        [True, False],
    ),
    "Tensor.is_floating_point": (_made(lambda x: x.is_floating_point()), True),
    "Tensor.is_leaf": (lambda: [_LEAF.is_leaf, (_LEAF * 2).is_leaf], [True, False]),
    "Tensor.item": (lambda: gs.tensor(A)[1, 2].item(), float(A[1, 2])),
    "Tensor.itemsize": (_made(lambda x: x.itemsize), 8),
    "Tensor.long": (lambda: gs.tensor(A * 9).long(), (A * 9).astype(np.int64)),
    "Tensor.nbytes": (_made(lambda x: x.nbytes), 48),
    "Tensor.ndim": (_made(lambda x: x.ndim), 2),
    "Tensor.nelement": (_made(lambda x: x.nelement()), 6),
    "Tensor.new_empty": (_made(lambda x: x.new_empty(3).shape), (3,)),
    "Tensor.new_full": (_made(lambda x: x.new_full((2,), 1.5)), np.full(2, 1.5)),
    "Tensor.new_ones": (_made(lambda x: x.new_ones(2)), np.ones(2)),
    "Tensor.new_tensor": (_made(lambda x: x.new_tensor([1, 2])), np.array([1.0, 2.0])),
    "Tensor.new_zeros": (_made(lambda x: x.new_zeros(2)), np.zeros(2)),
    "Tensor.numpy": (_made(lambda x: x.numpy()), A),
    "Tensor.requires_grad_": (_made(lambda x: x.requires_grad_().requires_grad), True),
    "Tensor.reshape_as": (_made(lambda x: x.reshape_as(gs.ones(3, 2))), A.reshape(3, 2)),
    "Tensor.size": (_made(lambda x: [*x.size(), x.size(1)]), [2, 3, 3]),
    "Tensor.stride": (_made(lambda x: [*x.stride(), x.T.stride(0)]), [3, 1, 1]),
    "Tensor.sum_to_size": (_made(lambda x: x.sum_to_size(2, 1)), A.sum(1, keepdims=True)),
    "Tensor.tolist": (_made(lambda x: x.tolist()), A.tolist()),
    "Tensor.type": (lambda: gs.tensor(M).type("float64"), M.astype(float)),
    "Tensor.type_as": (lambda: gs.tensor(M).type_as(gs.tensor(A)), M.astype(float)),
    "Tensor.view": (_made(lambda x: x.view(3, -1)), A.reshape(3, 2)),
    "Tensor.view_as": (_made(lambda x: x.view_as(gs.ones(3, 2))), A.reshape(3, 2)),
    "Tensor.where": (lambda: gs.tensor(A).where(gs.tensor(P), gs.tensor(B)), np.where(P, A, B)),
    "Tensor.zero_": (changed("zero_", A), np.zeros((2, 3))),
    "gs.is_floating_point": (
        lambda: [gs.is_floating_point(gs.tensor(x)) for x in (A, M)],
        [True, False],
    ),
    "gs.is_tensor": (lambda: [gs.is_tensor(gs.ones(1)), gs.is_tensor(A)], [True, False]),
    "gs.numel": (lambda: gs.numel(gs.tensor(A)), 6),
    "gs.get_default_dtype": (gs.get_default_dtype, gs.float32),
    "gs.is_grad_enabled": (gs.is_grad_enabled, True),
    "gs.finfo": (lambda: gs.finfo(gs.float64).eps, np.finfo(np.float64).eps),
    "gs.iinfo": (lambda: gs.iinfo(gs.int32).max, 2**31 - 1),
    "gs.can_cast": (
        lambda: [gs.can_cast(gs.float64, gs.float32), gs.can_cast(gs.float32, gs.int64)],
        [True, False],
    ),
    "gs.promote_types": (lambda: gs.promote_types(gs.float32, gs.int64), gs.float32),
    "gs.result_type": (lambda: gs.result_type(gs.tensor(A), gs.tensor(M)), gs.float64),
}
VALUES = {**LOGIC, **MAKING, **METHODS}
