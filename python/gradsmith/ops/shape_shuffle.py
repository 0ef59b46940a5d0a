# SPDX-License-Identifier: Apache-2.0
"""Elements moved between channels and planes: pixel shuffle, space to depth, channel shuffle."""

from __future__ import annotations

from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.shape import permute, reshape
from gradsmith.tensor import Tensor, array_of


def _factor(op: str, argument: str, value: int) -> int:
    if check_int(op, argument, value) < 1:
        raise ValueError(f"{op}: {argument} is {value}, expected at least 1")
    return value


def _check(op: str, shape: tuple[int, ...], fits: bool, expected: str) -> None:
    if len(shape) < 3 or not fits:
        raise ValueError(f"{op}: input has shape {shape}, expected (..., C, H, W) with {expected}")


def _to_planes(op: str, input: Tensor, r: int, channels_last: bool) -> Tensor:
    """Spread r * r channels over the planes; channels count fastest or slowest among them."""
    shape = array_of(op, input).shape
    _check(op, shape, len(shape) > 2 and shape[-3] % (r * r) == 0, f"C divisible by {r * r}")
    *lead, channels, height, width = shape
    n, depth = len(lead), channels // (r * r)
    split = (r, r, depth) if channels_last else (depth, r, r)
    c, i, j = (n + 2, n, n + 1) if channels_last else (n, n + 1, n + 2)
    apart = reshape(input, (*lead, *split, height, width))
    woven = permute(apart, (*range(n), c, n + 3, i, n + 4, j))
    return reshape(woven, (*lead, depth, height * r, width * r))


def _to_channels(op: str, input: Tensor, r: int, channels_last: bool) -> Tensor:
    """Do the inverse of `_to_planes`."""
    shape = array_of(op, input).shape
    fits = len(shape) > 2 and shape[-2] % r == 0 and shape[-1] % r == 0
    _check(op, shape, fits, f"H and W divisible by {r}")
    *lead, channels, height, width = shape
    n = len(lead)
    apart = reshape(input, (*lead, channels, height // r, r, width // r, r))
    c, i, j = n, n + 2, n + 4
    order = (i, j, c) if channels_last else (c, i, j)
    woven = permute(apart, (*range(n), *order, n + 1, n + 3))
    return reshape(woven, (*lead, channels * r * r, height // r, width // r))


@names_errors
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Return (..., C r^2, H, W) as (..., C, H r, W r): sub-pixels from channels (Shi 2016).

    Element (c, h r + i, w r + j) is that of channel c r^2 + i r + j at (h, w).

    Raises:
        ValueError: the channels are not divisible by r^2.
    """
    r = _factor("pixel_shuffle", "upscale_factor", upscale_factor)
    return _to_planes("pixel_shuffle", input, r, channels_last=False)


@names_errors
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Return (..., C, H r, W r) as (..., C r^2, H, W), the inverse of `pixel_shuffle`.

    Raises:
        ValueError: height or width are not divisible by r.
    """
    r = _factor("pixel_unshuffle", "downscale_factor", downscale_factor)
    return _to_channels("pixel_unshuffle", input, r, channels_last=False)


@names_errors
def space_to_depth(input: Tensor, block_size: int) -> Tensor:
    """Return (..., C, H r, W r) as (..., C r^2, H, W), the place in the block counting slowest.

    Channel (i r + j) C + c of the result is channel c at (h r + i, w r + j): TensorFlow's order,
    and what YOLO v2 (Redmon 2016) means by its reorganisation of 26 x 26 x 64 to 13 x 13 x 256.
    `pixel_unshuffle` has the same elements in the order c r^2 + i r + j.

    Raises:
        ValueError: height or width are not divisible by the block size.
    """
    r = _factor("space_to_depth", "block_size", block_size)
    return _to_channels("space_to_depth", input, r, channels_last=True)


@names_errors
def depth_to_space(input: Tensor, block_size: int) -> Tensor:
    """Return (..., C r^2, H, W) as (..., C, H r, W r), the inverse of `space_to_depth`.

    Raises:
        ValueError: the channels are not divisible by the square of the block size.
    """
    r = _factor("depth_to_space", "block_size", block_size)
    return _to_planes("depth_to_space", input, r, channels_last=True)


@names_errors
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Return (N, C, ...) with the channels of the groups in turn (Zhang 2017, ShuffleNet).

    Raises:
        ValueError: there are no channels, or the groups do not divide them.
    """
    shape = array_of("channel_shuffle", input).shape
    _factor("channel_shuffle", "groups", groups)
    if len(shape) < 3 or shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: input has shape {shape}, expected (N, C, ...) of at least 3 "
            f"dimensions with C divisible by {groups}"
        )
    apart = reshape(input, (shape[0], groups, shape[1] // groups, *shape[2:]))
    return reshape(permute(apart, (0, 2, 1, *range(3, apart.ndim))), shape)
