# SPDX-License-Identifier: Apache-2.0
"""Layers that only rearrange: other shapes, other orders, windows as columns."""

from __future__ import annotations

from collections.abc import Sequence

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_int, checked_tuple
from gradsmith.ops.shape import permute, reshape
from gradsmith.tensor import Tensor, array_of

Size = int | Sequence[int]


class Reshape(Module):
    """Gives each example another shape; one size may be -1 (Keras)."""

    def __init__(self, target_shape: Sequence[int]) -> None:
        """Remember the shape behind the batch dimension.

        Raises:
            TypeError: a size is no int.
            ValueError: more than one size is -1.
        """
        super().__init__()
        sizes = tuple(checked_int("Reshape", "target_shape", size, -1) for size in target_shape)
        if sizes.count(-1) > 1:
            raise ValueError(f"Reshape: target_shape is {sizes}, expected at most one -1")
        self.target_shape = sizes

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, *target_shape)."""
        return reshape(input, (*array_of("Reshape", input).shape[:1], *self.target_shape))

    def extra_repr(self) -> str:
        """Return the shape."""
        return f"target_shape={self.target_shape}"


class Permute(Module):
    """Puts the dimensions behind the batch into another order (Keras)."""

    def __init__(self, dims: Sequence[int]) -> None:
        """Remember the order; the dimensions behind the batch count from 1.

        Raises:
            TypeError: a dimension is no int.
            ValueError: they are not 1 to their number.
        """
        super().__init__()
        self.dims = tuple(checked_int("Permute", "dims", dim) for dim in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Permute: dims is {self.dims}, expected the numbers from 1 to {len(self.dims)}"
            )

    def forward(self, input: Tensor) -> Tensor:
        """Return a view with the dimensions in that order."""
        return permute(input, (0, *self.dims))

    def extra_repr(self) -> str:
        """Return the order."""
        return f"dims={self.dims}"


class _Columns(Module):
    """Has the options of the windows that become columns."""

    kernel_size: Size
    dilation: Size
    padding: Size
    stride: Size

    def _set_windows(self, kernel_size: Size, dilation: Size, padding: Size, stride: Size) -> None:
        name = type(self).__name__
        checked_tuple(name, "kernel_size", kernel_size, 2)
        checked_tuple(name, "dilation", dilation, 2)
        checked_tuple(name, "padding", padding, 2, 0)
        checked_tuple(name, "stride", stride, 2)
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Unfold(_Columns):
    """Windows of (N, C, H, W) as columns (N, C kh kw, L)."""

    def __init__(
        self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        """Remember the windows.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        self._set_windows(kernel_size, dilation, padding, stride)

    def forward(self, input: Tensor) -> Tensor:
        """Return the columns; N may be left out."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Columns):
    """Columns (N, C kh kw, L) added to the places of their windows in (N, C, H, W)."""

    def __init__(
        self,
        output_size: Size,
        kernel_size: Size,
        dilation: Size = 1,
        padding: Size = 0,
        stride: Size = 1,
    ) -> None:
        """Remember the size of the images and the windows.

        Raises:
            TypeError: a size is no int.
            ValueError: a size is too small.
        """
        super().__init__()
        checked_tuple("Fold", "output_size", output_size, 2)
        self.output_size = output_size
        self._set_windows(kernel_size, dilation, padding, stride)

    def forward(self, input: Tensor) -> Tensor:
        """Return the images; N may be left out."""
        windows = (self.kernel_size, self.dilation, self.padding, self.stride)
        return F.fold(input, self.output_size, *windows)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
