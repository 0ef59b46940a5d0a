# SPDX-License-Identifier: Apache-2.0
"""How a tensor prints: PyTorch's layout, its rules for the form of numbers, and its options."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsmith import backend
from gradsmith.backend import Array

if TYPE_CHECKING:
    from gradsmith.tensor import Tensor


@dataclass(frozen=True)
class PrintOptions:
    """What `set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_options = _PROFILES["default"]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print; what is not given stays, but for ``sci_mode``.

    Args:
        precision: digits behind the point (4 at first).
        threshold: number of elements from which on only the edges print (1000).
        edgeitems: elements at each edge of a dimension (3).
        linewidth: characters of a line (80).
        profile: ``"default"``, ``"short"`` or ``"full"``, which the others then change.
        sci_mode: whether numbers have an exponent; None decides by their sizes.

    Raises:
        ValueError: the profile is unknown, or a number is negative.
        TypeError: an option is no number.

    >>> import gradsmith as gs
    >>> gs.set_printoptions(precision=2)
    >>> gs.tensor([1.0, 0.125])
    tensor([1.00, 0.12])
    >>> gs.set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        names = ", ".join(repr(each) for each in _PROFILES)
        raise ValueError(f"set_printoptions: profile is {profile!r}, expected one of {names}")
    if sci_mode is not None and not isinstance(sci_mode, bool):
        raise TypeError(f"set_printoptions: sci_mode is {sci_mode!r}, expected True, False or None")
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        kinds = (int, float) if name == "threshold" else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise TypeError(f"set_printoptions: {name} is {value!r}, expected a number")
        if not value >= 0:
            raise ValueError(f"set_printoptions: {name} is {value}, expected a number >= 0")
    base = _options if profile is None else _PROFILES[profile]
    _options = replace(base, sci_mode=sci_mode, **changes)  # type: ignore[arg-type]


# ---- numbers -------------------------------------------------------------------------------------

Write = Callable[[Any], str]


def _form(numbers: Array) -> Write:
    """Return the function that writes one of the numbers, all of the same width."""
    if numbers.dtype.kind != "f":
        return _aligned(str, numbers)
    regular = numbers[np.isfinite(numbers) & (numbers != 0)]
    if regular.size == 0:
        return _write_integral
    integral = bool((regular == np.ceil(regular)).all())
    scientific = _options.sci_mode
    if scientific is None:
        smallest, largest = float(np.abs(regular).min()), float(np.abs(regular).max())
        scientific = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
    form = f".{_options.precision}{'e' if scientific else 'f'}"
    write = _write_integral if integral and not scientific else lambda value: format(value, form)
    return _aligned(write, regular)


def _write_integral(value: float) -> str:
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _aligned(write: Write, numbers: Array) -> Write:
    width = max((len(write(value)) for value in numbers.reshape(-1).tolist()), default=1)
    return lambda value: write(value).rjust(width)


# ---- layout --------------------------------------------------------------------------------------


def _edges(array: Array) -> Array:
    """Return the elements that print of a tensor that is too large to print whole."""
    edge = _options.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * edge:
            kept = [*range(edge), *range(size - edge, size)]
            array = array.take(kept, axis)
    return array


def _brackets(array: Array, indent: int, short: bool, write: Write) -> str:
    """Return nested brackets; ``indent`` is the column of the first one."""
    if array.ndim == 0:
        return write(array.item())
    edge = _options.edgeitems
    parts = list(array)
    cut = short and len(parts) > 2 * edge
    if cut:
        parts = parts[:edge] + parts[len(parts) - edge :]
    deeper = [_brackets(part, indent + 1, short, write) for part in map(np.asarray, parts)]
    if cut:
        deeper.insert(edge, " ..." if array.ndim == 1 and edge else "...")
    if array.ndim > 1:
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(deeper) + "]"
    room = _options.linewidth - indent
    width = len(write(0)) if len(array) else 1
    return "[" + _lines(deeper, max(room // (width + 2), 1), indent + 1) + "]"


def _lines(words: list[str], per_line: int, indent: int) -> str:
    lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
    return (",\n" + " " * indent).join(lines)


def _remarks(tensor: Tensor, array: Array) -> list[str]:
    """Return what the numbers do not tell: device, size, dtype, and the tape."""
    remarks = []
    if tensor.device != backend.CPU:
        remarks.append(f"device='{tensor.device}'")
    if (array.size == 0 and array.ndim != 1) or (array.size and _options.edgeitems == 0):
        remarks.append(f"size={array.shape}")
    default = backend.get_default_dtype()
    plain = (default,) if array.size == 0 else (default, backend.int64, backend.bool_)
    if array.dtype not in plain:
        remarks.append(f"dtype={array.dtype}")
    if tensor._node is not None:
        remarks.append(f"grad_fn=<{tensor._node.name}>")
    elif tensor.requires_grad:
        remarks.append("requires_grad=True")
    return remarks


def tensor_text(tensor: Tensor) -> str:
    """Return ``tensor(...)`` with the numbers in brackets and what they do not tell."""
    array = backend.on_host(tensor._array)
    remarks = _remarks(tensor, array)
    numbers = array.astype(np.float32) if array.dtype == backend.bfloat16 else array
    prefix = "tensor("
    text = prefix + "[]"
    if array.size:
        short = array.size > _options.threshold
        write = _form(_edges(numbers) if short else numbers)
        text = prefix + _brackets(numbers, len(prefix), short, write)
    column = len(text) - text.rfind("\n") + 1
    for remark in remarks:
        if column + len(remark) + 2 > _options.linewidth:
            text += ",\n" + " " * len(prefix) + remark
            column = len(prefix) + len(remark)
        else:
            text += ", " + remark
            column += len(remark) + 2
    return text + ")"
