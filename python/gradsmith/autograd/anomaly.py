# SPDX-License-Identifier: Apache-2.0
"""Where the first NaN or Inf arose: `detect_anomaly`."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradsmith.autograd.mode import mode
from gradsmith.autograd.watch import Watcher
from gradsmith.backend import FLOATING, Array, on_host
from gradsmith.tensor import Tensor

_OWN_FRAMES = ("gradsmith.autograd.anomaly", "gradsmith.autograd.tape")
# They only put values in place; an infinite one was asked for, as in masks of attention.
_PLACING = frozenset({"where", "setitem", "pad"})


class AnomalyError(RuntimeError):
    """A NaN or Inf arose while `detect_anomaly` was on."""


class Origin(NamedTuple):
    """Where an op was called: its name, the modules around it, innermost first, and the stack."""

    op: str
    modules: list[Any]
    stack: traceback.StackSummary


def _origin(op: str) -> Origin:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") in _OWN_FRAMES:
        frame = frame.f_back
    modules = [
        each.f_locals["self"]
        for each, _ in traceback.walk_stack(frame)
        # By name: modules stand above the tape.
        if each.f_code.co_qualname == "Module.__call__"
    ]
    stack = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
    stack.reverse()
    return Origin(op, modules, stack)


def _place(origin: Origin) -> str:
    if not origin.modules:
        return ""
    inner, outer = origin.modules[0], origin.modules[-1]
    path = next((name for name, each in outer.named_modules() if each is inner), "")
    return f" in module {path + ' ' if path else ''}({inner._label()})"


def _call_text(origin: Origin | None) -> str:
    if origin is None:
        return "its forward call was made while detect_anomaly was off"
    calls = "".join(origin.stack.format())
    return f"its forward call{_place(origin)} was made at (most recent call last):\n{calls}"


def _bad(arrays: Iterable[Array]) -> tuple[bool, bool]:
    """Return whether there is a NaN, and whether there is an Inf."""
    nan = inf = False
    for array in arrays:
        if array.dtype in FLOATING:
            host = on_host(array)
            nan = nan or bool(np.isnan(host).any())
            inf = inf or bool(np.isinf(host).any())
    return nan, inf


def _arrays(values: Iterable[Any]) -> list[Array]:
    return [each._array for each in values if isinstance(each, Tensor)]


def _finding(array: Array) -> str:
    """Describe the first element that is not finite, and how many there are."""
    host = on_host(array)
    places = np.argwhere(~np.isfinite(host))
    first = tuple(int(i) for i in places[0])
    return f"{float(host[first])} at index {first} ({len(places)} of {host.size} are not finite)"


class _Anomalies(Watcher):
    """Notes the origin of every node and looks at every result."""

    def __init__(self, check_nan: bool) -> None:
        self._check_nan = check_nan
        self._in_rule = False

    def forward(self, op: str, outs: Sequence[Any], inputs: tuple[Any, ...]) -> None:
        origin = _origin(op)
        for out in outs:
            if out._node is not None:
                out._node.origin = origin
        if not self._check_nan or self._in_rule:
            return
        for out in outs:
            nan, inf = _bad([out._array])
            if not (nan or inf):
                continue
            before = _bad(_arrays(inputs))
            infinite = before[1] or any(isinstance(x, float) and math.isinf(x) for x in inputs)
            if nan or not (infinite or op in _PLACING):
                kinds = "NaN" if before[0] else "Inf" if infinite else "finite numbers only"
                raise AnomalyError(
                    f"detect_anomaly: {op}{_place(origin)} gave {_finding(out._array)}; its inputs "
                    f"have {kinds}"
                )

    def backward(self, node: Any, *grads: Any) -> Any:
        origin: Origin | None = getattr(node, "origin", None)
        outer, self._in_rule = self._in_rule, True
        try:
            results = node.backward(node, *grads)
        except AnomalyError:
            raise
        except Exception as error:
            error.add_note(f"{node.name}: {_call_text(origin)}")
            raise
        finally:
            self._in_rule = outer
        if self._check_nan:
            self._check_gradients(node, origin, grads, results)
        return results

    def _check_gradients(
        self, node: Any, origin: Origin | None, grads: tuple[Any, ...], results: Any
    ) -> None:
        infinite = _bad(_arrays(grads))[1]
        for position, result in enumerate(results):
            if not isinstance(result, Tensor) or node.edges[position] is None:
                continue
            nan, inf = _bad([result._array])
            if nan or (inf and not infinite):
                raise AnomalyError(
                    f"detect_anomaly: {node.name} gave {_finding(result._array)} as the gradient "
                    f"of input {position}; {_call_text(origin)}"
                )


class set_detect_anomaly:
    """Turn the search for NaN and Inf on or off; a plain call or a context manager.

    Args:
        mode: whether to search.
        check_nan: look at the values; without it only errors in backward rules name their call.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        """Set it at once; leaving the ``with`` block restores what was before."""
        self._enter(_Anomalies(check_nan) if mode else None)

    def _enter(self, watcher: Watcher | None) -> None:
        self._previous = mode.watcher
        mode.watcher = watcher

    def __enter__(self) -> None:
        """Keep what the call set."""

    def __exit__(self, *error: object) -> None:
        mode.watcher = self._previous


class detect_anomaly:
    """Raise where the first NaN or Inf arises, in forward or backward: ``with detect_anomaly():``.

    In forward that is the op whose result is not finite, in backward the op whose rule gives such
    a gradient; the error names it, the module around it and, for backward, where the forward call
    was made. Infinite values that come from infinite inputs or masks are let pass. Every result is
    looked at, so programs run many times slower.

    Raises:
        AnomalyError: in the block, a RuntimeError.

    Example:
        >>> import gradsmith as gs
        >>> x = gs.tensor([0.0, 1.0], requires_grad=True)
        >>> with gs.autograd.detect_anomaly():
        ...     x.log()
        Traceback (most recent call last):
        ...
        gradsmith.autograd.anomaly.AnomalyError: detect_anomaly: log gave -inf at index (0,) \
(1 of 2 are not finite); its inputs have finite numbers only
    """

    def __init__(self, check_nan: bool = True) -> None:
        """Look at the values; without ``check_nan`` only note where forward calls were made."""
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._setting = set_detect_anomaly(True, self._check_nan)

    def __exit__(self, *error: object) -> None:
        self._setting.__exit__(*error)
