# SPDX-License-Identifier: Apache-2.0
"""Convolutions taken apart: per channel, then across channels; down, then along the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.conv import Conv1d, Conv2d, _Conv
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, checked_tuple, new_parameter
from gradsmith.tensor import Tensor

Size = int | Sequence[int]


class _Depthwise(_Conv):
    """A convolution of each channel by itself."""

    def __init__(
        self,
        in_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        depth_multiplier: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Args:
            in_channels: channels of the input.
            kernel_size: one int, or one per dimension.
            stride: steps of the window.
            padding: elements added on both sides, ``"valid"`` (none) or ``"same"``.
            dilation: distance of the kernel's elements.
            depth_multiplier: filters, and so output channels, per channel.
            bias: whether to add a bias.
            padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
            device: where the parameters are.
            dtype: floating dtype of the parameters.
        """
        name = type(self).__name__
        channels = checked_int(name, "in_channels", in_channels)
        factor = checked_int(name, "depth_multiplier", depth_multiplier)
        super().__init__(
            *(channels, channels * factor, kernel_size, stride, padding, dilation),
            *(channels, bias, padding_mode, device, dtype),
        )
        self.depth_multiplier = factor


class DepthwiseConv1d(_Depthwise):
    """Convolves each channel of (N, C, L) with filters of its own."""

    dimensions = 1
    _convolve = staticmethod(F.conv1d)


class DepthwiseConv2d(_Depthwise):
    """Convolves each channel of (N, C, H, W) with filters of its own."""

    dimensions = 2
    _convolve = staticmethod(F.conv2d)


class _Separable(Module):
    """A depthwise convolution, then a pointwise one."""

    _depthwise: ClassVar[type[_Depthwise]]
    _pointwise: ClassVar[type[_Conv]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        depth_multiplier: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make both; the bias belongs to the pointwise one, as in Keras.

        The other arguments are those of `DepthwiseConv2d`.
        """
        super().__init__()
        self.depthwise = self._depthwise(
            *(in_channels, kernel_size, stride, padding, dilation, depth_multiplier, False),
            *(padding_mode, device, dtype),
        )
        self.pointwise = self._pointwise(
            self.depthwise.out_channels, out_channels, 1, bias=bias, device=device, dtype=dtype
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, *sizes); N may be left out."""
        result: Tensor = self.pointwise(self.depthwise(input))
        return result


class SeparableConv1d(_Separable):
    """Convolves each channel of (N, C, L), then mixes the channels (Chollet 2016)."""

    _depthwise = DepthwiseConv1d
    _pointwise = Conv1d


class SeparableConv2d(_Separable):
    """Convolves each channel of (N, C, H, W), then mixes the channels (Chollet 2016)."""

    _depthwise = DepthwiseConv2d
    _pointwise = Conv2d


class SeparableKernelConv2d(Module):
    """Convolves each channel with the outer product of a column and a row.

    Attributes:
        column: (channels, kh), uniform within 1 / sqrt(kh) at first.
        row: (channels, kw), uniform within 1 / sqrt(kw) at first.
        bias: (channels), 0 at first, or None.
    """

    column: Parameter
    row: Parameter
    bias: Parameter | None

    def __init__(
        self,
        channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; the arguments are those of `DepthwiseConv2d`."""
        super().__init__()
        name = "SeparableKernelConv2d"
        self.channels = checked_int(name, "channels", channels)
        self.kernel_size = checked_tuple(name, "kernel_size", kernel_size, 2)
        self.stride = checked_tuple(name, "stride", stride, 2)
        self.padding = checked_tuple(name, "padding", padding, 2, 0)
        self.dilation = checked_tuple(name, "dilation", dilation, 2)
        height, width = self.kernel_size
        self.column = new_parameter(self.channels, height, device=device, dtype=dtype)
        self.row = new_parameter(self.channels, width, device=device, dtype=dtype)
        offsets = new_parameter(self.channels, device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", offsets)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        for line in (self.column, self.row):
            bound = line.shape[1] ** -0.5
            init.uniform_(line, -bound, bound)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, channels, H_out, W_out); N may be left out."""
        return F.separable_kernel_conv2d(
            *(input, self.column, self.row, self.bias, self.stride, self.padding, self.dilation)
        )

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}"


class BinomialBlur2d(Module):
    """Blurs each channel with a binomial filter and keeps every ``stride``-th element."""

    def __init__(self, order: int = 2, stride: Size = 1, padding_mode: str = "reflect") -> None:
        """Remember the options.

        Args:
            order: the filter has order + 1 elements per direction; 2 is [1 2 1] / 4.
            stride: steps of the filter.
            padding_mode: mode of `functional.pad` at the borders.
        """
        super().__init__()
        self.order = checked_int("BinomialBlur2d", "order", order, 0)
        self.stride = checked_tuple("BinomialBlur2d", "stride", stride, 2)
        self.padding_mode = padding_mode

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C, H / stride, W / stride), rounded up; N may be left out."""
        return F.binomial_blur2d(input, self.order, self.stride, self.padding_mode)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"order={self.order}, stride={self.stride}, padding_mode={self.padding_mode!r}"
