# SPDX-License-Identifier: Apache-2.0
"""Convolutions whose weights are shared less: by a table, in tiles, or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, checked_tuple, new_parameter
from gradsmith.ops.creation import tensor
from gradsmith.tensor import Tensor

Size = int | Sequence[int]

# Table I of LeCun 1998: the maps of S2 that each of the 16 maps of C3 sees; 60 connections.
LENET5_C3_TABLE: tuple[tuple[int, ...], ...] = (
    *((i, (i + 1) % 6, (i + 2) % 6) for i in range(6)),
    *((i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


class _Filters(Module):
    """Filters and offsets of any shape, drawn as those of a convolution."""

    dimensions: ClassVar[int] = 2
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels = checked_int(name, "in_channels", in_channels)
        self.out_channels = checked_int(name, "out_channels", out_channels)
        self.kernel_size = checked_tuple(name, "kernel_size", kernel_size, self.dimensions)
        self.stride = checked_tuple(name, "stride", stride, self.dimensions)

    def _make_parameters(
        self,
        weight: Sequence[int],
        bias: Sequence[int] | None,
        inputs: float,
        device: Any,
        dtype: Any,
    ) -> None:
        """Make parameters of these shapes for that many input channels of an output."""
        self._fan_in = inputs * math.prod(self.kernel_size)
        self.weight = new_parameter(*weight, device=device, dtype=dtype)
        offsets = None if bias is None else new_parameter(*bias, device=device, dtype=dtype)
        self.register_parameter("bias", offsets)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within 1 / sqrt(inputs of one output)."""
        bound = self._fan_in**-0.5
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )


class TableConv2d(_Filters):
    """Convolution in which a table says which input map feeds which output map (LeCun 1998).

    Attributes:
        weight: (connections, kh, kw), uniform at first within 1 / sqrt(mean inputs of an output).
        bias: (out_channels), drawn alike, or None.
        table: bool (out_channels, in_channels), a buffer.

    Example::

        TableConv2d(6, 16, 5)  # layer C3 of LeNet-5: 60 * 25 + 16 = 1516 parameters
    """

    table: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        table: Any = LENET5_C3_TABLE,
        stride: Size = 1,
        padding: Size = 0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; the other arguments are those of `Conv2d`.

        Args:
            in_channels: maps of the input.
            out_channels: maps of the output.
            kernel_size: one int, or one per dimension.
            table: for each output map the input maps it sees, or a bool (out, in) array or tensor.
            stride: steps of the window.
            padding: zeros on both sides.
            bias: whether to add a bias.
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            ValueError: the table does not have these maps, or an output sees none.
        """
        super().__init__(in_channels, out_channels, kernel_size, stride)
        self.padding = checked_tuple("TableConv2d", "padding", padding, 2, 0)
        connected = self._connections(table)
        self.register_buffer("table", tensor(connected, device=device))
        count = int(connected.sum())
        offsets = (self.out_channels,) if bias else None
        inputs = count / self.out_channels
        self._make_parameters((count, *self.kernel_size), offsets, inputs, device, dtype)

    def _connections(self, table: Any) -> Any:
        shape = (self.out_channels, self.in_channels)
        if isinstance(table, Tensor):
            table = table.cpu().numpy()
        if isinstance(table, (tuple, list)):
            connected = np.zeros((len(table), self.in_channels), bool)
            for row, maps in zip(connected, table, strict=True):
                if any(not 0 <= each < self.in_channels for each in maps):
                    raise ValueError(
                        f"TableConv2d: table names the maps {tuple(maps)}, expected numbers below "
                        f"{self.in_channels}"
                    )
                row[list(maps)] = True
        else:
            connected = np.asarray(table)
        if connected.shape != shape or connected.dtype != bool or not connected.any(1).all():
            raise ValueError(
                f"TableConv2d: table has shape {connected.shape} and dtype {connected.dtype}, "
                f"expected bool {shape} with at least one input for each output"
            )
        return connected

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out); N may be left out."""
        options = (self.stride, self.padding)
        return F.table_conv2d(input, self.weight, self.table, self.bias, *options)

    def extra_repr(self) -> str:
        """Return the sizes and the number of connections."""
        return f"{super().extra_repr()}, connections={self.weight.shape[0]}"


class TiledConv2d(_Filters):
    """Convolution whose filters come again only every ``tiles`` positions (Le et al. 2010).

    Attributes:
        weight: (th, tw, out_channels, in_channels, kh, kw), drawn as those of `Conv2d`.
        bias: (out_channels) or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        tiles: Size = 2,
        stride: Size = 1,
        padding: Size = 0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; the other arguments are those of `Conv2d`.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: one int, or one per dimension.
            tiles: after how many positions the filters come again; 1 is `Conv2d`.
            stride: steps of the window.
            padding: zeros on both sides.
            bias: whether to add a bias.
            device: where the parameters are.
            dtype: floating dtype of the parameters.
        """
        super().__init__(in_channels, out_channels, kernel_size, stride)
        self.padding = checked_tuple("TiledConv2d", "padding", padding, 2, 0)
        self.tiles = checked_tuple("TiledConv2d", "tiles", tiles, 2)
        shape = (*self.tiles, self.out_channels, self.in_channels, *self.kernel_size)
        offsets = (self.out_channels,) if bias else None
        self._make_parameters(shape, offsets, self.in_channels, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out); N may be left out."""
        return F.tiled_conv2d(input, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Return the sizes and the tiles."""
        return f"{super().extra_repr()}, tiles={self.tiles}"


class _LocallyConnected(_Filters):
    """A convolution that shares no weights; see `LocallyConnected2d`."""

    _connect: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: Size,
        kernel_size: Size,
        stride: Size = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; the other arguments are those of `Conv2d`.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            input_size: size of the input, on which the number of weights depends.
            kernel_size: one int, or one per dimension.
            stride: steps of the window.
            bias: whether to add a bias, one per output element.
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            ValueError: a size is not positive, or the kernel larger than the input.
        """
        super().__init__(in_channels, out_channels, kernel_size, stride)
        name = type(self).__name__
        self.input_size = checked_tuple(name, "input_size", input_size, self.dimensions)
        sizes = zip(self.input_size, self.kernel_size, self.stride, strict=True)
        positions = [(whole - k) // step + 1 for whole, k, step in sizes]
        if min(positions) < 1:
            raise ValueError(
                f"{name}: kernel_size is {self.kernel_size}, expected at most {self.input_size}"
            )
        shape = (*positions, self.out_channels, self.in_channels, *self.kernel_size)
        offsets = (self.out_channels, *positions) if bias else None
        self._make_parameters(shape, offsets, self.in_channels, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, *positions); N may be left out."""
        return type(self)._connect(input, self.weight, self.bias, self.stride)

    def extra_repr(self) -> str:
        """Return the sizes and that of the input."""
        return f"{super().extra_repr()}, input_size={self.input_size}"


class LocallyConnected1d(_LocallyConnected):
    """Applies to each window of (N, C, L) filters of its own.

    Attributes:
        weight: (L_out, out_channels, in_channels, k).
        bias: (out_channels, L_out) or None.
    """

    dimensions = 1
    _connect = staticmethod(F.locally_connected1d)


class LocallyConnected2d(_LocallyConnected):
    """Applies to each window of (N, C, H, W) filters of its own.

    Attributes:
        weight: (H_out, W_out, out_channels, in_channels, kh, kw).
        bias: (out_channels, H_out, W_out) or None.
    """

    dimensions = 2
    _connect = staticmethod(F.locally_connected2d)
