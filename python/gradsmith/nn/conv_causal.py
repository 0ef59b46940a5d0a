# SPDX-License-Identifier: Apache-2.0
"""Convolutions of the ordinary kind that pad, mask or compute in another way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.nn import functional as F
from gradsmith.nn.conv import Conv1d, Conv2d
from gradsmith.nn.sizes import checked_int
from gradsmith.ops.creation import tensor
from gradsmith.tensor import Tensor

Size = int | Sequence[int]


class CausalConv1d(Conv1d):
    """Convolves (N, C, L) so that no output sees a later input: all padding is in front.

    The length is kept, or divided by the stride and rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; the arguments are those of `Conv1d`."""
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias),
            *("zeros", device, dtype),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, L / stride); N may be left out."""
        past = self.dilation[0] * (self.kernel_size[0] - 1)
        options = (self.stride, 0, self.dilation, self.groups)
        return F.conv1d(F.pad(input, (past, 0)), self.weight, self.bias, *options)


class FFTConv2d(Conv2d):
    """`Conv2d` computed by the Fourier transform, for large filters (see `fft_conv2d`)."""

    _convolve = staticmethod(F.fft_conv2d)


class MaskedConv2d(Conv2d):
    """`Conv2d` that sees only pixels above and to the left (van den Oord 2016, PixelCNN).

    Attributes:
        mask: bool, of the weight's shape; a buffer that is not saved.
    """

    mask: Tensor

    def __init__(
        self,
        mask_type: str,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        bias: bool = True,
        channel_groups: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters and the mask; the other arguments are those of `Conv2d`.

        Args:
            mask_type: what is seen of the pixel itself: ``"A"`` the channel groups before the
                output's (for one group nothing), ``"B"`` also its own.
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: odd sizes, so that there is a middle.
            stride: steps of the window.
            padding: elements added on both sides, ``"valid"`` (none) or ``"same"``.
            dilation: distance of the kernel's elements.
            bias: whether to add a bias.
            channel_groups: consecutive blocks of channels that are predicted in turn (3 for RGB).
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            ValueError: the type is unknown, a size even, or the groups do not divide the channels.
        """
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, 1, bias),
            *("zeros", device, dtype),
        )
        self.mask_type = mask_type
        self.channel_groups = checked_int("MaskedConv2d", "channel_groups", channel_groups)
        if mask_type not in ("A", "B"):
            raise ValueError(f"MaskedConv2d: mask_type is {mask_type!r}, expected 'A' or 'B'")
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"MaskedConv2d: kernel_size is {self.kernel_size}, expected odd sizes")
        if in_channels % channel_groups or out_channels % channel_groups:
            raise ValueError(
                f"MaskedConv2d: channel_groups is {channel_groups}, expected a divisor of "
                f"{in_channels} and {out_channels} channels"
            )
        mask = tensor(self._mask(), device=self.weight.device)
        self.register_buffer("mask", mask, persistent=False)

    def _mask(self) -> Any:
        height, width = self.kernel_size
        mask = np.zeros(self.weight.shape, bool)
        mask[:, :, : height // 2] = True
        mask[:, :, height // 2, : width // 2] = True
        groups = self.channel_groups
        outputs = np.arange(self.out_channels) * groups // self.out_channels
        inputs = np.arange(self.in_channels) * groups // self.in_channels
        earlier = np.less if self.mask_type == "A" else np.less_equal
        mask[:, :, height // 2, width // 2] = earlier.outer(inputs, outputs).T
        return mask

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out); N may be left out."""
        options = (self.stride, self.padding, self.dilation)
        return F.masked_conv2d(input, self.weight, self.mask, self.bias, *options)

    def extra_repr(self) -> str:
        """Return the mask, and what `Conv2d` says."""
        return f"{self.mask_type!r}, {super().extra_repr()}, channel_groups={self.channel_groups}"
