# SPDX-License-Identifier: Apache-2.0
"""The public functions of tensors, and which of them a test calls.

What a Case or a sample shows is seen from its call: `Watch` notes the public functions that code of
the tests calls directly, with what and what came out. So no table says what is tested.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from docs import namespaces

import gradsmith as gs
from tests.cases import Case, CaseTests, tensors_of

FOLDER = Path(__file__).resolve().parent
# Namespace: how its names are written here.
SPACES = {
    "gradsmith": "gs",
    "gradsmith.linalg": "gs.linalg",
    "gradsmith.special": "gs.special",
    "gradsmith.nn.functional": "F",
    "gradsmith.nn.regularizers": "gs.nn.regularizers",
    "gradsmith.nn.utils": "gs.nn.utils",
    "gradsmith.nn.utils.rnn": "gs.nn.utils.rnn",
    "gradsmith.autograd.functional": "gs.autograd.functional",
    "gradsmith.images": "gs.images",
    "gradsmith.random": "gs.random",
}
# What a function is told apart by: those that one decorator made have the same code.
Key = tuple[Any, tuple[int, ...]]


def key_of(function: Any) -> Key:
    cells = function.__closure__ or ()
    return function.__code__, tuple(id(cell.cell_contents) for cell in cells)


@dataclass
class Public:
    """A public function.

    Attributes:
        names: all it goes by, the main one first.
        function: what they stand for.
    """

    names: list[str]
    function: Callable[..., Any]

    @property
    def name(self) -> str:
        return self.names[0]


def _named() -> Iterator[tuple[str, Any]]:
    for space, prefix in SPACES.items():
        for name, value in namespaces.members(space).items():
            if inspect.isfunction(value):
                yield f"{prefix}.{name}", value
            elif space == "gradsmith.nn.regularizers" and name != "Regularizer":  # their base
                yield f"{prefix}.{name}", value.__call__
    for name in dir(gs.Tensor):
        value = inspect.getattr_static(gs.Tensor, name)
        value = value.fget if isinstance(value, property) else value
        if inspect.isfunction(value) and (not name.startswith("_") or name.startswith("__")):
            yield f"Tensor.{name}", value


@cache
def public_functions() -> dict[Key, Public]:
    """Return every public function once, whatever names it has."""
    found: dict[Key, Public] = {}
    for name, function in _named():
        found.setdefault(key_of(function), Public([], function)).names.append(name)
    return found


def by_name() -> dict[str, Public]:
    return {name: each for each in public_functions().values() for name in each.names}


@dataclass
class Call:
    """A call of a public function by a test.

    Attributes:
        public: the function.
        arguments: what it was called with.
        result: what came out (None where it raised).
    """

    public: Public
    arguments: inspect.BoundArguments
    result: Any = None

    @property
    def differentiated(self) -> set[str]:
        """The parameters that carry a gradient to the result."""
        if not requires_grad(self.result):
            return set()
        return {name for name, value in self.arguments.arguments.items() if requires_grad(value)}


def tensors(value: Any) -> list[gs.Tensor]:
    """Return the tensors of a nested argument or result, in order."""
    if isinstance(value, gs.Tensor):
        return [value]
    if isinstance(value, dict):
        return [each for item in value.values() for each in tensors(item)]
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in tensors(item)]
    return []


def requires_grad(value: Any) -> bool:
    return any(each.requires_grad for each in tensors(value))


@dataclass
class Watch:
    """Notes the public functions that files of the tests call while it is entered."""

    calls: list[Call] = field(default_factory=list)
    _open: dict[FrameType, Call] = field(default_factory=dict)

    def __enter__(self) -> Watch:
        self._before = sys.getprofile()
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)

    def _note(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            call = _call(frame)
            if call is not None:
                self._open[frame] = call
        elif event == "return" and frame in self._open:
            call = self._open.pop(frame)
            call.result = arg
            self.calls.append(call)


def _call(frame: FrameType) -> Call | None:
    caller = frame.f_back
    if caller is None or not caller.f_code.co_filename.startswith(str(FOLDER)):
        return None
    given, code = frame.f_locals, frame.f_code
    public = public_functions().get((code, tuple(id(given.get(x)) for x in code.co_freevars)))
    if public is None:
        return None
    signature = inspect.signature(public.function)
    if hasattr(public.function, "__wrapped__"):
        try:
            return Call(public, signature.bind(*given["args"], **given["kwargs"]))
        except TypeError:
            return None  # a call that is refused
    named = {name: given[name] for name in signature.parameters}
    return Call(public, inspect.BoundArguments(signature, named))  # type: ignore[arg-type]


def modules_with_cases() -> list[str]:
    paths = sorted(FOLDER.glob("test_*.py"))
    return [path.stem for path in paths if "\nCASES" in path.read_text()]


@cache
def calls_of_cases() -> list[tuple[Case, Call]]:
    """Return the calls of all Cases that `CaseTests` judge."""
    found = []
    for name in modules_with_cases():
        module: Any = importlib.import_module(f"tests.{name}")
        kinds = [each for each in vars(module).values() if isinstance(each, type)]
        assert any(issubclass(kind, CaseTests) for kind in kinds if kind is not CaseTests), name
        for case in module.CASES:
            with Watch() as watch:
                case.call(*tensors_of(case.inputs("float64"), case.differentiable))
            found += [(case, call) for call in watch.calls]
    return found


@cache
def differentiated_by_cases() -> dict[str, set[str]]:
    """Return the functions whose gradients of both orders Cases check, and for which parameters."""
    found: dict[str, set[str]] = defaultdict(set)
    for case, call in calls_of_cases():
        if case.differentiable and case.second_order and call.differentiated:
            found[call.public.name] |= call.differentiated
    return dict(found)
