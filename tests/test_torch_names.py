# SPDX-License-Identifier: Apache-2.0
"""Every public name that both libraries have is compared by some test.

That is PyTorch's own samples of operations, their other names, modules and optimisers, the
programs and expressions here, or a test file that `ELSEWHERE` names.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from docs import namespaces

import gradsmith as gs
from tests import test_torch_parity, test_torch_pointwise, test_torch_shapes

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("expecttest") is None,
        reason="PyTorch's tables of samples need expecttest (pip install expecttest)",
    ),
]
TESTS = Path(__file__).parent
# Where PyTorch has a namespace of another name.
THEIRS = {"gradsmith.data": "torch.utils.data"}
SPACES = [
    *("", ".linalg", ".special", ".nn", ".nn.functional", ".nn.init", ".nn.utils", ".nn.utils.rnn"),
    *(".optim", ".optim.lr_scheduler", ".optim.swa_utils", ".autograd", ".autograd.function"),
    *(".autograd.functional", ".amp", ".data", ".random", ".cuda"),
]
PYTHONS_OWN = {
    *{*dir(object)}.difference(("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")),
    *("__annotations__", "__dict__", "__module__", "__weakref__", "__slots__"),
}
# Compared in a test file of their own.
ELSEWHERE = {
    "gradsmith.nn.utils.spectral_norm": "test_nn_reparametrization.py",
    "gradsmith.Tensor.__array__": "test_interchange.py",
}
# Not compared, and why.
REASONS = {
    "gradsmith.nn.CrossMapLRN2d": "differs, as docs/differences.md says",
    "gradsmith.Tensor.type": "tells NumPy's names of dtypes",
    "gradsmith.Tensor.cuda": "needs a GPU",
    "gradsmith.Tensor.__cuda_array_interface__": "needs a GPU",
    "gradsmith.nn.SyncBatchNorm": "PyTorch's needs a GPU",
    "gradsmith.nn.UninitializedParameter": "what lazy modules hold before the first call",
    "gradsmith.nn.Module": "the base of all the modules compared",
    "gradsmith.optim.Optimizer": "the base of all the optimisers compared",
    "gradsmith.optim.lr_scheduler.LRScheduler": "the base of all the schedules compared",
    "gradsmith.Tensor": "the class of all the tensors compared",
    **dict.fromkeys(
        (f"gradsmith.cuda.{name}" for name in namespaces.members("gradsmith.cuda")),
        "needs a GPU",
    ),
}
OPERATORS = {
    **{ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.Mod: "mod"},
    **{ast.FloorDiv: "floordiv", ast.Pow: "pow", ast.MatMult: "matmul", ast.BitAnd: "and"},
    **{ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift"},
    **{ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert", ast.Eq: "eq", ast.NotEq: "ne"},
    **{ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.In: "contains"},
}
BUILTINS = {
    **{"abs": "abs", "bool": "bool", "float": "float", "int": "int", "len": "len", "round": ""},
    **{"deepcopy": "deepcopy", "asarray": "array"},
}


def _chain(node: ast.AST) -> list[str]:
    """Return the names of ``a.b.c``, or [] for what does not begin with a name."""
    if isinstance(node, ast.Attribute):
        first = _chain(node.value)
        return [*first, node.attr] if first else []
    return [node.id] if isinstance(node, ast.Name) else []


def _used_by(node: ast.AST, library: str) -> Iterator[str]:
    """Yield the public names that a piece of code uses."""
    if isinstance(node, ast.Attribute):
        root, *path = _chain(node) or [""]
        if root in (library, "data"):
            yield ".".join(["gradsmith", *(["data"] if root == "data" else []), *path])
        yield f"gradsmith.Tensor.{node.attr}"
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        name = OPERATORS[type(node.op)]
        is_changed = isinstance(node, ast.AugAssign)
        reflected = isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant)
        yield f"gradsmith.Tensor.__{'i' if is_changed else 'r' if reflected else ''}{name}__"
    elif isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        yield f"gradsmith.Tensor.__{OPERATORS[type(node.op)]}__"
    elif isinstance(node, ast.Compare):
        yield from (f"gradsmith.Tensor.__{OPERATORS.get(type(op), '')}__" for op in node.ops)
    elif isinstance(node, ast.Subscript):
        name = "setitem" if isinstance(node.ctx, ast.Store) else "getitem"
        yield from (f"gradsmith.Tensor.__{name}__", "gradsmith.Tensor.__index__")
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield "gradsmith.Tensor.__iter__"
    elif isinstance(node, ast.JoinedStr):
        yield "gradsmith.Tensor.__format__"
    elif isinstance(node, ast.Call) and (_chain(node.func) or [""])[-1] in BUILTINS:
        yield f"gradsmith.Tensor.__{BUILTINS[_chain(node.func)[-1]]}__"


def used_by(code: str, library: str) -> set[str]:
    """Return the names that code uses, in which ``library`` stands for either library.

    Modules that it aliases (``nn = t.nn``) are known by their names.
    """
    tree = ast.parse(code)
    aliases = {
        target.id: _chain(value)[1:]
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target, value in _pairs(node)
        if isinstance(target, ast.Name) and _chain(value)[:1] == [library]
    }
    names = {name for node in ast.walk(tree) for name in _used_by(node, library)}
    for alias, path in aliases.items():
        for node in ast.walk(tree):
            chain = _chain(node)
            if chain[:1] == [alias] and chain[1:]:
                names.add(".".join(["gradsmith", *path, *chain[1:]]))
    return names


def _pairs(node: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def by_samples() -> set[str]:
    """Return the names that PyTorch's tables of samples exercise."""
    from tests.torch_module_samples import MODULES, OPTIMIZERS
    from tests.torch_samples import SHARED
    from tests.torch_variants import VARIANTS

    names = {f"gradsmith.{name}" for name in [*(op.name for op in SHARED.values()), *VARIANTS]}
    names |= {f"gradsmith.nn.{name}" for name in MODULES}
    return names | {f"gradsmith.optim.{name}" for name in OPTIMIZERS}


def by_programs() -> set[str]:
    """Return the names that expressions and programs here use."""
    from tests import (
        test_lr_scheduler_torch,
        torch_data_programs,
        torch_network_programs,
        torch_programs,
    )

    names = {f"gradsmith.optim.lr_scheduler.{n.split()[0]}" for n in test_lr_scheduler_torch.MAKERS}
    names |= {f"gradsmith.nn.{text.partition('(')[0]}" for text, _ in test_torch_parity.LAYERS}
    for text in test_torch_shapes.EXPRESSIONS:
        names |= used_by(text.removeprefix("!"), "m")
    for text in (*test_torch_pointwise.EXPRESSIONS, *test_torch_pointwise.DIFFERENTIABLE):
        names |= used_by(text.replace("@", "|"), "lib")
    for module in (torch_programs, torch_network_programs, torch_data_programs):
        for function in vars(module).values():
            if inspect.isfunction(function):
                names |= used_by(inspect.getsource(function), "t")
    return names


def shared() -> dict[str, Any]:
    """Return the names that both libraries have, and what they stand for here."""
    import torch
    import torch.utils.data

    found = {}
    for space in SPACES:
        ours = f"gradsmith{space}"
        theirs: ModuleType = importlib.import_module(THEIRS.get(ours, f"torch{space}"))
        for name, value in namespaces.members(ours).items():
            if hasattr(theirs, name):
                found[f"{ours}.{name}"] = value
    for name in dir(gs.Tensor):
        hidden = name.startswith("_") and not name.endswith("__")
        if not hidden and name not in PYTHONS_OWN and hasattr(torch.Tensor, name):
            found[f"gradsmith.Tensor.{name}"] = getattr(gs.Tensor, name)
    return found


def test_every_shared_name_is_compared() -> None:
    names = shared()
    samples, programs = by_samples(), by_programs()
    compared = samples | programs | set(ELSEWHERE)
    functions = {id(value) for name, value in names.items() if name in compared}
    holes = [
        name
        for name, value in names.items()
        if name not in compared and name not in REASONS and id(value) not in functions
    ]
    assert len(names) > 1300
    assert not holes, "\n".join(holes)
    unused = [name for name in REASONS if name not in names or name in samples]
    assert not unused, unused


@pytest.mark.parametrize("name", ELSEWHERE)
def test_elsewhere(name: str) -> None:
    text = (TESTS / ELSEWHERE[name]).read_text(encoding="utf-8")
    assert "torch" in text
    assert name.rpartition(".")[2] in text or name.endswith("__")
