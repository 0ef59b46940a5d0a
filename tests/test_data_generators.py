# SPDX-License-Identifier: Apache-2.0
"""The synthetic problems: seeded, and of the shapes that their names say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradsmith.data import generators


@pytest.mark.parametrize("name", ["xor", "moons", "circles", "spirals", "blobs"])
def test_generators_are_seeded(name: str) -> None:
    make: Callable[..., Any] = getattr(generators, name)
    x, y = make(31, seed=3).tensors
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((31, 2), np.float32, (31,), np.int64)
    again = make(31, seed=3).tensors
    np.testing.assert_array_equal(x.numpy(), again[0].numpy())
    assert y.tolist() == again[1].tolist()
    assert y.tolist() != make(31, seed=4).tensors[1].tolist()
    counts = np.bincount(y.numpy())
    assert counts.max() - counts.min() <= 1
    with pytest.raises(ValueError, match="n_samples is 0"):
        make(0)


def test_xor() -> None:
    x, y = generators.xor(10, seed=0).tensors
    assert sorted(map(tuple, x.tolist()))[::3][:1] == [(0, 0)]
    assert [int(a != b) for a, b in x.tolist()] == y.tolist()
    noisy = generators.xor(4000, noise=0.1, seed=0).tensors[0].numpy()
    assert abs((noisy - noisy.round()).std() - 0.1) < 0.005


def test_shapes_of_generators() -> None:
    x, y = (t.numpy() for t in generators.moons(101, seed=0).tensors)
    np.testing.assert_allclose(np.hypot(*x[y == 0].T), 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*(x[y == 1] - [1, 0.5]).T), 1, atol=1e-6)
    assert x[y == 0, 1].min() > -1e-6
    assert x[y == 1, 1].max() < 0.5 + 1e-6
    x, y = (t.numpy() for t in generators.circles(50, factor=0.3, seed=0).tensors)
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 0, 1, 0.3), atol=1e-6)
    x, y = (t.numpy() for t in generators.spirals(60, 3, turns=0, seed=0).tensors)
    np.testing.assert_allclose(np.arctan2(x[:, 1], x[:, 0]) % 6.28319, y * 2 * np.pi / 3, atol=1e-4)
    assert np.hypot(*x.T).max() < 1
    with pytest.raises(ValueError, match="factor is 1"):
        generators.circles(factor=1)
    with pytest.raises(ValueError, match="noise is -1"):
        generators.moons(noise=-1)


def test_blobs_and_normal() -> None:
    centers = [[0, 0, 5], [100, 0, 0]]
    x, y = (t.numpy() for t in generators.blobs(2000, centers, cluster_std=2, seed=1).tensors)
    np.testing.assert_allclose(x[y == 1].mean(0), centers[1], atol=0.3)
    np.testing.assert_allclose(x[y == 0].std(0), 2, atol=0.2)
    cov = np.array([[2, 1.5], [1.5, 3]])
    x, y = (t.numpy() for t in generators.multivariate_normal(4000, [1, -1], cov, seed=1).tensors)
    np.testing.assert_allclose(np.cov(x.T), cov, atol=0.25)
    assert set(y.tolist()) == {0}
    two = generators.multivariate_normal(9, [[0, 0], [9, 9]], [cov, 0 * cov], seed=1)
    x, y = (t.numpy() for t in two.tensors)
    assert x[y == 1].tolist() == [[9, 9]] * 4
    with pytest.raises(ValueError, match="covariance 0 is not symmetric"):
        generators.multivariate_normal(9, [0, 0], [[1, 2], [2, 1]])
    with pytest.raises(ValueError, match="cov has shape"):
        generators.multivariate_normal(9, [0, 0], [1, 2])
    with pytest.raises(ValueError, match="centers have shape"):
        generators.blobs(9, [1, 2])


def test_sines() -> None:
    past, future = generators.sines(5, 40, 3, n_waves=1, seed=2).tensors
    assert (past.shape, future.shape) == ((5, 40, 1), (5, 3, 1))
    series = np.concatenate([past.numpy(), future.numpy()], axis=1)[..., 0].astype(np.float64)
    # A sampled sine obeys s[t-1] + s[t+1] = 2 cos(w) s[t].
    for row in series:
        ratio = np.linalg.lstsq(row[1:-1, None], row[:-2] + row[2:], rcond=None)[0]
        np.testing.assert_allclose(row[:-2] + row[2:], row[1:-1] * ratio, atol=1e-5)
        assert 1 <= np.arccos(ratio[0] / 2) * 40 / (2 * np.pi) <= 6
