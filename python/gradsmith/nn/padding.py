# SPDX-License-Identifier: Apache-2.0
"""Padding of the last one, two or three dimensions, and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_int
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]
_LOWEST = -(2**31)  # negative amounts cut off


class _Pad(Module):
    """Pads the last dimensions, each before and behind, the last dimension first."""

    dimensions: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float | None = None

    def __init__(self, padding: Size) -> None:
        """Remember the amounts: one for all sides, or (left, right, top, bottom, front, back).

        Raises:
            TypeError: an amount is no int.
            ValueError: there are not two per dimension.
        """
        super().__init__()
        name, count = type(self).__name__, 2 * self.dimensions
        amounts = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * count
        if len(amounts) != count:
            raise ValueError(f"{name}: padding is {amounts}, expected {count} ints")
        self.padding = tuple(checked_int(name, "padding", each, _LOWEST) for each in amounts)

    def forward(self, input: Tensor) -> Tensor:
        """Return the padded input."""
        n = self.dimensions
        if array_of(type(self).__name__, input).ndim not in (n + 1, n + 2):
            raise ValueError(
                f"{type(self).__name__}: input has shape {input.shape}, expected {n + 1} or "
                f"{n + 2} dimensions"
            )
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Return the amounts."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Pads with a number."""

    value: float

    def __init__(self, padding: Size, value: float) -> None:
        """Remember the amounts (see `ZeroPad2d`) and the number."""
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """Return the amounts and the number."""
        return f"padding={self.padding}, value={self.value}"


class ZeroPad1d(_Pad):
    """Pads (N, C, L) with zeros."""

    dimensions = 1


class ZeroPad2d(_Pad):
    """Pads (N, C, H, W) with zeros."""

    dimensions = 2


class ZeroPad3d(_Pad):
    """Pads (N, C, D, H, W) with zeros."""

    dimensions = 3


class ConstantPad1d(_ConstantPad):
    """Pads (N, C, L) with a number."""

    dimensions = 1


class ConstantPad2d(_ConstantPad):
    """Pads (N, C, H, W) with a number."""

    dimensions = 2


class ConstantPad3d(_ConstantPad):
    """Pads (N, C, D, H, W) with a number."""

    dimensions = 3


class ReflectionPad1d(_Pad):
    """Pads (N, C, L) with the mirrored input, the border not repeated."""

    dimensions = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Pads (N, C, H, W) with the mirrored input, the border not repeated."""

    dimensions = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Pads (N, C, D, H, W) with the mirrored input, the border not repeated."""

    dimensions = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Pads (N, C, L) with copies of the border."""

    dimensions = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Pads (N, C, H, W) with copies of the border."""

    dimensions = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Pads (N, C, D, H, W) with copies of the border."""

    dimensions = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """Pads (N, C, L) with the input's other end."""

    dimensions = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """Pads (N, C, H, W) with the input's other end."""

    dimensions = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """Pads (N, C, D, H, W) with the input's other end."""

    dimensions = 3
    mode = "circular"


class _Crop(Module):
    """Cuts off the ends of the last dimensions."""

    dimensions: ClassVar[int]

    def __init__(self, cropping: Any) -> None:
        """Remember how much to cut off before and behind each dimension, the first one first.

        Args:
            cropping: one int for all ends, or per dimension one int or a pair, as in Keras.

        Raises:
            TypeError: an amount is no int.
            ValueError: an amount is negative, or there is not one per dimension.
        """
        super().__init__()
        name, n = type(self).__name__, self.dimensions
        pairs = (cropping,) * n if isinstance(cropping, int) else tuple(cropping)
        if n == 1 and len(pairs) == 2:  # (before, behind), as Keras has it
            pairs = (pairs,)
        if len(pairs) != n:
            raise ValueError(f"{name}: cropping is {cropping}, expected {n} ints or pairs")
        amounts = [(each, each) if isinstance(each, int) else tuple(each) for each in pairs]
        if any(len(pair) != 2 for pair in amounts):
            raise ValueError(f"{name}: cropping is {cropping}, expected {n} ints or pairs")
        self.cropping = tuple(
            tuple(checked_int(name, "cropping", each, 0) for each in pair) for pair in amounts
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return the input without its ends."""
        amounts = [-each for pair in reversed(self.cropping) for each in pair]
        return F.pad(input, amounts)

    def extra_repr(self) -> str:
        """Return the amounts."""
        return f"cropping={self.cropping}"


class Cropping1d(_Crop):
    """Cuts off the ends of (N, C, L)."""

    dimensions = 1

    def __init__(self, cropping: Any = (1, 1)) -> None:
        """Remember the amounts: one int, or (before, behind)."""
        super().__init__(cropping)


class Cropping2d(_Crop):
    """Cuts off the borders of (N, C, H, W)."""

    dimensions = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0))) -> None:
        """Remember the amounts: one int, two (height, width), or ((top, bottom), (left, right))."""
        super().__init__(cropping)
