# SPDX-License-Identifier: Apache-2.0
"""What tensors are made of, objects as tensors, windows, low-rank factors, the generator's fork."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import data
from tests.cases import HAS_SIMULATOR

X = gs.tensor([[1.0, 2.0, 3.0]])


def test_constants() -> None:
    assert (gs.pi, gs.e, gs.inf) == (math.pi, math.e, math.inf)
    assert math.isnan(gs.nan)
    assert X[:, gs.newaxis].shape == (1, 1, 3)


def test_what_a_tensor_is() -> None:
    assert not gs.is_complex(X)
    assert not X.is_complex()
    assert gs.is_nonzero(gs.tensor([[0.5]]))
    assert not gs.tensor(False).is_nonzero()
    assert [gs.is_signed(X.to(d)) for d in (gs.float32, gs.int64, gs.uint8, bool)] == [
        True, True, False, False
    ]  # fmt: skip
    assert X.is_same_size(X + 1)
    assert not gs.is_same_size(X, X.T)
    assert X.is_cpu
    assert not X.is_cuda
    assert X.get_device() == -1
    assert X.byte().dtype == gs.uint8


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator")
def test_where_a_tensor_is() -> None:
    there = X.to("cudasim")
    assert not there.is_cpu
    assert not there.is_cuda
    assert gs.get_device(there) == 0


def test_sum_to_size() -> None:
    x = gs.arange(24.0).reshape(2, 3, 4).requires_grad_()
    assert x.sum_to_size(3, 1).tolist() == x.sum(0).sum(1, keepdim=True).tolist()
    assert x.sum_to_size((2, 3, 4)) is x
    assert x.sum_to_size(()).item() == x.sum().item()
    x.sum_to_size(1, 4).sum().backward()
    assert gs.equal(x.grad, gs.ones_like(x))
    for size in ((2, 2, 4), (1, 1, 2, 3, 4)):
        with pytest.raises(ValueError, match="sum_to_size: size"):
            x.sum_to_size(size)


def test_asarray() -> None:
    array = np.arange(3.0)
    assert gs.asarray(array).data_ptr() == array.ctypes.data
    assert gs.asarray(array, copy=True).data_ptr() != array.ctypes.data
    assert gs.asarray(X) is X
    assert gs.asarray(X, copy=False) is X
    assert gs.asarray(X, copy=True).data_ptr() != X.data_ptr()
    assert gs.asarray([1, 2], dtype=gs.float64).tolist() == [1.0, 2.0]
    assert gs.asarray(3.0, requires_grad=True).requires_grad
    for call in (
        lambda: gs.asarray([1.0], copy=False),
        lambda: gs.asarray(X, dtype=gs.float64, copy=False),
    ):
        with pytest.raises(ValueError, match="asarray: copy is False"):
            call()
    with pytest.raises(TypeError, match="asarray: copy is a int"):
        gs.asarray(X, copy=1)
    with pytest.raises(ValueError, match="is_nonzero: input has shape"):
        gs.is_nonzero(X)


# ---- windows -------------------------------------------------------------------------------------

WINDOWS = {
    "bartlett_window": np.bartlett,
    "hann_window": np.hanning,
    "hamming_window": np.hamming,
    "blackman_window": np.blackman,
    "kaiser_window": lambda n: np.kaiser(n, 12.0),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("length", [0, 1, 2, 5, 8])
def test_windows(name: str, length: int) -> None:
    window = getattr(gs, name)
    symmetric = window(length, False, dtype=gs.float64).numpy()
    np.testing.assert_allclose(symmetric, WINDOWS[name](length), atol=1e-12)
    periodic = window(length, dtype=gs.float64).numpy()
    expected = WINDOWS[name](length + 1)[:-1] if length != 1 else np.ones(1)
    np.testing.assert_allclose(periodic, expected, atol=1e-12)


def test_options_of_windows() -> None:
    assert gs.hann_window(3, requires_grad=True).requires_grad
    assert gs.hann_window(3).dtype == gs.float32
    np.testing.assert_allclose(
        gs.hamming_window(5, False, 0.6, 0.4).numpy(), [0.2, 0.6, 1.0, 0.6, 0.2], rtol=1e-6
    )
    np.testing.assert_allclose(
        gs.kaiser_window(5, False, beta=3.0).numpy(), np.kaiser(5, 3.0), rtol=1e-6
    )
    with pytest.raises(ValueError, match="hann_window: window_length is -1"):
        gs.hann_window(-1)
    with pytest.raises(TypeError, match="kaiser_window: dtype is int64"):
        gs.kaiser_window(3, dtype=gs.int64)
    with pytest.raises(TypeError, match="kaiser_window: beta is a str"):
        gs.kaiser_window(3, beta="a")


# ---- low rank ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (2, 12, 7)])
def test_the_largest_singular_values(shape: tuple[int, ...]) -> None:
    gs.manual_seed(0)
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((*shape[:-1], 3)), rng.standard_normal((3, shape[-1]))
    x = gs.tensor(left @ right)
    u, s, v = gs.svd_lowrank(x, q=3)
    np.testing.assert_allclose((u * s[..., None, :] @ v.mT).numpy(), x.numpy(), atol=1e-10)
    expected = np.linalg.svd(x.numpy(), compute_uv=False)[..., :3]
    np.testing.assert_allclose(s.numpy(), expected, rtol=1e-10)
    less = gs.svd_lowrank(x + 2, q=3, M=gs.full(shape, 2.0, dtype=gs.float64))
    np.testing.assert_allclose(less.S.numpy(), expected, rtol=1e-10)


def test_principal_components() -> None:
    gs.manual_seed(0)
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((200, 5)) * [5.0, 2.0, 0.1, 0.1, 0.1] + 7.0
    _, s, v = gs.pca_lowrank(gs.tensor(samples), q=4, niter=4)
    variances = np.linalg.eigvalsh(np.cov(samples.T))[::-1]
    np.testing.assert_allclose((s**2 / 199).numpy()[:2], variances[:2], rtol=1e-6)
    assert v.shape == (5, 4)
    assert abs(v[0, 0].item()) > 0.99
    off_centre = gs.pca_lowrank(gs.tensor(samples), center=False)
    assert off_centre.S[0].item() > 2 * s[0].item()


def test_low_rank_refusals() -> None:
    with pytest.raises(ValueError, match="svd_lowrank: q is 4, expected 0 to 3"):
        gs.svd_lowrank(gs.ones(3, 5), q=4)
    with pytest.raises(ValueError, match="pca_lowrank: A has shape"):
        gs.pca_lowrank(gs.ones(3))
    with pytest.raises(ValueError, match="svd_lowrank: niter is -1"):
        gs.svd_lowrank(gs.ones(3, 5), 2, -1)
    with pytest.raises(TypeError, match="pca_lowrank: center is a int"):
        gs.pca_lowrank(gs.ones(3, 5), center=1)


# ---- generator and data --------------------------------------------------------------------------


def test_fork_of_the_generator() -> None:
    gs.manual_seed(3)
    expected = gs.rand(4).tolist()
    gs.manual_seed(3)
    with pytest.raises(ValueError, match="low"), gs.random.fork_rng():
        gs.rand(9).uniform_(1.0, 0.0)
    with gs.random.fork_rng():
        gs.rand(2)
    assert gs.rand(4).tolist() == expected
    gs.manual_seed(3)
    with gs.random.fork_rng(enabled=False):
        gs.rand(2)
    assert gs.rand(4).tolist() != expected


class Numbers(data.IterableDataset[int]):
    def __init__(self, stop: int) -> None:
        self.stop = stop

    def __iter__(self) -> Any:
        return iter(range(self.stop))

    def __len__(self) -> int:
        return self.stop


def test_streams_in_a_chain() -> None:
    chain: data.ChainDataset[int] = data.ChainDataset([Numbers(2), Numbers(0), Numbers(3)])
    assert list(chain) == list(chain) == [0, 1, 0, 1, 2]
    assert len(chain) == 5
    batches = list(data.DataLoader(chain, 2))
    assert [each.tolist() for each in batches] == [[0, 1], [0, 1], [2]]
    with pytest.raises(TypeError, match="ChainDataset: dataset 1 is a list"):
        data.ChainDataset([Numbers(1), [1, 2]])


def test_datasets_side_by_side() -> None:
    pairs = data.StackDataset([10, 20, 30], data.TensorDataset(gs.arange(3)))
    assert len(pairs) == 3
    assert pairs[-1] == (30, (gs.tensor(2),))
    named = data.StackDataset(x=[1, 2], y=["a", "b"])
    assert named[1] == {"x": 2, "y": "b"}
    (batch,) = data.DataLoader(named, 2)
    assert batch["x"].tolist() == [1, 2]
    assert batch["y"] == ["a", "b"]
    with pytest.raises(ValueError, match=r"StackDataset: the datasets have \[1, 2\] samples"):
        data.StackDataset([1], [1, 2])
    for arguments, named_ones in (((), {}), (([1],), {"x": [1]})):
        with pytest.raises(ValueError, match="StackDataset: expected datasets"):
            data.StackDataset(*arguments, **named_ones)
    with pytest.raises(IndexError, match="StackDataset: index 3"):
        pairs[3]


@pytest.mark.gpu
def test_memory_of_the_gpu() -> None:
    before = gs.cuda.memory_allocated()
    x = gs.ones(1024, 1024, device="cuda")
    assert gs.cuda.memory_allocated() >= before + x.nbytes
    assert gs.cuda.memory_reserved() >= gs.cuda.memory_allocated()
    free, total = gs.cuda.mem_get_info()
    assert 0 < free < total
    assert gs.cuda.is_bf16_supported()
