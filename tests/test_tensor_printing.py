# SPDX-License-Identifier: Apache-2.0
"""What tensors print, byte for byte as PyTorch's, and the options of printing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import gradsmith as gs

if find_spec("torch") is not None:
    import torch


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    gs.set_printoptions(profile="default")


def test_forms_of_numbers() -> None:
    assert repr(gs.tensor([1.0, 2.0])) == "tensor([1., 2.])"
    assert repr(gs.tensor([1.0, -2.5])) == "tensor([ 1.0000, -2.5000])"
    assert repr(gs.tensor([1e-5, 1.0])) == "tensor([1.0000e-05, 1.0000e+00])"
    assert repr(gs.tensor(3)) == "tensor(3)"
    assert repr(gs.tensor([[True], [False]])) == "tensor([[ True],\n        [False]])"


def test_remarks() -> None:
    x = gs.ones(2, dtype=gs.float64, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], dtype=float64, requires_grad=True)"
    assert repr(x + x) == "tensor([2., 2.], dtype=float64, grad_fn=<AddBackward>)"
    assert repr(gs.zeros(0, 3).long()) == "tensor([], size=(0, 3), dtype=int64)"
    long_line = gs.arange(14.0, requires_grad=True) * 3
    assert repr(long_line).endswith(" 39.],\n       grad_fn=<MulBackward>)")
    assert str(x) == gs.Tensor.__repr__(x)


def test_large_tensors_show_their_edges() -> None:
    text = "tensor([[0., 0., 0.,  ..., 0., 0., 0.],"
    lines = repr(gs.zeros(100, 100)).splitlines()
    assert lines[0] == text
    assert lines[3] == "        ...,"
    assert len(lines) == 7


def test_device() -> None:
    pytest.importorskip("gradsmith._cudasim")
    assert repr(gs.ones(1, device="cudasim")) == "tensor([1.], device='cudasim')"


def test_options_stay_until_set_again() -> None:
    gs.set_printoptions(precision=2, sci_mode=True)
    assert repr(gs.tensor([1.5])) == "tensor([1.50e+00])"
    gs.set_printoptions(linewidth=20)
    assert repr(gs.arange(6) + 10) == "tensor([10, 11, 12,\n        13, 14, 15])"
    assert repr(gs.tensor([1.5])) == "tensor([1.50])"
    gs.set_printoptions(profile="short", edgeitems=1)
    assert repr(gs.zeros(1001)) == "tensor([0.,  ..., 0.])"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"profile": "long"}, ValueError),
        ({"precision": -1}, ValueError),
        ({"threshold": float("nan")}, ValueError),
        ({"precision": 1.5}, TypeError),
        ({"edgeitems": True}, TypeError),
        ({"sci_mode": 1}, TypeError),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"set_printoptions: {next(iter(options))} is"):
        gs.set_printoptions(**options)


# ---- beside PyTorch ------------------------------------------------------------------------------


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    values: list[Any] = [
        *([1.0, 2.5], [1.0, 2.0], [1, 2, -30], True, [[True, False]], [1e-5, 1.0], [1e9, 1.0]),
        *([1e5, 1.5], [np.nan, np.inf, 1.0], [np.nan], [np.inf, -np.inf, 1.5], [0.0, -0.0]),
        *([1e-8], 3.14159, 7, 1e10, -2.0, [1e8], [1e8 + 8], [2000.0, 1.0], [1000.0, 1.0]),
        *([1e-4, 0.01], [1e-40, 1.0], [-1.5, 22.25], np.zeros((0,)), np.zeros((2, 0, 3))),
        *(np.zeros((0, 2), np.int64), rng.random((40, 40)) < 0.5, np.zeros((2, 2))),
    ]
    shapes = [
        *((20,), (4, 5), (2, 3, 4), (2, 2, 2, 3), (1001,), (40, 40), (30, 2, 30), (5, 300)),
        *((300, 5), (1, 2000), (11, 11, 11), (3, 30), (2, 33)),
    ]
    for shape in shapes:
        values += [rng.standard_normal(shape) * scale for scale in (1.0, 1e-6, 1e5)]
        values += [rng.integers(-1000, 1000, shape), np.round(rng.standard_normal(shape) * 100)]
    return [np.asarray(value) for value in values]


OPTIONS: list[dict[str, Any]] = [
    {},
    {"precision": 2},
    {"edgeitems": 1, "threshold": 5},
    {"edgeitems": 0, "threshold": 3},
    {"linewidth": 40},
    {"linewidth": 1, "precision": 0},
    {"sci_mode": True},
    {"sci_mode": False, "precision": 8},
    {"profile": "short"},
    {"profile": "full"},
]


def on_one_line(text: str) -> str:
    """Undo the break before a remark: PyTorch's dtypes are longer by ``torch.``"""
    return re.sub(r",\s+(?=[a-z])", ", ", text.replace("torch.", ""))


@pytest.mark.torch
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_prints_as_pytorch(options: dict[str, Any]) -> None:
    torch.set_printoptions(profile="default")
    torch.set_printoptions(**options)
    gs.set_printoptions(**options)
    for array in arrays():
        plain = array.astype(np.float32) if array.dtype == np.float64 else array
        mine, theirs = repr(gs.tensor(plain)), repr(torch.tensor(plain))
        assert mine == theirs if "dtype" not in mine else on_one_line(mine) == on_one_line(theirs)
        other = {"f": "float64", "i": "int32", "b": "uint8"}[array.dtype.kind]
        cast = torch.tensor(array).to(getattr(torch, other))
        assert on_one_line(repr(gs.tensor(array).to(other))) == on_one_line(repr(cast))
        if array.dtype.kind == "f":
            for narrow in ("bfloat16", "half"):
                small = getattr(torch.tensor(plain), narrow)().requires_grad_()
                mine = repr(getattr(gs.tensor(plain), narrow)().requires_grad_())
                assert on_one_line(mine) == on_one_line(repr(small))
            leaf = torch.tensor(plain, requires_grad=True)
            assert repr(gs.tensor(plain, requires_grad=True)) == repr(leaf)
    torch.set_printoptions(profile="default")
