# SPDX-License-Identifier: Apache-2.0
"""Images of other sizes, and elements moved between channels and planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_int
from gradsmith.tensor import Tensor

Size = int | Sequence[int]


class Upsample(Module):
    """Resizes (N, C, ...) by `functional.interpolate`."""

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        """Remember the options of `functional.interpolate`; the call checks them."""
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None  # type: ignore[arg-type]
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C, *sizes)."""
        return F.interpolate(
            *(input, self.size, self.scale_factor, self.mode, self.align_corners),
            recompute_scale_factor=self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Return the size and the mode."""
        size = f"size={self.size}"
        size = size if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resizes (N, C, H, W) by nearest neighbours."""

    def __init__(
        self, size: Size | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        """Remember the size or the factor."""
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resizes (N, C, H, W) bilinearly, with the corners' centres in place."""

    def __init__(
        self, size: Size | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        """Remember the size or the factor."""
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


class PixelShuffle(Module):
    """(..., C r^2, H, W) to (..., C, H r, W r)."""

    def __init__(self, upscale_factor: int) -> None:
        """Remember the factor r."""
        super().__init__()
        self.upscale_factor = checked_int("PixelShuffle", "upscale_factor", upscale_factor)

    def forward(self, input: Tensor) -> Tensor:
        """Return the larger planes."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., C, H r, W r) to (..., C r^2, H, W)."""

    def __init__(self, downscale_factor: int) -> None:
        """Remember the factor r."""
        super().__init__()
        self.downscale_factor = checked_int("PixelUnshuffle", "downscale_factor", downscale_factor)

    def forward(self, input: Tensor) -> Tensor:
        """Return the smaller planes."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"downscale_factor={self.downscale_factor}"


class _Blocks(Module):
    """Has the option ``block_size``."""

    def __init__(self, block_size: int) -> None:
        """Remember the size of the blocks."""
        super().__init__()
        self.block_size = checked_int(type(self).__name__, "block_size", block_size)

    def extra_repr(self) -> str:
        """Return the size of the blocks."""
        return f"block_size={self.block_size}"


class SpaceToDepth(_Blocks):
    """(..., C, H r, W r) to (..., C r^2, H, W), with the place in the block counting slowest."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the smaller planes."""
        return F.space_to_depth(input, self.block_size)


class DepthToSpace(_Blocks):
    """(..., C r^2, H, W) to (..., C, H r, W r), the inverse of `SpaceToDepth`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the larger planes."""
        return F.depth_to_space(input, self.block_size)


class ChannelShuffle(Module):
    """Takes the channels of (N, C, ...) from the groups in turn."""

    def __init__(self, groups: int) -> None:
        """Remember the number of groups."""
        super().__init__()
        self.groups = checked_int("ChannelShuffle", "groups", groups)

    def forward(self, input: Tensor) -> Tensor:
        """Return the channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """Return the number of groups."""
        return f"groups={self.groups}"
