# SPDX-License-Identifier: Apache-2.0
"""Regions in which ops choose their dtype.

Products (linear, matmul and what is built on it, convolutions, recurrent layers, attention) take
their operands in low precision; what needs range or digits (exponentials, logarithms, powers,
sums, norms, softmax, losses, resampling, matrix factorisations) in float32; everything else keeps
what it gets, and types promote.
Parameters stay float32: each is converted once per region, and its gradient arrives in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from gradsmith.autograd import Node, mode, record
from gradsmith.backend import EXTENSIONS, Array, DType, as_dtype, bfloat16, float16, float32
from gradsmith.ops.elementwise import to
from gradsmith.tensor import Tensor

_F = TypeVar("_F", bound=Callable[..., Any])
_DEVICES = ("cpu", "cuda", "cudasim")
_LOW = (bfloat16, float16)


def _lowered_backward(node: Node, dy: Tensor) -> Any:
    return (to(dy, float32),)


def _lowered(x: Tensor, dtype: DType) -> Tensor:
    """Convert float32; unlike `to` the rule saves nothing, so it serves several passes."""
    array = x._array
    return record(_lowered_backward, EXTENSIONS[type(array)].cast(array, dtype), (x,))


class _Region:
    """What ops ask while a region is on (`gradsmith.autograd.mode.Casting`)."""

    def __init__(self, dtypes: dict[str, DType], keeps: bool) -> None:
        """Take the low dtype by type of device, and whether conversions are kept."""
        self.dtypes = dtypes
        self._keeps = keeps
        # By id of the parameter and whether ops are recorded: it, its array and version then, and
        # the conversion.
        self._kept: dict[tuple[int, bool], tuple[Tensor, Array, int, Tensor]] = {}

    def down(self, *operands: Any) -> tuple[Any, ...]:
        """Return the operands in the low dtype; float64 and what is not floating stay."""
        return tuple(self._down(each) for each in operands)

    def up(self, operand: Any) -> Any:
        """Return the operand, in float32 if it has less."""
        if not isinstance(operand, Tensor) or operand.dtype not in _LOW:
            return operand
        return to(operand, float32) if operand.device.type in self.dtypes else operand

    def together(self, *operands: Any) -> tuple[Any, ...]:
        """Return the operands, all in float32 if one of them is."""
        wide = any(isinstance(each, Tensor) and each.dtype == float32 for each in operands)
        return tuple(self.up(each) for each in operands) if wide else operands

    def fresh(self) -> _Region:
        """Return the same region without the conversions it has kept."""
        return _Region(self.dtypes, self._keeps)

    def _down(self, x: Any) -> Any:
        if not isinstance(x, Tensor) or (x.dtype != float32 and x.dtype not in _LOW):
            return x
        dtype = self.dtypes.get(x.device.type)
        if dtype is None or x.dtype == dtype:
            return x
        if x.dtype in _LOW:
            return to(x, dtype)
        if not (self._keeps and x.requires_grad and x.is_leaf):
            return _lowered(x, dtype)
        key, version = (id(x), mode.enabled), x._shared_version().number
        kept = self._kept.get(key)
        if kept is not None and kept[1] is x._array and kept[2] == version:
            return kept[3]
        result = _lowered(x, dtype)
        self._kept[key] = (x, x._array, version, result)
        return result


class autocast:
    """Lets ops choose their dtype inside a ``with`` block or a decorated function.

    Call models and losses in it, ``backward()`` outside or inside. Blocks nest;
    ``enabled=False`` keeps everything in the dtype it has.

    Example:
        >>> import gradsmith as gs
        >>> layer = gs.nn.Linear(4, 2)
        >>> with gs.amp.autocast("cpu"):
        ...     y = layer(gs.ones(3, 4))
        ...     loss = y.square().sum()
        >>> str(y.dtype), str(loss.dtype)
        ('bfloat16', 'float32')
        >>> loss.backward()
        >>> str(layer.weight.grad.dtype)
        'float32'
    """

    def __init__(
        self,
        device_type: str = "cpu",
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool = True,
    ) -> None:
        """Take what to convert.

        Args:
            device_type: whose tensors it is for: ``"cpu"``, ``"cuda"`` or ``"cudasim"``.
            dtype: the low dtype, bfloat16 (the default) or float16, whose range of 65504 wants a
                `GradScaler` for the gradients.
            enabled: whether to convert at all.
            cache_enabled: whether each parameter is converted only once in the block.

        Raises:
            TypeError: an option has another type.
            ValueError: the device or the dtype is not supported.
        """
        if device_type not in _DEVICES:
            raise ValueError(
                f"autocast: device_type is {device_type!r}, expected one of {', '.join(_DEVICES)}"
            )
        self._dtype = bfloat16 if dtype is None else as_dtype(dtype)
        if self._dtype not in _LOW:
            raise ValueError(f"autocast: dtype is {self._dtype}, expected bfloat16 or float16")
        for name, value in (("enabled", enabled), ("cache_enabled", cache_enabled)):
            if not isinstance(value, bool):
                kind = type(value).__name__
                raise TypeError(f"autocast: {name} is a {kind}, expected a bool")
        self._device_type = device_type
        self._enabled = enabled
        self._cache_enabled = cache_enabled
        self._previous: list[Any] = []

    def __enter__(self) -> None:
        self._previous.append(mode.autocast)
        outer = mode.autocast
        dtypes = dict(outer.dtypes) if isinstance(outer, _Region) else {}
        if not self._enabled:
            dtypes.pop(self._device_type, None)
        else:
            dtypes[self._device_type] = self._dtype
        mode.autocast = _Region(dtypes, self._cache_enabled) if dtypes else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.autocast = self._previous.pop()

    def __call__(self, function: _F) -> _F:
        """Return the function such that each call of it is a block."""

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            # A block per call: calls on several threads must not share what they restore.
            with autocast(self._device_type, self._dtype, self._enabled, self._cache_enabled):
                return function(*args, **kwargs)

        return cast(_F, wrapped)
