# SPDX-License-Identifier: Apache-2.0
"""Convolution (cross-correlation) and transposed convolution over any number of spatial axes.

x (N, C, *spatial); w (O, C/groups, *kernel), transposed w (C, O/groups, *kernel); b (O) or None.
stride, padding, dilation, output_padding hold one integer per spatial axis; padding is zeros on
both sides. Each kernel offset ("tap") meets a strided slice of the padded input, and the result
is the sum over taps of one channel contraction per group (Dumoulin & Visin 2016, ch. 2 and 4).
"""

from typing import Any

import numpy as np

from . import Array


def _tap(
    offset: tuple[int, ...],
    count: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Any, ...]:
    """Index of the `count` positions per axis that one kernel offset touches."""
    starts = [o * d for o, d in zip(offset, dilation, strict=True)]
    return ..., *(slice(i, i + n * s, s) for i, n, s in zip(starts, count, stride, strict=True))


def _pad(x: Array, padding: tuple[int, ...]) -> Array:
    return np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])


def _crop(x: Array, padding: tuple[int, ...]) -> Array:
    """Reverse of _pad."""
    inner = (slice(p, n - p) for p, n in zip(padding, x.shape[2:], strict=True))
    return x[:, :, *inner]


def _group_channels(x: Array, groups: int) -> Array:
    """(N, C, *spatial) -> (N, groups, C/groups, *spatial)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _group_weights(w: Array, groups: int) -> Array:
    """(A, B, *kernel) -> (groups, A/groups, B, *kernel)."""
    return w.reshape(groups, w.shape[0] // groups, *w.shape[1:])


def _correlate_channels(a: Array, b: Array) -> Array:
    """a (N, G, A, *spatial), b (N, G, B, *spatial) -> (G, A, B), summed over N and positions."""
    a = a.reshape(*a.shape[:3], int(np.prod(a.shape[3:])))
    b = b.reshape(*b.shape[:3], int(np.prod(b.shape[3:])))
    return np.einsum("ngap,ngbp->gab", a, b)


def conv_forward(
    x: Array,
    w: Array,
    b: Array | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Array:
    """y[n, o, t] = b[o] + sum over c, k of w[o, c, k] x[n, c, t*stride - padding + k*dilation]."""
    kernel, padded = w.shape[2:], _pad(x, padding)
    out = tuple(
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    )
    padded, weights = _group_channels(padded, groups), _group_weights(w, groups)
    y = np.zeros((x.shape[0], groups, w.shape[0] // groups, *out))
    for offset in np.ndindex(*kernel):
        seen = padded[_tap(offset, out, stride, dilation)]
        y += np.einsum("ngc...,goc->ngo...", seen, weights[..., *offset])
    y = y.reshape(x.shape[0], w.shape[0], *out)
    return y if b is None else y + b.reshape(-1, *(1 for _ in out))


def conv_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Returns dx, dw, db."""
    kernel, out = w.shape[2:], dy.shape[2:]
    db = dy.sum(axis=(0, *range(2, dy.ndim)))
    padded = _group_channels(_pad(x, padding), groups)
    weights, dy = _group_weights(w, groups), _group_channels(dy, groups)
    dpadded, dweights = np.zeros_like(padded), np.zeros_like(weights)
    for offset in np.ndindex(*kernel):
        tap = _tap(offset, out, stride, dilation)
        dpadded[tap] += np.einsum("ngo...,goc->ngc...", dy, weights[..., *offset])
        dweights[..., *offset] = _correlate_channels(dy, padded[tap])
    dpadded = dpadded.reshape(*x.shape[:2], *dpadded.shape[3:])
    return _crop(dpadded, padding), dweights.reshape(w.shape), db


def conv_transpose_forward(
    x: Array,
    w: Array,
    b: Array | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Array:
    """The adjoint of conv: y[n, o, t*stride - padding + k*dilation] += x[n, c, t] w[c, o, k].

    `output_padding` lengthens the far end of y.
    """
    size, kernel = x.shape[2:], w.shape[2:]
    full = tuple(
        (n - 1) * s + d * (k - 1) + 1 + extra
        for n, k, s, d, extra in zip(size, kernel, stride, dilation, output_padding, strict=True)
    )
    inputs, weights = _group_channels(x, groups), _group_weights(w, groups)
    y = np.zeros((x.shape[0], groups, w.shape[1], *full))
    for offset in np.ndindex(*kernel):
        tap = _tap(offset, size, stride, dilation)
        y[tap] += np.einsum("ngc...,gco->ngo...", inputs, weights[..., *offset])
    y = _crop(y.reshape(x.shape[0], groups * w.shape[1], *full), padding)
    return y if b is None else y + b.reshape(-1, *(1 for _ in size))


def conv_transpose_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Returns dx, dw, db; output_padding is already in the shape of dy."""
    size, kernel = x.shape[2:], w.shape[2:]
    db = dy.sum(axis=(0, *range(2, dy.ndim)))
    dy = _group_channels(_pad(dy, padding), groups)
    inputs, weights = _group_channels(x, groups), _group_weights(w, groups)
    dinputs, dweights = np.zeros_like(inputs), np.zeros_like(weights)
    for offset in np.ndindex(*kernel):
        seen = dy[_tap(offset, size, stride, dilation)]
        dinputs += np.einsum("ngo...,gco->ngc...", seen, weights[..., *offset])
        dweights[..., *offset] = _correlate_channels(inputs, seen)
    return dinputs.reshape(x.shape), dweights.reshape(w.shape), db
