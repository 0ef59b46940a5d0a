# SPDX-License-Identifier: Apache-2.0
"""Pooling over one, two and three dimensions: maximum, average, and both to a given size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_int, checked_tuple
from gradsmith.tensor import Tensor

Size = int | Sequence[int]


class _Window(Module):
    """A window that moves over the spatial dimensions."""

    dimensions: ClassVar[int]
    kernel_size: Any
    stride: Any
    padding: Any

    def _set_window(self, kernel_size: Size, stride: Size | None, padding: Size) -> None:
        name, n = type(self).__name__, self.dimensions
        checked_tuple(name, "kernel_size", kernel_size, n)
        if stride is not None:
            checked_tuple(name, "stride", stride, n)
        checked_tuple(name, "padding", padding, n, 0)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding


class _MaxPool(_Window):
    """Maximum over windows."""

    _pool: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        """Remember the window.

        Args:
            kernel_size: size of the window; one int, or one per dimension.
            stride: its steps (default: its size).
            padding: elements of minus infinity added on both sides, at most half the window.
            dilation: distance of the window's elements.
            return_indices: also return where the maxima lie.
            ceil_mode: let the last window stick out.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        self._set_window(kernel_size, stride, padding)
        checked_tuple(type(self).__name__, "dilation", dilation, self.dimensions)
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """Return the maxima (N, C, *sizes), and their positions if asked for."""
        return type(self)._pool(
            *(input, self.kernel_size, self.stride, self.padding, self.dilation),
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        """Return the window."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Maximum over windows of (N, C, L)."""

    dimensions = 1
    _pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """Maximum over windows of (N, C, H, W)."""

    dimensions = 2
    _pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """Maximum over windows of (N, C, D, H, W)."""

    dimensions = 3
    _pool = staticmethod(F.max_pool3d)


def _single(size: Any) -> Any:
    return (size,) if isinstance(size, int) else size


class AvgPool1d(_Window):
    """Average over windows of (N, C, L)."""

    dimensions = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        """Remember the window; the arguments are those of `AvgPool2d`."""
        super().__init__()
        self._set_window(*(_single(each) for each in (kernel_size, stride, padding)))
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C, L_out)."""
        return F.avg_pool1d(
            *(input, self.kernel_size, self.stride, self.padding),
            *(self.ceil_mode, self.count_include_pad),
        )

    def extra_repr(self) -> str:
        """Return the window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(_Window):
    """Average over windows."""

    _pool: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        """Remember the window.

        Args:
            kernel_size: size of the window; one int, or one per dimension.
            stride: its steps (default: its size).
            padding: zeros added on both sides, at most half the window.
            ceil_mode: let the last window stick out.
            count_include_pad: whether the zeros count.
            divisor_override: what to divide the sums by instead.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        self._set_window(kernel_size, stride, padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages (N, C, *sizes)."""
        return type(self)._pool(
            *(input, self.kernel_size, self.stride, self.padding),
            *(self.ceil_mode, self.count_include_pad, self.divisor_override),
        )

    def extra_repr(self) -> str:
        """Return the window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """Average over windows of (N, C, H, W)."""

    dimensions = 2
    _pool = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Average over windows of (N, C, D, H, W)."""

    dimensions = 3
    _pool = staticmethod(F.avg_pool3d)


def _checked_output_size(module: Module, value: Any, n: int) -> Any:
    """Return the size as given; None keeps a dimension's size."""
    name = type(module).__name__
    sizes = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if len(sizes) not in (1, n):
        raise ValueError(f"{name}: output_size is {value}, expected {n} ints")
    for size in sizes:
        if size is not None:
            checked_int(name, "output_size", size, 0)
    return value


class _AdaptivePool(Module):
    """Pools to a given output size."""

    dimensions: ClassVar[int]
    _pool: ClassVar[Callable[..., Any]]
    output_size: Any

    def extra_repr(self) -> str:
        """Return the size of the output."""
        return f"output_size={self.output_size}"


class _AdaptiveAvgPool(_AdaptivePool):
    """Averages over windows that tile the input."""

    def __init__(self, output_size: Any) -> None:
        """Remember the size: an int, or one per dimension, where None keeps the input's."""
        super().__init__()
        self.output_size = _checked_output_size(self, output_size, self.dimensions)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C, *output_size)."""
        result: Tensor = type(self)._pool(input, self.output_size)
        return result


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Averages (N, C, L) to (N, C, output_size)."""

    dimensions = 1
    _pool = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Averages (N, C, H, W) to (N, C, *output_size)."""

    dimensions = 2
    _pool = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Averages (N, C, D, H, W) to (N, C, *output_size)."""

    dimensions = 3
    _pool = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptivePool):
    """Takes maxima over windows that cover the input."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        """Remember the size: an int, or one per dimension, where None keeps the input's."""
        super().__init__()
        self.output_size = _checked_output_size(self, output_size, self.dimensions)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """Return (N, C, *output_size), and the positions of the maxima if asked for."""
        return type(self)._pool(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of (N, C, L), as (N, C, output_size)."""

    dimensions = 1
    _pool = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of (N, C, H, W), as (N, C, *output_size)."""

    dimensions = 2
    _pool = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of (N, C, D, H, W), as (N, C, *output_size)."""

    dimensions = 3
    _pool = staticmethod(F.adaptive_max_pool3d)
