# SPDX-License-Identifier: Apache-2.0
"""Synthetic problems: a `TensorDataset` of inputs and targets each.

``x, y = moons(200, seed=0).tensors`` gives the tensors. Unless said otherwise inputs are float32 of
shape (N, 2) and targets class indices, int64 of shape (N,). ``noise`` is the standard deviation of
what is added to every input. ``seed`` is an int, a Generator, or None for the library's generator.
Samples come in random order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.dataset import TensorDataset
from gradsmith.data.keyed_random import generator_of
from gradsmith.ops.options import check_int, check_number


def _count(op: str, argument: str, value: Any) -> int:
    if check_int(op, argument, value) < 1:
        raise ValueError(f"{op}: {argument} is {value}, expected at least 1")
    return int(value)


def _not_negative(op: str, argument: str, value: Any) -> float:
    if not check_number(op, argument, value) >= 0:
        raise ValueError(f"{op}: {argument} is {value}, expected >= 0")
    return float(value)


def _shares(count: int, parts: int) -> list[int]:
    """Split a number into almost equal parts, the larger ones first."""
    return [count // parts + (part < count % parts) for part in range(parts)]


def _classes(
    op: str, parts: list[Array], noise: float, random: np.random.Generator
) -> TensorDataset:
    """Return the points of each class in random order, with noise."""
    points = np.concatenate(parts)
    points = points + random.normal(size=points.shape) * _not_negative(op, "noise", noise)
    labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = random.permutation(len(points))
    return TensorDataset(points[order].astype(np.float32), labels[order])


def _on_circle(angles: Array) -> Array:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def xor(n_samples: int = 4, *, noise: float = 0.0, seed: Any = None) -> TensorDataset:
    """Return the corners of the unit square; class 1 where exactly one coordinate is 1.

    The corners share the samples: (0, 0) and (1, 1) are class 0, (0, 1) and (1, 0) class 1.
    """
    random = generator_of("xor", seed)
    counts = _shares(_count("xor", "n_samples", n_samples), 4)
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    points = [np.tile(corner, (n, 1)) for corner, n in zip(corners, counts, strict=True)]
    both = [np.concatenate(points[0::2]), np.concatenate(points[1::2])]
    return _classes("xor", both, noise, random)


def moons(n_samples: int = 100, *, noise: float = 0.0, seed: Any = None) -> TensorDataset:
    """Return two half circles that reach into each other, as scikit-learn's ``make_moons``."""
    random = generator_of("moons", seed)
    outer, inner = _shares(_count("moons", "n_samples", n_samples), 2)
    upper = _on_circle(np.linspace(0, np.pi, outer))
    lower = np.array([1.0, 0.5]) - _on_circle(np.linspace(0, np.pi, inner))
    return _classes("moons", [upper, lower], noise, random)


def circles(
    n_samples: int = 100, *, noise: float = 0.0, factor: float = 0.8, seed: Any = None
) -> TensorDataset:
    """Return a unit circle (class 0) around one of radius ``factor``, as ``make_circles``."""
    if not 0 <= check_number("circles", "factor", factor) < 1:
        raise ValueError(f"circles: factor is {factor}, expected 0 <= it < 1")
    random = generator_of("circles", seed)
    counts = _shares(_count("circles", "n_samples", n_samples), 2)
    outer, inner = (_on_circle(np.linspace(0, 2 * np.pi, n, endpoint=False)) for n in counts)
    return _classes("circles", [outer, factor * inner], noise, random)


def spirals(
    n_samples: int = 100,
    n_classes: int = 2,
    *,
    turns: float = 1.0,
    noise: float = 0.0,
    seed: Any = None,
) -> TensorDataset:
    """Return one arm per class that winds from the middle out to radius 1."""
    check_number("spirals", "turns", turns)
    random = generator_of("spirals", seed)
    count = _count("spirals", "n_classes", n_classes)
    arms = []
    for arm, size in enumerate(_shares(_count("spirals", "n_samples", n_samples), count)):
        radius = (np.arange(size) + 0.5) / max(size, 1)
        angles = 2 * np.pi * (turns * radius + arm / count)
        arms.append(radius[:, None] * _on_circle(angles))
    return _classes("spirals", arms, noise, random)


def blobs(
    n_samples: int = 100,
    centers: Any = 3,
    n_features: int = 2,
    *,
    cluster_std: float = 1.0,
    center_box: tuple[float, float] = (-10.0, 10.0),
    seed: Any = None,
) -> TensorDataset:
    """Return isotropic Gaussian clouds, as scikit-learn's ``make_blobs``.

    Args:
        n_samples: points of all classes together.
        centers: how many, drawn uniformly from ``center_box``; or an array (K, D) of them.
        n_features: D, for centers that are drawn.
        cluster_std: standard deviation of each coordinate.
        center_box: bounds of every coordinate of a drawn center.
        seed: see above.

    Returns:
        TensorDataset of float32 (N, D) and int64 (N,).
    """
    random = generator_of("blobs", seed)
    if np.ndim(centers) == 0:
        shape = (_count("blobs", "centers", centers), _count("blobs", "n_features", n_features))
        places = random.uniform(*center_box, size=shape)
    else:
        places = np.asarray(centers, dtype=np.float64)
        if places.ndim != 2 or not len(places):
            raise ValueError(f"blobs: centers have shape {places.shape}, expected (K, D)")
    counts = _shares(_count("blobs", "n_samples", n_samples), len(places))
    clouds = [np.tile(place, (n, 1)) for place, n in zip(places, counts, strict=True)]
    return _classes("blobs", clouds, _not_negative("blobs", "cluster_std", cluster_std), random)


def multivariate_normal(
    n_samples: int = 100, mean: Any = (0.0, 0.0), cov: Any = None, *, seed: Any = None
) -> TensorDataset:
    """Return Gaussian clouds with full covariance, one per class.

    Args:
        n_samples: points of all classes together.
        mean: of shape (D,) for one class, or (K, D).
        cov: covariance of shape (D, D), for every class, or (K, D, D); None: the identity.
        seed: see above.

    Returns:
        TensorDataset of float32 (N, D) and int64 (N,).

    Raises:
        ValueError: shapes do not fit, or a covariance is not symmetric and positive semidefinite.
    """
    op = "multivariate_normal"
    random = generator_of(op, seed)
    means = np.atleast_2d(np.asarray(mean, dtype=np.float64))
    count, size = means.shape
    covs = np.asarray(np.eye(size) if cov is None else cov, dtype=np.float64)
    if covs.shape not in ((size, size), (count, size, size)):
        raise ValueError(f"{op}: cov has shape {covs.shape}, mean has {np.shape(mean)}")
    clouds = []
    for which, n in enumerate(_shares(_count(op, "n_samples", n_samples), count)):
        own = covs if covs.ndim == 2 else covs[which]
        values, vectors = np.linalg.eigh(own)
        if not np.allclose(own, own.T) or values.min() < -1e-8 * max(1.0, values.max()):
            raise ValueError(f"{op}: covariance {which} is not symmetric, positive semidefinite")
        factor = vectors * np.sqrt(values.clip(0))
        clouds.append(means[which] + random.normal(size=(n, size)) @ factor.T)
    return _classes(op, clouds, 0.0, random)


def sines(
    n_samples: int = 100,
    length: int = 50,
    horizon: int = 1,
    *,
    n_waves: int = 2,
    noise: float = 0.0,
    seed: Any = None,
) -> TensorDataset:
    """Return series to forecast: sums of sine waves of random frequency, phase and height.

    Frequencies are 1 to 6 periods over ``length`` steps, heights 0.2 to 1, divided by ``n_waves``.

    Returns:
        TensorDataset of float32 (N, length, 1), the past, and float32 (N, horizon, 1), what comes
        next. Noise is on both.
    """
    random = generator_of("sines", seed)
    shape = (_count("sines", "n_samples", n_samples), _count("sines", "n_waves", n_waves), 1)
    past = _count("sines", "length", length)
    steps = np.arange(past + _count("sines", "horizon", horizon)) / past
    frequency = random.uniform(1, 6, size=shape)
    phase = random.uniform(0, 2 * np.pi, size=shape)
    height = random.uniform(0.2, 1, size=shape) / n_waves
    series = (height * np.sin(2 * np.pi * frequency * steps + phase)).sum(axis=1)
    series += random.normal(size=series.shape) * _not_negative("sines", "noise", noise)
    columns = series[..., None].astype(np.float32)
    return TensorDataset(columns[:, :past].copy(), columns[:, past:].copy())
