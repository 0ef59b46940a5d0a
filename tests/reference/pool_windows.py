# SPDX-License-Identifier: Apache-2.0
"""Pooling by p-norm and minimum, at random places, and its inverse, plane by plane."""

import math

import numpy as np

from . import Array, Ids


def _blocks(x: Array, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """Return the windows (..., *out, elements) over the last axes."""
    axes = tuple(range(x.ndim - len(kernel), x.ndim))
    views = np.lib.stride_tricks.sliding_window_view(x, kernel, axes)
    steps = tuple(slice(None, None, s) for s in stride)
    every = views[(*(slice(None),) * (x.ndim - len(kernel)), *steps)]
    return every.reshape(*every.shape[: x.ndim], -1)


def lp_pool(x: Array, p: float, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    return (_blocks(x, kernel, stride) ** p).sum(-1) ** (1 / p)


def min_pool(x: Array, kernel: tuple[int, ...], stride: tuple[int, ...]) -> tuple[Array, Ids]:
    """Return the minima and their flat places in the planes."""
    places = np.broadcast_to(
        np.arange(math.prod(x.shape[-len(kernel) :])).reshape(x.shape[-len(kernel) :]), x.shape
    )
    windows, where = _blocks(x, kernel, stride), _blocks(places, kernel, stride)
    best = windows.argmin(-1)[..., None]
    return (
        np.take_along_axis(windows, best, -1)[..., 0],
        np.take_along_axis(where, best, -1)[..., 0],
    )


def subsampling(x: Array, weight: Array, bias: Array, kernel: tuple[int, int]) -> Array:
    sums = _blocks(x, kernel, kernel).sum(-1)
    return weight[:, None, None] * sums + bias[:, None, None]


def max_unpool(x: Array, indices: Ids, size: tuple[int, ...]) -> Array:
    lead = x.shape[: x.ndim - len(size)]
    planes = np.zeros((*lead, math.prod(size)))
    for place in np.ndindex(*lead):
        planes[place][indices[place].ravel()] = x[place].ravel()
    return planes.reshape(*lead, *size)


def fractional_max_pool(
    x: Array, kernel: tuple[int, ...], out: tuple[int, ...], samples: Array
) -> tuple[Array, Ids]:
    """Windows start at floor((i + u) a) - floor(u a) with a = (n - k) / (out - 1), the last at the
    end (Graham 2014); of two numbers u the first is that of the width."""
    y, places = np.zeros((*x.shape[:2], *out)), np.zeros((*x.shape[:2], *out), np.int64)
    for n, c in np.ndindex(*x.shape[:2]):
        numbers = samples[n, c, ::-1] if len(kernel) == 2 else samples[n, c]
        starts = []
        for u, size, width, count in zip(numbers, x.shape[2:], kernel, out, strict=True):
            a = (size - width) / (count - 1)
            inner = [math.floor((i + u) * a) - math.floor(u * a) for i in range(count - 1)]
            starts.append([*inner, size - width])
        for cell in np.ndindex(*out):
            first = [begins[i] for begins, i in zip(starts, cell, strict=True)]
            window = x[n, c][tuple(slice(b, b + k) for b, k in zip(first, kernel, strict=True))]
            best = np.unravel_index(window.argmax(), window.shape)
            y[n, c][cell] = window[best]
            where = tuple(b + i for b, i in zip(first, best, strict=True))
            places[n, c][cell] = np.ravel_multi_index(where, x.shape[2:])
    return y, places
