# SPDX-License-Identifier: Apache-2.0
"""Memory shared with other libraries: DLPack on the CPU and on GPUs, `gs.cuda`."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs


def test_dlpack_to_numpy_shares_memory():
    x = gs.arange(6).reshape(2, 3)
    array = np.from_dlpack(x)
    assert array.shape == (2, 3)
    x[0, 0] = 7
    assert array[0, 0] == 7


def test_dlpack_from_numpy_shares_memory():
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    x = gs.from_dlpack(array)
    assert x.shape == (3, 2)
    assert x.stride() == (1, 3)
    array[2, 1] = -1
    assert x[2, 1].item() == -1


def test_dlpack_through_our_own_tensor():
    x = gs.tensor([1.0, 2.0])
    y = gs.from_dlpack(x)
    assert y.data_ptr() == x.data_ptr()
    assert x.__dlpack_device__() == (1, 0)


def test_dlpack_refuses_a_tensor_on_the_tape():
    x = gs.tensor([1.0], requires_grad=True)
    with pytest.raises(BufferError, match="detach"):
        x.__dlpack__()
    assert np.from_dlpack(x.detach()).tolist() == [1.0]


def test_from_dlpack_refuses_other_things():
    with pytest.raises(TypeError, match="__dlpack__"):
        gs.from_dlpack([1.0])
    with pytest.raises(TypeError, match="complex64"):
        gs.from_dlpack(np.zeros(2, np.complex64))


def test_from_dlpack_names_an_unknown_device():
    class Elsewhere:
        def __dlpack__(self, **options: object) -> object:
            raise AssertionError("not to be asked")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (10, 0)

    with pytest.raises(ValueError, match="device type 10"):
        gs.from_dlpack(Elsewhere())


def test_cpu_tensors_have_no_cuda_array_interface():
    assert not hasattr(gs.zeros(2), "__cuda_array_interface__")


def test_the_simulator_shares_nothing():
    try:
        x = gs.zeros(2, device="cudasim")
    except RuntimeError:
        pytest.skip("this build has no simulator")
    with pytest.raises(BufferError, match="cudasim"):
        x.__dlpack__()
    assert not hasattr(x, "__cuda_array_interface__")


@pytest.mark.torch
def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    x = gs.tensor([[1.0, 2.0], [3.0, 4.0]])
    theirs = torch.from_dlpack(x)
    theirs[0, 0] = 5
    assert x[0, 0].item() == 5
    assert gs.from_dlpack(theirs).data_ptr() == x.data_ptr()


def test_cuda_says_that_it_is_not_there():
    if gs.cuda.is_available():
        pytest.skip("there is a GPU")
    assert gs.cuda.device_count() == 0
    with pytest.raises(RuntimeError, match="device 'cuda'"):
        gs.cuda.synchronize()


@pytest.mark.gpu
def test_cuda_describes_the_gpu():
    assert gs.cuda.is_available()
    assert gs.cuda.device_count() >= 1
    assert gs.cuda.get_device_name() == gs.cuda.get_device_name(gs.cuda.current_device())
    assert gs.cuda.get_device_capability() >= (8, 0)
    x = gs.zeros(1 << 20, device="cuda")
    stats = gs.cuda.memory_stats()
    assert stats["in_use"] >= x.nbytes
    assert 0 < stats["free"] <= stats["total"]
    del x
    gs.cuda.synchronize()
    gs.cuda.empty_cache()
    assert gs.cuda.memory_stats()["in_use"] < stats["in_use"]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [gs.float32, gs.int64, gs.bfloat16, gs.float16], ids=str)
def test_cuda_arrays_go_both_ways(dtype):
    cupy = pytest.importorskip("cupy")
    x = gs.tensor([1.0, 2.0, 3.0]).to(dtype).to("cuda")
    theirs = cupy.from_dlpack(x)
    assert theirs.data.ptr == x.data_ptr()
    assert gs.from_dlpack(theirs).data_ptr() == x.data_ptr()
    assert x.__dlpack_device__()[0] == 2
    assert x.__cuda_array_interface__["data"][0] == x.data_ptr()
    assert x.cpu().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.gpu
@pytest.mark.torch
def test_cuda_tensors_of_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(4.0, device="cuda").to(torch.bfloat16)
    x = gs.from_dlpack(theirs)
    assert x.dtype == ml_dtypes.bfloat16
    assert (x + x).cpu().tolist() == [0.0, 2.0, 4.0, 6.0]
    assert torch.from_dlpack(x + x).tolist() == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.gpu
def test_cuda_follows_cupys_stream():
    cupy = pytest.importorskip("cupy")
    x = gs.ones(1 << 16, device="cuda")
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.get_current_stream().synchronize()
    with stream:
        y = x + x
    stream.synchronize()
    assert y.sum().item() == 2 * (1 << 16)
