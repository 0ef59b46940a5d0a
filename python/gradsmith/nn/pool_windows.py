# SPDX-License-Identifier: Apache-2.0
"""Pooling by p-norm, minimum, over everything, at random; trainable subsampling; unpooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.pool import _MaxPool
from gradsmith.nn.sizes import checked_int, checked_tuple, new_parameter
from gradsmith.ops.shape import squeeze
from gradsmith.tensor import Tensor

Size = int | Sequence[int]


class _LPPool(Module):
    """``(sum x^p)^(1/p)`` over windows."""

    dimensions: ClassVar[int]
    _pool: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        """Remember the exponent and the window.

        Args:
            norm_type: the exponent p.
            kernel_size: size of the window; one int, or one per dimension.
            stride: its steps (default: its size).
            ceil_mode: let the last window stick out.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        checked_tuple(type(self).__name__, "kernel_size", kernel_size, self.dimensions)
        if stride is not None:
            checked_tuple(type(self).__name__, "stride", stride, self.dimensions)
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """Return the norms (N, C, *sizes)."""
        options = (self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
        return type(self)._pool(input, *options)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """``(sum x^p)^(1/p)`` over windows of (N, C, L)."""

    dimensions = 1
    _pool = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """``(sum x^p)^(1/p)`` over windows of (N, C, H, W)."""

    dimensions = 2
    _pool = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """``(sum x^p)^(1/p)`` over windows of (N, C, D, H, W)."""

    dimensions = 3
    _pool = staticmethod(F.lp_pool3d)


class MinPool1d(_MaxPool):
    """Minimum over windows of (N, C, L)."""

    dimensions = 1
    _pool = staticmethod(F.min_pool1d)


class MinPool2d(_MaxPool):
    """Minimum over windows of (N, C, H, W)."""

    dimensions = 2
    _pool = staticmethod(F.min_pool2d)


class MinPool3d(_MaxPool):
    """Minimum over windows of (N, C, D, H, W)."""

    dimensions = 3
    _pool = staticmethod(F.min_pool3d)


# ---- over everything -----------------------------------------------------------------------------


class _GlobalPool(Module):
    """Pools each channel to one number."""

    dimensions: ClassVar[int]
    _pool: ClassVar[Callable[..., Any]]

    def __init__(self, keepdims: bool = False) -> None:
        """Remember whether the spatial dimensions stay, with size 1 (Keras's option)."""
        super().__init__()
        self.keepdims = keepdims

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C), or (N, C, 1, ...) with ``keepdims``; N may be left out."""
        pooled: Tensor = type(self)._pool(input, 1)
        return pooled if self.keepdims else squeeze(pooled, tuple(range(-self.dimensions, 0)))

    def extra_repr(self) -> str:
        """Return the option."""
        return f"keepdims={self.keepdims}"


class GlobalAvgPool1d(_GlobalPool):
    """Average of each channel of (N, C, L)."""

    dimensions = 1
    _pool = staticmethod(F.adaptive_avg_pool1d)


class GlobalAvgPool2d(_GlobalPool):
    """Average of each channel of (N, C, H, W)."""

    dimensions = 2
    _pool = staticmethod(F.adaptive_avg_pool2d)


class GlobalAvgPool3d(_GlobalPool):
    """Average of each channel of (N, C, D, H, W)."""

    dimensions = 3
    _pool = staticmethod(F.adaptive_avg_pool3d)


class GlobalMaxPool1d(_GlobalPool):
    """Maximum of each channel of (N, C, L)."""

    dimensions = 1
    _pool = staticmethod(F.adaptive_max_pool1d)


class GlobalMaxPool2d(_GlobalPool):
    """Maximum of each channel of (N, C, H, W)."""

    dimensions = 2
    _pool = staticmethod(F.adaptive_max_pool2d)


class GlobalMaxPool3d(_GlobalPool):
    """Maximum of each channel of (N, C, D, H, W)."""

    dimensions = 3
    _pool = staticmethod(F.adaptive_max_pool3d)


class _FractionalMaxPool(Module):
    """Maximum over windows at random distances (Graham 2014)."""

    _dimensions: ClassVar[int]
    _random_samples: Tensor | None

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        """Remember the window and the size, or the share of the input's size, of the output.

        Raises:
            TypeError: a size is no int.
            ValueError: not one of size and ratio is given.
        """
        super().__init__()
        name = type(self).__name__
        checked_tuple(name, "kernel_size", kernel_size, self._dimensions)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: expected either output_size or output_ratio")
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def extra_repr(self) -> str:
        """Return the window and the size."""
        size = f"output_size={self.output_size}"
        size = size if self.output_ratio is None else f"output_ratio={self.output_ratio}"
        return f"kernel_size={self.kernel_size}, {size}"


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maximum over windows of (N, C, H, W) at random distances (Graham 2014)."""

    _dimensions = 2

    def forward(self, input: Tensor) -> Any:
        """Return the maxima (N, C, H_out, W_out), and their positions if asked for."""
        options = (self.output_size, self.output_ratio, self.return_indices, self._random_samples)
        return F.fractional_max_pool2d(input, self.kernel_size, *options)


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maximum over windows of (N, C, D, H, W) at random distances (Graham 2014)."""

    _dimensions = 3

    def forward(self, input: Tensor) -> Any:
        """Return the maxima (N, C, D_out, H_out, W_out), and their positions if asked for."""
        options = (self.output_size, self.output_ratio, self.return_indices, self._random_samples)
        return F.fractional_max_pool3d(input, self.kernel_size, *options)


# ---- trainable subsampling -----------------------------------------------------------------------


class Subsampling2d(Module):
    """Sum over windows times a trainable coefficient, plus a bias (LeCun 1998, S2 and S4).

    The activation, in LeNet-5 a sigmoid, is the caller's.

    Attributes:
        weight: (channels), at first 1 / window, so that the layer averages.
        bias: (channels), at first 0.
    """

    weight: Parameter
    bias: Parameter

    def __init__(
        self,
        channels: int,
        kernel_size: Size = 2,
        stride: Size | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Args:
            channels: maps of the input.
            kernel_size: size of the window; one int, or one per dimension.
            stride: its steps (default: its size).
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        self.channels = checked_int("Subsampling2d", "channels", channels)
        self.kernel_size = checked_tuple("Subsampling2d", "kernel_size", kernel_size, 2)
        steps = kernel_size if stride is None else stride
        self.stride = checked_tuple("Subsampling2d", "stride", steps, 2)
        self.weight = new_parameter(self.channels, device=device, dtype=dtype)
        self.bias = new_parameter(self.channels, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the parameters to those of an average."""
        init.constant_(self.weight, 1 / math.prod(self.kernel_size))
        init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, channels, H_out, W_out); N may be left out."""
        return F.subsampling2d(input, self.weight, self.bias, self.kernel_size, self.stride)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}"


# ---- unpooling -----------------------------------------------------------------------------------


class _MaxUnpool(Module):
    """Puts maxima back where max pooling took them from, zeros elsewhere."""

    dimensions: ClassVar[int]
    _unpool: ClassVar[Callable[..., Tensor]]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        """Remember the window of the pooling.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        name, n = type(self).__name__, self.dimensions
        self.kernel_size = checked_tuple(name, "kernel_size", kernel_size, n)
        steps = kernel_size if stride is None else stride
        self.stride = checked_tuple(name, "stride", steps, n)
        self.padding = checked_tuple(name, "padding", padding, n, 0)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Return (N, C, *sizes); ``output_size`` chooses among the possible sizes."""
        window = (self.kernel_size, self.stride, self.padding)
        return type(self)._unpool(input, indices, *window, output_size)

    def extra_repr(self) -> str:
        """Return the window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Inverse of `MaxPool1d` but for zeros."""

    dimensions = 1
    _unpool = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Inverse of `MaxPool2d` but for zeros."""

    dimensions = 2
    _unpool = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Inverse of `MaxPool3d` but for zeros."""

    dimensions = 3
    _unpool = staticmethod(F.max_unpool3d)
