# SPDX-License-Identifier: Apache-2.0
"""Layers that learn the size of their input from the first input, and become ordinary ones then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gradsmith.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _Conv,
    _Convolution,
    _ConvTranspose,
)
from gradsmith.nn.linear import Linear
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter, UninitializedParameter
from gradsmith.nn.sizes import checked_int
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]


class _Lazy(Module):
    """What lazy layers share; stands before the class whose parameters it makes late."""

    _becomes: ClassVar[type[Module]]
    weight: Parameter
    bias: Parameter | None

    def _open(self, bias: bool, device: Any, dtype: Any) -> None:
        """Put parameters without a shape in place of those that are there."""
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        offsets = UninitializedParameter(device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", offsets)

    def _shape_for(self, input: Tensor) -> tuple[int, ...]:
        """Return the shape of the weight for an input."""
        raise NotImplementedError

    def _adopt(self, shape: tuple[int, ...]) -> int:
        """Note the sizes that a weight's shape tells; return the length of the bias."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draw the parameters anew, once they have a shape."""
        if not isinstance(self.weight, UninitializedParameter):
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor) -> None:
        """Give the parameters their shape; loaded ones keep their values.

        Raises:
            ValueError: the input has too few dimensions, or its channels do not suit the groups.
        """
        loaded = not isinstance(self.weight, UninitializedParameter)
        shape = self.weight.shape if loaded else self._shape_for(input)
        length = self._adopt(shape)
        for parameter, its_shape in ((self.weight, shape), (self.bias, (length,))):
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(its_shape)
        if not loaded:
            self.reset_parameters()
        self.__class__ = self._becomes  # type: ignore[assignment]


class LazyLinear(_Lazy, Linear):
    """A `Linear` whose ``in_features`` is the size of the first input."""

    _becomes = Linear
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        """Make parameters without a shape.

        Raises:
            ValueError: ``out_features`` is negative.
        """
        super().__init__(0, 0, False)
        self.out_features = checked_int("LazyLinear", "out_features", out_features, 0)
        self._open(bias, device, dtype)

    def _shape_for(self, input: Tensor) -> tuple[int, ...]:
        if array_of("LazyLinear", input).ndim == 0:
            raise ValueError("LazyLinear: input has shape (), expected (..., in_features)")
        return self.out_features, input.shape[-1]

    def _adopt(self, shape: tuple[int, ...]) -> int:
        self.in_features = shape[1]
        return self.out_features

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., out_features)."""
        self.initialize_parameters(input)
        return Linear.forward(self, input)  # super() would look for the class it no longer has


# ---- convolutions --------------------------------------------------------------------------------


class _LazyConvolution(_Lazy, _Convolution):
    """A convolution whose ``in_channels`` are those of the first input."""

    def _shape_for(self, input: Tensor) -> tuple[int, ...]:
        name, n = type(self).__name__, self.dimensions
        if array_of(name, input).ndim not in (n + 1, n + 2):
            raise ValueError(
                f"{name}: input has shape {input.shape}, expected {n + 1} or {n + 2} dimensions"
            )
        channels = input.shape[-n - 1]
        if channels == 0 or channels % self.groups:
            raise ValueError(
                f"{name}: input has {channels} channels, expected a multiple of groups "
                f"{self.groups}"
            )
        first, second = self.out_channels, channels
        if self.transposed:
            first, second = second, first
        return first, second // self.groups, *self.kernel_size

    def _adopt(self, shape: tuple[int, ...]) -> int:
        self.in_channels = shape[0] if self.transposed else shape[1] * self.groups
        return self.out_channels


class _LazyConv(_LazyConvolution, _Conv):
    def __init__(
        self,
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
        """Make parameters without a shape; the arguments are those of `Conv2d`."""
        groups = checked_int(type(self).__name__, "groups", groups)
        super().__init__(
            *(groups, out_channels, kernel_size, stride, padding, dilation, groups, bias),
            *(padding_mode, device, dtype),
        )
        self.in_channels = 0
        self._open(bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, *sizes) for (N, in_channels, *sizes); N may be left out."""
        self.initialize_parameters(input)
        return _Conv.forward(self, input)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` whose ``in_channels`` are those of the first input."""

    _becomes = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` whose ``in_channels`` are those of the first input."""

    _becomes = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` whose ``in_channels`` are those of the first input."""

    _becomes = Conv3d


class _LazyConvTranspose(_LazyConvolution, _ConvTranspose):
    def __init__(
        self,
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
        """Make parameters without a shape; the arguments are those of `ConvTranspose2d`."""
        groups = checked_int(type(self).__name__, "groups", groups)
        super().__init__(
            *(groups, out_channels, kernel_size, stride, padding, output_padding, groups, bias),
            *(dilation, padding_mode, device, dtype),
        )
        self.in_channels = 0
        self._open(bias, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return (N, out_channels, *sizes); ``output_size`` chooses among the possible sizes."""
        self.initialize_parameters(input)
        return _ConvTranspose.forward(self, input, output_size)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` whose ``in_channels`` are those of the first input."""

    _becomes = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` whose ``in_channels`` are those of the first input."""

    _becomes = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` whose ``in_channels`` are those of the first input."""

    _becomes = ConvTranspose3d
