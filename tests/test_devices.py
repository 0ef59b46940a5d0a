# SPDX-License-Identifier: Apache-2.0
"""Tensors, modules, optimizers and files on every device, compared with the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import backend, nn
from tests.cases import HAS_SIMULATOR, to_array
from tests.test_nn_modules import SAME
from tests.tolerance import assert_close

simulator = pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator")


@pytest.fixture(
    params=[
        pytest.param("cudasim", marks=simulator),
        pytest.param("cuda", marks=pytest.mark.gpu),
    ]
)
def device(request: pytest.FixtureRequest) -> gs.Device:
    return backend.as_device(request.param)


def normal(*shape: int, seed: int = 0) -> gs.Tensor:
    return gs.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def moved(value: Any, device: gs.Device) -> Any:
    """Return an argument on a device: tensors within tuples too."""
    if isinstance(value, tuple):
        return tuple(moved(each, device) for each in value)
    return value.to(device) if isinstance(value, gs.Tensor) else value


# ---- tensors -------------------------------------------------------------------------------------


def test_there_and_back(device: gs.Device) -> None:
    for dtype in backend.DTYPES:
        x = gs.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype)
        there = x.to(device)
        assert there.device == device != x.device
        assert there.dtype == dtype
        assert there.to(device) is there
        assert there.tolist() == x.tolist()
        assert there.T[1:].cpu().tolist() == x.T[1:].tolist()
    x = normal(2, 3, 4, 5).permute(0, 3, 1, 2)
    assert x.to(device).stride() == x.stride()
    assert x.to(device, "float64").dtype == gs.float64
    assert gs.ones(2).to(x.to(device)).device == device
    assert x[:0].to(device).cpu().shape == (0, 5, 3, 4)


def test_a_move_is_on_the_tape(device: gs.Device) -> None:
    x = normal(3).requires_grad_()
    y = (x.to(device) * 2).cpu()
    y.backward(gs.ones(3))
    assert x.grad is not None
    assert x.grad.device == backend.CPU
    assert x.grad.tolist() == [2.0] * 3
    leaf = x.detach().to(device).requires_grad_()
    (leaf * leaf).cpu().backward(gs.ones(3))
    assert leaf.grad is not None
    assert leaf.grad.device == device
    assert leaf.grad.tolist() == (2 * x.detach()).tolist()


def test_numbers_leave_a_device(device: gs.Device) -> None:
    x = gs.tensor([1.5, -2.0], device=device)
    assert repr(x) == f"tensor([ 1.5000, -2.0000], device='{device}')"
    assert (x[0].item(), float(x[1]), len(x), bool(x[0] > 1)) == (1.5, -2.0, 2, True)
    assert [each.item() for each in x] == [1.5, -2.0]
    assert copy.deepcopy(x).device == device
    for refused in (x.numpy, lambda: np.asarray(x), lambda: gs.from_numpy(x._array)):
        with pytest.raises(TypeError, match="cpu"):
            refused()


CREATED: dict[str, Callable[[Any], gs.Tensor]] = {
    "tensor": lambda d: gs.tensor([[1.0, 2.0]], device=d),
    "tensor of a tensor": lambda d: gs.tensor(gs.arange(3), device=d),
    "as_tensor": lambda d: gs.as_tensor(np.ones(2), dtype=gs.float32, device=d),
    "zeros": lambda d: gs.zeros(2, 3, device=d),
    "ones": lambda d: gs.ones(2, 3, device=d),
    "full": lambda d: gs.full((2,), 7, device=d),
    "arange": lambda d: gs.arange(1, 9, 2, device=d),
    "linspace": lambda d: gs.linspace(0, 1, 5, device=d),
    "logspace": lambda d: gs.logspace(0, 1, 5, device=d),
    "eye": lambda d: gs.eye(3, 2, device=d),
    "tril_indices": lambda d: gs.tril_indices(3, 3, device=d),
    "zeros_like": lambda d: gs.zeros_like(gs.ones(2, device=d)),
    "ones_like": lambda d: gs.ones_like(gs.ones(2), device=d),
    "new_zeros": lambda d: gs.ones(2, device=d).new_zeros(3),
    "new_tensor": lambda d: gs.ones(2, device=d).new_tensor([1.0]),
    "rand": lambda d: gs.rand(7, device=d),
    "randn": lambda d: gs.randn(7, device=d),
    "randint": lambda d: gs.randint(9, (7,), device=d),
    "randperm": lambda d: gs.randperm(7, device=d),
    "normal": lambda d: gs.normal(1.0, 2.0, (7,), device=d),
    "normal around": lambda d: gs.normal(gs.zeros(7, device=d), gs.ones(7, device=d)),
    "bernoulli": lambda d: gs.bernoulli(gs.full((7,), 0.5, device=d)),
    "multinomial": lambda d: gs.multinomial(gs.ones(5, device=d), 3),
}


@pytest.mark.parametrize("name", CREATED)
def test_creation(name: str, device: gs.Device) -> None:
    results = []
    for place in ("cpu", device):
        gs.manual_seed(3)
        results.append(CREATED[name](place))
    assert results[1].device == device
    assert results[0].dtype == results[1].dtype
    np.testing.assert_allclose(to_array(results[1]), to_array(results[0]), rtol=1e-6)


# What has no kernel of ours, and everything that takes indices.
FUNCTIONS: dict[str, Callable[[gs.Tensor], Any]] = {
    "sort": lambda x: gs.sort(x, 1, descending=True),
    "argsort": lambda x: gs.argsort(x, 0),
    "topk": lambda x: gs.topk(x, 2),
    "median": lambda x: gs.median(x, 1),
    "quantile": lambda x: gs.quantile(x, 0.3, 0),
    "unique": lambda x: gs.unique((x * 2).to("int64"), return_inverse=True, return_counts=True),
    "nonzero": lambda x: gs.nonzero(x > 0),
    "bincount": lambda x: gs.bincount(gs.arange(4, device=x.device), x[0].abs()),
    "inv": lambda x: (x @ x.T + gs.eye(3, device=x.device)).inv(),
    "det": lambda x: (x @ x.T).det(),
    "tril": lambda x: gs.tril(x),
    "matmul of integers": lambda x: (x * 3).long() @ (x.T * 3).long(),
    "bits": lambda x: ~((x * 9).long() & 6) ^ 1,
    "slice": lambda x: x[1:, ::2],
    "list": lambda x: x[[2, 0, 2]],
    "index": lambda x: x[gs.tensor([[1, 0]], device=x.device), [1, 3]],
    "index of the host": lambda x: x[:, gs.tensor([1, 0])],
    "mask": lambda x: x[x > 0],
    "masked_select": lambda x: gs.masked_select(x, x > 0),
    "one_hot": lambda x: nn.functional.one_hot(gs.arange(3, device=x.device), 4),
    "repeat_interleave": lambda x: gs.repeat_interleave(x, gs.tensor([1, 0, 2]), 0),
    "pad": lambda x: nn.functional.pad(x, (1, 2), "reflect"),
    "flip": lambda x: gs.flip(x, (0, 1)),
    "roll": lambda x: gs.roll(x.T, 2),
    "cat": lambda x: gs.cat((x, x.T[:3, :3]), 1),
    "isclose": lambda x: gs.isclose(x, x),
    "reshape": lambda x: x.T.reshape(2, 6),
    "expand": lambda x: x[:, :1].expand(3, 5) + 1,
    "einsum": lambda x: gs.einsum("ij,kj->ik", x, x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, device: gs.Device) -> None:
    x = normal(3, 4)
    expected = FUNCTIONS[name](x)
    got = FUNCTIONS[name](x.to(device))
    pairs = zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]
    for mine, want in pairs:
        assert mine.device == device
        assert mine.dtype == want.dtype
        np.testing.assert_allclose(to_array(mine), to_array(want), rtol=1e-4, atol=1e-5)


def test_writes(device: gs.Device) -> None:
    def change(x: gs.Tensor) -> gs.Tensor:
        x[0] = 5.0
        x[1, [0, 2]] = gs.tensor([7.0, 8.0], device=x.device)
        x[x < 0] = 0
        x.T[3] = x.T[0]
        x.add_(1.0).mul_(x)
        return x

    assert change(normal(3, 4).to(device)).tolist() == change(normal(3, 4)).tolist()
    x = gs.zeros(3, device=device)
    assert x.copy_(gs.arange(3)).tolist() == [0.0, 1.0, 2.0]
    assert gs.equal(x, gs.arange(3.0, device=device))
    assert gs.allclose(x, x + 1e-9)


def test_devices_do_not_mix(device: gs.Device) -> None:
    here, there = gs.ones(2, 2), gs.ones(2, 2, device=device)
    for op in ("add", "mul", "eq", "matmul"):
        name = str(device).partition(":")[0]
        with pytest.raises(TypeError, match=f"{op}: other is on {name}, expected an array on cpu"):
            getattr(gs, op)(here, there)
        with pytest.raises(TypeError, match=f"{op}: other is on cpu, expected an array on {name}"):
            getattr(gs, op)(there, here)
    with pytest.raises(TypeError, match=r"gather: index is on cpu"):
        gs.gather(there, 0, gs.zeros(1, 2, dtype=gs.int64))
    with pytest.raises(TypeError, match="weight is on cpu"):
        nn.Linear(2, 2)(there)


def test_names_of_devices() -> None:
    assert gs.device("cuda") == gs.device("cuda", 0) == "cuda:0"
    assert gs.device("cpu") != gs.device("cudasim")
    assert hash(gs.device("cuda")) == hash(gs.device("cuda", 0))
    for name in ("tpu", "cpu:1", "cuda:x", ""):
        with pytest.raises(ValueError, match="device"):
            gs.ones(1, device=name)


@simulator
def test_numpy_cannot_touch_the_simulator() -> None:
    array = gs.ones(3, device="cudasim")._array
    for touch in (lambda: array + 1, lambda: np.sort(array), lambda: np.add(array, array)):
        with pytest.raises(TypeError):
            touch()
    assert "1." in repr(array)


# ---- modules and training ------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAME)
def test_module(name: str, device: gs.Device) -> None:
    """Output, gradients and buffers are the CPU's."""
    module, inputs, _ = SAME[name]
    results = []
    for place in (backend.CPU, device):
        mine = copy.deepcopy(module).to(place)
        gs.manual_seed(0)
        given = [
            each.detach().clone().requires_grad_() if differentiable(each) else each
            for each in moved(inputs, place)
        ]
        out = mine(*given)
        outputs = out if isinstance(out, tuple) else (out,)
        for each in outputs:
            assert each.device == place
        floating = [each for each in outputs if each.requires_grad]
        leaves = [*(x for x in given if differentiable(x)), *mine.parameters()]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        seeds = [normal(*each.shape).to(each.dtype).to(place) for each in floating]
        grads = gs.autograd.grad(floating, wanted, seeds, allow_unused=True) if floating else ()
        results.append([*outputs, *grads, *mine.buffers()])
    for index, (want, got) in enumerate(zip(*results, strict=True)):
        if want is None:
            assert got is None
        elif want.is_floating_point():
            label = f"{name} {index}"
            assert_close(to_array(got), to_array(want), "float32", "transcendental", 256, label)
        else:
            assert got.tolist() == want.tolist()


def differentiable(x: Any) -> bool:
    return isinstance(x, gs.Tensor) and x.is_floating_point()


OPTIMIZERS: list[tuple[Any, dict[str, Any]]] = [
    (gs.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (gs.optim.AdamW, {"lr": 0.1}),
    (gs.optim.RMSprop, {"lr": 0.1, "centered": True}),
    (gs.optim.Adagrad, {"lr": 0.1}),
    (gs.optim.Adadelta, {"lr": 0.1}),
    (gs.optim.NAdam, {"lr": 0.1, "weight_decay": 0.1}),
    (gs.optim.RAdam, {"lr": 0.1, "betas": (0.5, 0.5)}),
    (gs.optim.Adamax, {"lr": 0.1}),
    (gs.optim.ASGD, {"lr": 0.1, "t0": 1}),
    (gs.optim.Rprop, {"lr": 0.1}),
    (gs.optim.Lion, {"lr": 0.1}),
    (gs.optim.LARS, {"lr": 0.1}),
    (gs.optim.LAMB, {"lr": 0.1}),
]


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=[k.__name__ for k, _ in OPTIMIZERS])
def test_optimizer(kind: Any, options: dict[str, Any], device: gs.Device) -> None:
    """Steps are the CPU's, also those of an optimizer that goes on from the CPU's state."""
    x, y = normal(8, 3), normal(8, 2, seed=1)
    gs.manual_seed(0)
    models = [nn.Linear(3, 2)]
    models.append(copy.deepcopy(models[0]).to(device))
    optimizers = [kind(model.parameters(), **options) for model in models]

    def step(number: int) -> None:
        model, optimizer = models[number], optimizers[number]
        optimizer.zero_grad()
        place = model.weight.device
        nn.functional.mse_loss(model(x.to(place)), y.to(place)).backward()
        optimizer.step()

    for _ in range(2):
        step(0)
        step(1)
    assert_close(
        to_array(models[1].weight), to_array(models[0].weight), "float32", "transcendental", 64
    )
    models[1].load_state_dict(models[0].state_dict())
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    step(0)
    step(1)
    assert_close(
        to_array(models[1].weight), to_array(models[0].weight), "float32", "transcendental", 64
    )


EVALUATING: list[tuple[Any, dict[str, Any]]] = [
    (gs.optim.LBFGS, {"line_search_fn": "strong_wolfe", "max_iter": 4}),
    (gs.optim.BFGS, {"max_iter": 3}),
    (gs.optim.ConjugateGradient, {"max_iter": 3}),
    (gs.optim.Newton, {"damping": 0.5}),
    (gs.optim.PerceptronRule, {"lr": 0.25}),
    (gs.optim.SAGA, {"num_samples": 3}),
]


@pytest.mark.parametrize(
    ("kind", "options"), EVALUATING, ids=[kind.__name__ for kind, _ in EVALUATING]
)
def test_optimizer_with_a_closure(kind: Any, options: dict[str, Any], device: gs.Device) -> None:
    x, y = normal(8, 3), (normal(8, 2, seed=1) > 0).float()
    results = []
    for place in (backend.CPU, device):
        gs.manual_seed(0)
        model = nn.Linear(3, 2).to(place)
        optimizer = kind(model.parameters(), **options)

        def closure(model: nn.Linear = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            scores, target = model(x.to(model.weight.device)), y.to(model.weight.device)
            if kind is gs.optim.PerceptronRule:
                return scores, target
            loss = nn.functional.mse_loss(scores, target)
            if kind is not gs.optim.Newton:
                loss.backward()
            return loss

        for number in range(2):
            optimizer.step(closure, **({"index": number} if "num_samples" in options else {}))
        optimizer.load_state_dict(optimizer.state_dict())
        results.append(to_array(model.weight))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_fit(device: gs.Device) -> None:
    """fit moves the batches to where the model is; datasets may lie there already."""
    x, y = normal(32, 4), gs.arange(32) % 3
    histories = []
    for place, data in ((backend.CPU, (x, y)), (device, (x, y)), (device, moved((x, y), device))):
        gs.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to(place)
        model.compile(
            gs.optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss(), ["accuracy"]
        )
        history = model.fit(*data, batch_size=8, epochs=2, verbose=0, seed=1)
        histories.append(history.history["loss"])
        assert model.predict(data[0], verbose=0).shape == (32, 3)
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-4)
    np.testing.assert_allclose(histories[2], histories[0], rtol=1e-4)


def test_files(device: gs.Device, tmp_path: Path) -> None:
    x = normal(3, 4)
    gs.save({"x": x.to(device).T}, tmp_path / "x.safetensors")
    assert gs.load(tmp_path / "x.safetensors")["x"].device == backend.CPU
    loaded = gs.load(tmp_path / "x.safetensors", map_location=device)["x"]
    assert loaded.device == device
    assert loaded.tolist() == x.T.tolist()


def test_gradcheck(device: gs.Device) -> None:
    x = normal(2, 3).double().to(device).requires_grad_()
    assert gs.autograd.gradcheck(lambda x: (x * x).tanh().sum(1), x)
    assert gs.autograd.gradgradcheck(lambda x: (x * x).tanh().sum(1), x)


@simulator
def test_the_simulator_reports_kernels() -> None:
    gs.cudasim.reset()
    assert gs.cudasim.report() == {}
    with gs.cudasim.schedule("random", seed=3), gs.cudasim.counting():
        _ = gs.ones(64, device="cudasim") * 2.0
    (counters,) = [c for name, c in gs.cudasim.report().items() if "mul" in name]
    assert counters["launches"] == 1
    assert counters["global_bytes"] >= 2 * 64 * 4
    with pytest.raises(ValueError, match="sideways"), gs.cudasim.schedule("sideways"):
        pass
