# SPDX-License-Identifier: Apache-2.0
"""The tensor as an object: what it tells, conversion, printing, methods and their declarations."""

from __future__ import annotations

import ast
import copy
import inspect
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.ops import methods
from gradsmith.tensor import Tensor

DECLARATIONS = sorted(Path(gs.__file__).resolve().parent.glob("tensor_methods*.pyi"))


def test_attributes() -> None:
    x = gs.zeros(2, 3, 4, dtype=gs.float64)
    assert (x.shape, x.ndim, x.dim(), x.numel()) == ((2, 3, 4), 3, 3, 24)
    assert (x.size(), x.size(-1), len(x)) == ((2, 3, 4), 4, 2)
    assert (x.stride(), x.is_contiguous(), x.T.is_contiguous()) == ((12, 4, 1), True, False)
    assert (x.itemsize, x.element_size(), x.nbytes) == (8, 8, 192)
    assert (x.device, x.device.type) == ("cpu", "cpu")
    assert x.is_leaf
    assert x.grad_fn is None
    assert x.is_floating_point()
    assert gs.is_tensor(x)
    assert not gs.is_floating_point(gs.tensor(1))
    assert gs.numel(x) == x.nelement() == 24
    assert x.ndimension() == 3
    assert (x.mH.shape, x[0].H.shape) == ((2, 4, 3), (4, 3))


def test_python_numbers() -> None:
    assert gs.tensor(3).item() == 3
    assert isinstance(gs.tensor(1.5, dtype=gs.bfloat16).item(), float)
    assert float(gs.tensor([2.5])) == 2.5
    assert int(gs.tensor(2.9)) == 2
    assert [10, 20, 30][gs.tensor(1)] == 20
    assert bool(gs.tensor([1])) is True
    assert gs.tensor([[1.5, 2.5]], dtype=gs.bfloat16).tolist() == [[1.5, 2.5]]
    assert [row.tolist() for row in gs.tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]


def test_numpy_shares_memory() -> None:
    x = gs.zeros(3)
    x.numpy()[1] = 2
    assert x.tolist() == [0.0, 2.0, 0.0]
    np.testing.assert_array_equal(np.asarray(x), [0, 2, 0])
    assert np.asarray(x, dtype=np.float64).dtype == np.float64


PRINTED = [
    (gs.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    (gs.tensor([1, 2]), "tensor([1, 2])"),
    (gs.tensor(True), "tensor(True)"),
    (gs.tensor([1.0], dtype=gs.float64), "tensor([1.], dtype=float64)"),
    (gs.tensor([1.5], dtype=gs.bfloat16), "tensor([1.5000], dtype=bfloat16)"),
    (gs.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
    (gs.tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<MulBackward>)"),
    (gs.tensor([1.0], requires_grad=True).tanh().sum(), "tensor(0.7616, grad_fn=<SumBackward>)"),
    (gs.zeros(0, 3), "tensor([], size=(0, 3))"),
    (gs.tensor([math.nan, math.inf]), "tensor([nan, inf])"),
]


@pytest.mark.parametrize(("tensor", "text"), PRINTED, ids=[text for _, text in PRINTED])
def test_repr(tensor: Tensor, text: str) -> None:
    assert repr(tensor) == text


def test_repr_of_large_tensors_is_short() -> None:
    assert len(repr(gs.zeros(100, 100, 10))) < 2000


def test_conversion() -> None:
    x = gs.tensor([0.0, 1.7, -2.7])
    assert x.to(gs.int64).tolist() == [0, 1, -2]
    assert x.to("float64").dtype == gs.float64
    assert x.to("cpu") is x
    assert x.to("cpu", gs.float64).dtype == gs.float64
    assert x.to(dtype=gs.float32) is x
    assert x.to(gs.float32, copy=True) is not x
    assert x.to(gs.ones(1, dtype=gs.bfloat16)).dtype == gs.bfloat16
    assert x.to(gs.device("cpu")) is x
    assert x.cpu() is x
    assert x.bool().tolist() == [False, True, True]
    assert (x.double().dtype, x.long().dtype, x.int().dtype) == (gs.float64, gs.int64, gs.int32)
    assert (x.bfloat16().dtype, x.double().float().dtype) == (gs.bfloat16, gs.float32)
    assert x.type() == "float32"
    assert x.type(gs.int32).dtype == gs.int32


def test_conversion_is_differentiable() -> None:
    x = gs.tensor([1.0, 2.0], requires_grad=True)
    (x.double() * 3).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == gs.float32
    assert x.grad.tolist() == [3.0, 3.0]


def test_in_place_operators_keep_identity() -> None:
    x = y = gs.ones(2)
    x += 1
    x *= 3
    x -= gs.tensor([1.0, 2.0])
    x /= 2
    x **= 2
    assert x is y
    assert x.tolist() == [6.25, 4.0]
    x[0] = 1.5
    assert x.tolist() == [1.5, 4.0]


def test_tensors_are_hashable_by_identity() -> None:
    x, y = gs.ones(1), gs.ones(1)
    assert len({x, y, x}) == 2


def test_matrix_product_with_numpy_on_the_left() -> None:
    assert (np.eye(2, dtype=np.float32) @ gs.ones(2, 1)).tolist() == [[1.0], [1.0]]


def test_deepcopy() -> None:
    x = gs.ones(2, requires_grad=True)
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert y.data_ptr() != x.data_ptr()
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.ones(2).item(), ValueError, "item: the tensor has shape"),
        (lambda: bool(gs.ones(2)), ValueError, "truth of a tensor"),
        (lambda: len(gs.tensor(1)), TypeError, r"len\(\) of a 0-d tensor"),
        (lambda: iter(gs.tensor(1)), TypeError, "0-d tensor"),
        (lambda: [1][gs.tensor(0.0)], TypeError, "cannot be an index"),
        (lambda: gs.ones(2).size(1), IndexError, "size: dim 1"),
        (lambda: gs.ones(2).stride(-2), IndexError, "stride: dim -2"),
        (
            lambda: gs.ones(2, requires_grad=True).numpy(),
            RuntimeError,
            "numpy: the tensor requires",
        ),
        (lambda: gs.ones(2).to("complex64"), TypeError, "complex64"),
        (lambda: gs.ones(2).to("cuda"), RuntimeError, "device 'cuda'"),
        (lambda: gs.ones(2).cuda(1), RuntimeError, "device 'cuda'"),
        (lambda: pickle.dumps(gs.ones(2)), TypeError, "gradsmith.save"),
        (lambda: gs.ones(2).no_such_method(), AttributeError, "no_such_method"),
        (lambda: gs.no_such_function, AttributeError, "no_such_function"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- methods and their declarations --------------------------------------------------------------


def declared() -> dict[str, list[str]]:
    """Return the declared methods of tensors and the names of their arguments."""
    trees = [ast.parse(path.read_text()) for path in DECLARATIONS]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [
        node for each in classes for node in each.body if isinstance(node, ast.FunctionDef)
    ]
    return {
        node.name: [
            each.arg
            for each in (
                *node.args.args[1:],
                *([node.args.vararg] if node.args.vararg else []),
                *node.args.kwonlyargs,
            )
        ]
        for node in functions
    }


def bound() -> dict[str, Any]:
    """Return what `ops.methods` sets on the class: all that tensor.py does not define."""
    return {
        name: member
        for name, member in vars(Tensor).items()
        if getattr(getattr(member, "fget", member), "__module__", "").startswith(
            ("gradsmith.ops", "gradsmith.autograd")
        )
    }


def test_every_method_is_declared() -> None:
    assert sorted(declared()) == sorted(bound())


@pytest.mark.parametrize("name", sorted(declared()))
def test_declared_arguments(name: str) -> None:
    member = bound()[name]
    if isinstance(member, property):
        return
    actual = list(inspect.signature(member).parameters)[1:]
    wanted = declared()[name]
    assert (actual[: len(wanted)] if name.startswith("__") else actual) == wanted


def test_methods_equal_functions() -> None:
    for module, names in methods.METHODS:
        for name in names.split():
            assert getattr(Tensor, name) is getattr(module, name)


# ---- the package ---------------------------------------------------------------------------------


def test_top_level_names() -> None:
    names = (
        "tensor exp matmul float32 bfloat16 no_grad enable_grad manual_seed randn rand arange cat "
        "stack einsum where gather softmax save load show_config set_num_threads get_num_threads "
        "autograd nn optim memory data train metrics Tensor linalg random"
    )
    missing = [name for name in names.split() if not hasattr(gs, name)]
    assert not missing


def test_memory_statistics() -> None:
    before = gs.memory.stats()
    held = gs.zeros(1 << 20)
    now = gs.memory.stats()
    assert now["in_use"] >= before["in_use"] + held.nbytes
    del held
    gs.memory.empty_cache()
    assert gs.memory.stats()["cached"] == 0
    with pytest.raises(ValueError, match="set_limit"):
        gs.memory.set_limit(-1)
