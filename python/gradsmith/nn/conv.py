# SPDX-License-Identifier: Apache-2.0
"""Convolutions and transposed convolutions over one, two and three dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, checked_tuple, new_parameter
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all convolutions share: checked options, parameters, repr."""

    dimensions: ClassVar[int]
    transposed: ClassVar[bool] = False
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        output_padding: Size,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self.dimensions
        self.in_channels = checked_int(name, "in_channels", in_channels)
        self.out_channels = checked_int(name, "out_channels", out_channels)
        self.groups = checked_int(name, "groups", groups)
        for argument, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(
                    f"{name}: {argument} {channels} is not divisible by groups {groups}"
                )
        self.kernel_size = checked_tuple(name, "kernel_size", kernel_size, n)
        self.stride = checked_tuple(name, "stride", stride, n)
        self.dilation = checked_tuple(name, "dilation", dilation, n)
        self.output_padding = checked_tuple(name, "output_padding", output_padding, n, 0)
        self.padding: str | tuple[int, ...]
        if isinstance(padding, str):
            self.padding = self._checked_padding_name(padding)
        else:
            self.padding = checked_tuple(name, "padding", padding, n, 0)
        modes = ("zeros",) if self.transposed else _PADDING_MODES
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode is {padding_mode!r}, expected one of {modes}")
        self.padding_mode = padding_mode
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        self.weight = new_parameter(
            first, second // self.groups, *self.kernel_size, device=device, dtype=dtype
        )
        self.register_parameter(
            "bias", new_parameter(self.out_channels, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters()

    def _checked_padding_name(self, padding: str) -> str:
        name = type(self).__name__
        if self.transposed or padding not in ("valid", "same"):
            expected = "ints" if self.transposed else "ints, 'valid' or 'same'"
            raise ValueError(f"{name}: padding is {padding!r}, expected {expected}")
        if padding == "same" and any(step != 1 for step in self.stride):
            raise ValueError(f"{name}: padding 'same' needs stride 1, got stride {self.stride}")
        return padding

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within 1 / sqrt(inputs of one output)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight.shape[1] * math.prod(self.kernel_size))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """Return the channels, and the options that are not at their defaults."""
        n = self.dimensions
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0,) * n:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * n:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * n:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def _label(self) -> str:
        kernel = "x".join(str(size) for size in self.kernel_size)
        return f"{type(self).__name__} {self.in_channels} -> {self.out_channels}, kernel {kernel}"


class _Conv(_Convolution):
    """A convolution; see `Conv2d`."""

    _convolve: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Args:
            in_channels: channels of the input; a multiple of ``groups``.
            out_channels: channels of the output; a multiple of ``groups``.
            kernel_size: one int, or one per dimension.
            stride: steps of the window.
            padding: elements added on both sides, ``"valid"`` (none) or ``"same"``.
            dilation: distance of the kernel's elements.
            groups: blocks of channels that are convolved separately.
            bias: whether to add a bias.
            padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small, the groups do not divide the channels, or an option is
                unknown.
        """
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias),
            *(padding_mode, 0, device, dtype),
        )

    def _margins(self) -> list[int]:
        """Return what `pad` adds: before and behind each dimension, the last dimension first."""
        margins: list[int] = []
        for axis in reversed(range(self.dimensions)):
            if isinstance(self.padding, str):
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                total = total if self.padding == "same" else 0
                margins += [total // 2, total - total // 2]
            else:
                margins += [self.padding[axis]] * 2
        return margins

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, *sizes) for (N, in_channels, *sizes); N may be left out."""
        padding: str | int | tuple[int, ...] = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._margins(), mode=self.padding_mode)
            padding = 0
        return type(self)._convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_Conv):
    """Convolves (N, C, L) with ``weight`` (out_channels, in_channels / groups, k)."""

    dimensions = 1
    _convolve = staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Convolves (N, C, H, W) with ``weight`` (out_channels, in_channels / groups, kh, kw).

    Example::

        Conv2d(3, 16, kernel_size=3, padding=1)(images)  # (N, 3, H, W) -> (N, 16, H, W)
    """

    dimensions = 2
    _convolve = staticmethod(F.conv2d)


class Conv3d(_Conv):
    """Convolves (N, C, D, H, W) with ``weight`` (out, in / groups, kd, kh, kw)."""

    dimensions = 3
    _convolve = staticmethod(F.conv3d)


class _ConvTranspose(_Convolution):
    """The gradient of a convolution, used as a layer; see `ConvTranspose2d`."""

    transposed = True
    _convolve: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; see `Conv2d` for the arguments.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: one int, or one per dimension.
            stride: factor by which the sizes grow.
            padding: elements cut off on both sides.
            output_padding: elements added at the end of each dimension.
            groups: blocks of channels that are convolved separately.
            bias: whether to add a bias.
            dilation: distance of the kernel's elements.
            padding_mode: ``"zeros"`` only.
            device: where the parameters are.
            dtype: floating dtype of the parameters.
        """
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias),
            *(padding_mode, output_padding, device, dtype),
        )

    def _missing_to(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """Return the output padding that gives the spatial sizes asked for."""
        n, dimensions = self.dimensions, array_of(type(self).__name__, input).ndim
        wanted = tuple(output_size)[-n:]
        if len(output_size) not in (n, n + 1, n + 2) or dimensions < n:
            raise ValueError(
                f"output_size is {tuple(output_size)}, expected {n} sizes for an input of shape "
                f"{input.shape}"
            )
        result = []
        for axis in range(n):
            least = (
                (input.shape[dimensions - n + axis] - 1) * self.stride[axis]
                - 2 * int(self.padding[axis])
                + self.dilation[axis] * (self.kernel_size[axis] - 1)
                + 1
            )
            most = least + max(self.stride[axis], self.dilation[axis]) - 1
            if not least <= wanted[axis] <= most:
                raise ValueError(
                    f"output_size is {tuple(output_size)}, expected a size from {least} to {most} "
                    f"in spatial dimension {axis}"
                )
            result.append(wanted[axis] - least)
        return tuple(result)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return (N, out_channels, *sizes); ``output_size`` chooses among the possible sizes."""
        extra = self.output_padding if output_size is None else self._missing_to(input, output_size)
        return type(self)._convolve(
            *(input, self.weight, self.bias, self.stride, self.padding, extra),
            *(self.groups, self.dilation),
        )


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of (N, C, L); ``weight`` is (in, out / groups, k)."""

    dimensions = 1
    _convolve = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of (N, C, H, W); ``weight`` is (in, out / groups, kh, kw)."""

    dimensions = 2
    _convolve = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of (N, C, D, H, W); ``weight`` is (in, out / groups, kd, kh, kw)."""

    dimensions = 3
    _convolve = staticmethod(F.conv_transpose3d)
