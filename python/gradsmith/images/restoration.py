# SPDX-License-Identifier: Apache-2.0
"""Images freed from blur and noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.ops.options import check_int, check_number

_STEP = 0.125  # of the projection; the method converges up to here


def wiener_deconvolution(image: Array, kernel: Any, noise: float = 0.01) -> Array:
    """Return what a kernel has blurred, by Wiener's filter: F = conj(K) G / (|K|^2 + noise).

    The image counts as periodic. Floats are not clipped.

    Args:
        image: of shape (H, W) or (H, W, C).
        kernel: of shape (odd, odd), no larger than the image; its middle is the origin.
        noise: power of the noise over that of the image; 0 inverts the blur.

    Raises:
        ValueError: the kernel does not fit, or ``noise`` is negative.
    """
    op = "wiener_deconvolution"
    floats = as_floats(check_image(op, image))
    weights = np.asarray(kernel, dtype=np.float64)
    is_odd = weights.ndim == 2 and weights.shape[0] % 2 == 1 and weights.shape[1] % 2 == 1
    if not is_odd or weights.shape[0] > image.shape[0] or weights.shape[1] > image.shape[1]:
        raise ValueError(
            f"{op}: kernel has shape {weights.shape}, expected (odd, odd) within {image.shape[:2]}"
        )
    if not check_number(op, "noise", noise) >= 0:
        raise ValueError(f"{op}: noise is {noise}, expected >= 0")
    spread = np.zeros(image.shape[:2])
    spread[: weights.shape[0], : weights.shape[1]] = weights
    middle = (-(weights.shape[0] // 2), -(weights.shape[1] // 2))
    response = np.fft.rfft2(np.roll(spread, middle, axis=(0, 1)))
    power = np.abs(response) ** 2 + noise
    # Where neither the kernel nor the noise leaves anything, nothing can be won back.
    inverse = np.conj(response) / np.where(power == 0, np.inf, power)
    planes = floats.reshape(*image.shape[:2], -1)
    spectrum = np.fft.rfft2(planes, axes=(0, 1)) * inverse[..., None]
    restored = np.fft.irfft2(spectrum, s=image.shape[:2], axes=(0, 1))
    return in_dtype_of(restored.reshape(image.shape), image)


def _gradient(u: Array) -> Array:
    """Return the differences downwards and to the right, (2, H, W, ...); 0 at the last pixels."""
    slopes = np.zeros((2, *u.shape), dtype=u.dtype)
    slopes[0, :-1] = u[1:] - u[:-1]
    slopes[1, :, :-1] = u[:, 1:] - u[:, :-1]
    return slopes


def _divergence(p: Array) -> Array:
    """Return the divergence, the negative adjoint of `_gradient`."""
    result: Array = np.zeros_like(p[0])
    result[:-1] += p[0, :-1]
    result[1:] -= p[0, :-1]
    result[:, :-1] += p[1, :, :-1]
    result[:, 1:] -= p[1, :, :-1]
    return result


def denoise_total_variation(
    image: Array, weight: float = 0.1, *, max_iter: int = 200, tolerance: float = 3e-4
) -> Array:
    """Return the image u that is near to ``image`` and has little total variation.

    It makes |u - image|^2 / (2 weight) + sum |grad u| smallest, channel by channel: the projection
    of Chambolle, "An algorithm for total variation minimization and applications", 2004.

    Args:
        image: of shape (H, W) or (H, W, C).
        weight: more of it makes flatter images.
        max_iter: the most steps.
        tolerance: stop when no pixel changes by more of white in a step.

    Raises:
        ValueError: the weight is not positive, or there is no step.
    """
    op = "denoise_total_variation"
    floats = as_floats(check_image(op, image))
    if not check_number(op, "weight", weight) > 0:
        raise ValueError(f"{op}: weight is {weight}, expected a positive number")
    if check_int(op, "max_iter", max_iter) < 1:
        raise ValueError(f"{op}: max_iter is {max_iter}, expected at least 1")
    check_number(op, "tolerance", tolerance)
    planes = floats.reshape(*image.shape[:2], -1).transpose(2, 0, 1)
    flat = [
        _projected(np.ascontiguousarray(plane), weight, max_iter, tolerance) for plane in planes
    ]
    return in_dtype_of(np.stack(flat, axis=2).reshape(image.shape), image)


def _projected(plane: Array, weight: float, max_iter: int, tolerance: float) -> Array:
    """Return one channel less the projection of it."""
    dual = np.zeros((2, *plane.shape), dtype=plane.dtype)
    result = plane
    for _ in range(max_iter):
        slopes = _gradient(_divergence(dual) - plane / weight)
        dual += _STEP * slopes
        dual /= 1 + _STEP * np.hypot(slopes[0], slopes[1])
        before, result = result, plane - weight * _divergence(dual)
        if np.abs(result - before).max() <= tolerance:
            break
    return result
