# SPDX-License-Identifier: Apache-2.0
"""Branches, shortcuts, functions as modules."""

from __future__ import annotations

from typing import Any

import pytest

import gradsmith as gs
from gradsmith import nn

X = gs.arange(8.0).reshape(2, 4)


def test_parallel() -> None:
    branches = nn.Parallel(nn.Linear(4, 3), nn.Identity())
    first, second = branches(X)
    assert first.tolist() == branches[0](X).tolist()
    assert second is X
    assert list(branches.state_dict()) == ["0.weight", "0.bias"]
    named = nn.Parallel({"a": nn.Linear(4, 3), "b": nn.Identity()})
    assert list(named.state_dict()) == ["a.weight", "a.bias"]
    assert [type(each) for each in named[1:]] == [nn.Identity]
    assert nn.Parallel()(X) == []
    assert len(nn.Parallel(nn.Bilinear(4, 4, 2))(X, X)) == 1


def test_concat() -> None:
    branches = nn.Concat(nn.Identity(), nn.Lambda(lambda x: x * 2), dim=0)
    assert branches(X).tolist() == [*X.tolist(), *(X * 2).tolist()]
    assert branches[:1].dim == 0
    branches.append(nn.Identity())
    assert branches(X).shape == (6, 4)
    assert repr(nn.Concat(nn.Identity())) == "Concat(\n  dim=1\n  (0): Identity()\n)"


def test_residual() -> None:
    block = nn.Residual(nn.Linear(4, 4))
    assert list(block.state_dict()) == ["body.weight", "body.bias"]
    assert gs.equal(block(X), block.body(X) + X)
    other = nn.Residual(nn.Linear(4, 2), nn.Linear(4, 2), activation=gs.relu)
    assert list(other.state_dict()) == [
        *("body.weight", "body.bias", "shortcut.weight", "shortcut.bias"),
    ]
    assert (other(X) >= 0).all()
    with pytest.raises(ValueError, match=r"Residual: the body gives shape \(2, 1\) and the short"):
        nn.Residual(nn.Linear(4, 1))(X)


def test_lambda() -> None:
    double = nn.Lambda(lambda x, scale=2: x * scale)
    assert double(X, scale=3).tolist() == (X * 3).tolist()
    assert repr(nn.Lambda(gs.tanh)) == "Lambda(tanh)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Parallel(3), TypeError, "Parallel: an element is a int, expected a Module"),
        (lambda: nn.Concat(nn.Identity(), dim=1.0), TypeError, "Concat: dim is a float"),
        (lambda: nn.Concat()(X), ValueError, "Concat: there are no branches"),
        (lambda: nn.Concat(nn.Identity(), nn.Linear(4, 1), dim=0)(X), ValueError, "cat: "),
        (lambda: nn.Residual(None), TypeError, "Residual: body is a NoneType"),
        (lambda: nn.Residual(nn.Identity(), 3), TypeError, "shortcut is a int"),
        (lambda: nn.Residual(nn.Identity(), activation="relu"), TypeError, "activation is a str"),
        (lambda: nn.Lambda(3), TypeError, "Lambda: function is a int"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
