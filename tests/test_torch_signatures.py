# SPDX-License-Identifier: Apache-2.0
"""Arguments have PyTorch's names in PyTorch's order, wherever both libraries have a function.

PyTorch's own come from its Python signatures, from the schemas of its operators and from the
table of signatures that its tests keep.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gradsmith as gs

pytestmark = pytest.mark.torch
if find_spec("torch") is not None:
    import torch

ROWS = (Path(__file__).parents[1] / "docs" / "differences.md").read_text(encoding="utf-8")
# Deliberately absent everywhere, or taken by PyTorch's functions that create tensors without
# standing in a schema (requires_grad).
OMITTED = {
    *("out", "layout", "pin_memory", "memory_format", "requires_grad", "names", "out_dtype"),
    *("foreach", "fused", "capturable", "differentiable"),
    *("size_average", "reduce", "_stacklevel"),
}


class Difference(NamedTuple):
    """Of which functions the arguments are meant to differ, and the row that says so."""

    names: str
    row: str


DIFFERENCES = [
    Difference("F.binary_cross_entropy_with_logits", "`size_average`, `reduce` of losses"),
    Difference("nn.Hardtanh", "`Hardtanh(min_value, max_value)`"),
    Difference(
        r"torch\.(cholesky|cholesky_inverse|det|inverse|matrix_exp|matrix_power|slogdet)"
        r"|(torch|Tensor)\.cholesky_solve"
        r"|linalg\.(cholesky|cond|eigh|eigvalsh|lstsq|matrix_exp|matrix_norm|matrix_power"
        r"|matrix_rank|norm|pinv|solve_triangular|tensorinv|tensorsolve|vector_norm)",
        "arguments of matrix functions",
    ),
    Difference(r"linalg\.svd(vals)?", "`svd`, `eigh`, `lstsq` drivers"),
    Difference(r"torch\.(load|save)", "`gs.save`, `gs.load`"),
    Difference(
        r"torch\.(celu|relu|selu|threshold)|Tensor\.(relu|split)|(torch|Tensor)\.true_divide_?",
        "arguments of functions with several names",
    ),
    Difference(r"Tensor\.(random_|uniform_)", "`random_(from, to)`, `uniform_(from, to)`"),
    Difference(r"torch\.set_default_dtype", "`set_default_dtype`"),
]
# What PyTorch's schemas and signatures do not tell as its documentation does.
DOCUMENTED = {
    "torch.einsum": ["equation", "operands"],
    "torch.normal": ["mean", "std", "size", "generator", "dtype", "device"],
    "torch.nonzero": ["input", "as_tuple"],
    "Tensor.nonzero": ["input", "as_tuple"],
    "Tensor.expand": ["input", "shape"],
    "Tensor.view": ["input", "shape"],
    "Tensor.size": ["input", "dim"],
    "Tensor.numpy": ["input", "force"],
    "Tensor.cuda": ["input", "device", "non_blocking"],
    "Tensor.to": ["input", "args", "dtype", "device", "non_blocking", "copy"],
    "Tensor.type": ["input", "dtype", "non_blocking"],
    "torch.result_type": ["tensor1", "tensor2"],
    "Tensor.where": ["input", "condition", "other"],
    "Tensor.polygamma": ["input", "n"],
    "Tensor.log_softmax": ["input", "dim", "dtype"],
}


def parameters(function: Any) -> list[str] | None:
    """Return the names of a Python function's arguments; None where it does not tell them."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    return None if names[:2] == ["args", "kwargs"] else names


def theirs(label: str, function: Any) -> list[list[str]]:
    """Return the arguments of each form of PyTorch's function."""
    if label in DOCUMENTED:
        return [DOCUMENTED[label]]
    names = parameters(function)
    if names is not None or isinstance(function, type):
        return [] if names is None else [names]
    module, _, name = label.rpartition(".")
    prefix = f"{module}_" if module in ("linalg", "special") else ""
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{prefix}{name}")
    forms = [[each.name for each in schema.arguments] for schema in schemas]
    stand_in = torch.overrides.get_testing_overrides().get(function)
    names = None if stand_in is None else parameters(stand_in)
    return forms if names is None else [*forms, names]


def comparable(label: str, names: list[str]) -> list[str]:
    """Return the names without what is omitted; a tensor itself is called ``input``."""
    kept = ["input" if name == "self" else name for name in names if name not in OMITTED]
    return ["input", *kept[1:]] if label.startswith("Tensor.") else kept


def in_order(some: list[str], among: list[str]) -> bool:
    """Return whether names occur among others, in their order."""
    rest = iter(among)
    return all(name in rest for name in some)


def shared() -> Iterator[tuple[str, Any, Any]]:
    """Yield what both libraries have: a label, PyTorch's function or class, and ours."""
    places = {
        "F": (torch.nn.functional, gs.nn.functional),
        "nn": (torch.nn, gs.nn),
        "optim": (torch.optim, gs.optim),
        "lr_scheduler": (torch.optim.lr_scheduler, gs.optim.lr_scheduler),
        "torch": (torch, gs),
        "linalg": (torch.linalg, gs.linalg),
        "special": (torch.special, gs.special),
        "Tensor": (torch.Tensor, gs.Tensor),
    }
    for place, (their_home, our_home) in places.items():
        for name in dir(their_home):
            function, mine = getattr(their_home, name), getattr(our_home, name, None)
            classes = place in ("nn", "optim", "lr_scheduler")
            if name.startswith("_") or not callable(function) or not callable(mine):
                continue
            if classes == isinstance(function, type) == isinstance(mine, type):
                yield f"{place}.{name}", function, mine


def complaint(label: str, function: Any, mine: Any) -> str | None:
    """Return how the arguments differ, or None."""
    names, forms = parameters(mine), theirs(label, function)
    if names is None or not forms:
        return None
    own = comparable(label, names)
    forms = [comparable(label, form) for form in forms]
    known = {name for form in forms for name in form}
    added = [name for name in own if name not in known]
    if not added and any(in_order(form, own) for form in forms):
        return None
    return f"{label}{tuple(own)}, PyTorch {forms}"


@pytest.mark.filterwarnings("ignore")  # PyTorch warns of functions that it renames
def test_arguments() -> None:
    unused, new = set(DIFFERENCES), []
    count = 0
    for label, function, mine in shared():
        count += 1
        text = complaint(label, function, mine)
        meant = {each for each in DIFFERENCES if re.fullmatch(each.names, label)}
        if text is not None:
            unused -= meant
            if not meant:
                new.append(text)
    assert count > 1000
    assert not new, "\n".join(new)
    assert not unused, f"no function needs {unused}"


@pytest.mark.parametrize("row", sorted({each.row for each in DIFFERENCES}))
def test_row(row: str) -> None:
    assert row in ROWS
