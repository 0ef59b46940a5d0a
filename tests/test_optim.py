# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import _cpu, optim
from gradsmith.tensor import Tensor
from tests.cases import ISAS, REDUCED, isa_cap, threads
from tests.reference import optim as ref
from tests.tolerance import assert_close

DEFINITIONS = {
    "SGD": ref.sgd,
    "Adagrad": ref.adagrad,
    "Adadelta": ref.adadelta,
    "RMSprop": ref.rmsprop,
    "Adam": ref.adam,
    "AdamW": ref.adamw,
    "Adamax": ref.adamax,
    "NAdam": ref.nadam,
    "RAdam": ref.radam,
    "Rprop": ref.rprop,
    "ASGD": ref.asgd,
    "Lion": ref.lion,
}


def grid(**choices: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(choices, each, strict=True)) for each in itertools.product(*choices.values())]


def _is_allowed(options: dict[str, Any]) -> bool:
    return not options["nesterov"] or (options["momentum"] > 0 and options["dampening"] == 0)


PROBLEMS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("SGD", options)
        for options in grid(
            lr=[0.05],
            momentum=[0, 0.9],
            dampening=[0, 0.3],
            weight_decay=[0, 0.1],
            nesterov=[False, True],
            maximize=[False, True],
        )
        if _is_allowed(options)
    ),
    *(
        ("Adagrad", options)
        for options in grid(
            lr=[0.05],
            lr_decay=[0, 0.1],
            weight_decay=[0, 0.1],
            initial_accumulator_value=[0, 0.5],
            maximize=[False, True],
        )
    ),
    *(
        ("Adadelta", options)
        for options in grid(rho=[0.9, 0.5], weight_decay=[0, 0.1], maximize=[False, True])
    ),
    *(
        ("RMSprop", options)
        for options in grid(
            weight_decay=[0, 0.1], momentum=[0, 0.9], centered=[False, True], maximize=[False, True]
        )
    ),
    *(
        (name, options)
        for name in ("Adam", "AdamW")
        for options in grid(
            lr=[0.01],
            betas=[(0.9, 0.999), (0.5, 0.9)],
            weight_decay=[0, 0.1],
            amsgrad=[False, True],
            maximize=[False, True],
        )
    ),
    ("Adamax", {}),
    ("Adamax", {"betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    *(
        ("NAdam", options)
        for options in grid(
            weight_decay=[0, 0.1],
            momentum_decay=[4e-3, 0.1],
            decoupled_weight_decay=[False, True],
            maximize=[False, True],
        )
    ),
    *(
        ("RAdam", options)
        for options in grid(
            lr=[0.01],
            betas=[(0.5, 0.9), (0.9, 0.999)],
            weight_decay=[0, 0.1],
            decoupled_weight_decay=[False, True],
        )
    ),
    ("RAdam", {"maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.2), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lambd": 0.1, "alpha": 0.5, "t0": 4, "weight_decay": 0.1, "maximize": True}),
    ("Lion", {"lr": 0.01}),
    ("Lion", {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
]
# By how much errors grow: a centred second moment is a difference, which is small beside its
# terms, and so is RAdam's length.
DEPTHS = {"RAdam": 10_000}
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in PROBLEMS]
SHAPES = [(3, 4), (), (5,), (2, 3, 2), (0, 3)]


def parameters(rng: np.random.Generator, dtype: Any) -> list[Tensor]:
    arrays = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in SHAPES]
    arrays[3] = np.asfortranarray(arrays[3])
    return [Tensor(array, requires_grad=True) for array in arrays]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(("name", "options"), PROBLEMS, ids=IDS)
def test_twenty_steps_follow_the_definition(
    name: str, options: dict[str, Any], dtype: str, isa: str
) -> None:
    rng = np.random.default_rng(0)
    storage = ml_dtypes.bfloat16 if dtype in REDUCED else np.dtype(dtype)
    params = parameters(rng, storage)
    expected = [param._array.astype(np.float64) for param in params]
    states: list[dict[str, Any]] = [{} for _ in params]
    optimizer = getattr(optim, name)(params, **options)
    for step in range(20):
        for i, param in enumerate(params):
            param.grad = None
            if i == 2 and step % 3 == 0:
                continue
            grad = np.asarray(rng.standard_normal(param.shape)).astype(storage)
            param.grad = Tensor(grad)
            # bfloat16 rounds the parameter after each step: the definition starts from there.
            start = param._array.astype(np.float64) if dtype in REDUCED else expected[i]
            wide = grad.astype(np.float64)
            expected[i], states[i] = DEFINITIONS[name](start, wide, states[i], **options)
        kept = [None if p.grad is None else p.grad._array.copy() for p in params]
        with isa_cap(isa):
            optimizer.step()
        for param, before in zip(params, kept, strict=True):
            assert before is None or (param.grad._array == before).all()  # type: ignore[union-attr]
    for i, (param, want) in enumerate(zip(params, expected, strict=True)):
        depth = 10_000 if options.get("centered") else DEPTHS.get(name, 100)
        assert_close(param._array, want, dtype, "pointwise", depth, f"parameter {i}")
        held = optimizer.state[param]
        assert {"step", *held} == {"step", *states[i]}
        for key, value in held.items():
            assert value.shape == np.shape(states[i][key]), key
            assert dtype not in REDUCED or value.dtype == np.float32, key


@pytest.mark.parametrize("name", DEFINITIONS)
def test_state_has_pytorch_s_structure_and_resumes(name: str) -> None:
    options = {
        "SGD": {"momentum": 0.9},
        "RMSprop": {"momentum": 0.9, "centered": True},
        "Adam": {"amsgrad": True},
    }.get(name, {})
    rng = np.random.default_rng(0)
    grads = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(8)]
    params = parameters(np.random.default_rng(1), np.float64)

    def run(optimizer: optim.Optimizer, of: list[Tensor], steps: range) -> None:
        for step in steps:
            for param, grad in zip(of, grads[step], strict=True):
                param.grad = Tensor(np.asarray(grad))
            optimizer.step()

    first = getattr(optim, name)(params, lr=0.02, **options)
    run(first, params, range(4))
    saved = copy.copy(first.state_dict())
    assert set(saved) == {"state", "param_groups"}
    assert saved["param_groups"][0]["params"] == [0, 1, 2, 3, 4]
    if name != "SGD":
        assert saved["state"][0]["step"].item() == 4
    resumed = [Tensor(param._array.copy(), requires_grad=True) for param in params]
    second = getattr(optim, name)(resumed, **options)
    second.load_state_dict(saved)
    run(first, params, range(4, 8))
    run(second, resumed, range(4, 8))
    assert second.param_groups[0]["lr"] == 0.02
    for a, b in zip(params, resumed, strict=True):
        np.testing.assert_array_equal(a._array, b._array)


def test_states_of_bfloat16_parameters_are_float32() -> None:
    param = Tensor(np.ones(3, ml_dtypes.bfloat16), requires_grad=True)
    param.grad = Tensor(np.ones(3, ml_dtypes.bfloat16))
    optimizer = optim.Adam([param])
    optimizer.step()
    assert optimizer.state[param]["exp_avg"].dtype == np.float32
    copied = optim.Adam([param])
    state = optimizer.state_dict()
    state["state"][0]["exp_avg"] = state["state"][0]["exp_avg"].bfloat16()
    copied.load_state_dict(state)
    assert copied.state[param]["exp_avg"].dtype == np.float32


def test_groups_have_their_own_options() -> None:
    a, b = (Tensor(np.zeros(2), requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.5)
    for each in (a, b):
        each.grad = Tensor(np.ones(2))
    optimizer.step()
    np.testing.assert_array_equal(a._array, [-1, -1])
    np.testing.assert_array_equal(b._array, [-0.5, -0.5])
    c = Tensor(np.zeros(2), requires_grad=True)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    assert len(optimizer.param_groups) == 3
    assert "momentum: 0" in repr(optimizer)


def test_zero_grad_and_closure() -> None:
    x = Tensor(np.array([3.0]), requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with gs.no_grad():
        assert optimizer.step(closure).item() == 9
    np.testing.assert_allclose(x._array, [2.4])
    held = x.grad
    optimizer.zero_grad(set_to_none=False)
    assert x.grad is held
    assert held.item() == 0
    optimizer.zero_grad()
    assert x.grad is None
    optimizer.step()
    np.testing.assert_allclose(x._array, [2.4])


def test_a_step_is_noticed_by_the_tape() -> None:
    x = Tensor(np.array([3.0]), requires_grad=True)
    loss = (x * x).sum()
    x.grad = Tensor(np.ones(1))
    optim.SGD([x], lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_thread_count_changes_no_bit(name: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size).astype(np.float32) for size in (70001, 3, 40000)]
    bits = set()
    for count in (1, 2, 7):
        params = [Tensor(array.copy(), requires_grad=True) for array in arrays]
        optimizer = getattr(optim, name)(params, lr=0.1)
        with threads(count), isa_cap(isa):
            for _ in range(3):
                for param in params:
                    param.grad = Tensor(param._array * 2)
                optimizer.step()
        bits.add(b"".join(param._array.tobytes() for param in params))
    assert len(bits) == 1


def leaf(*shape: int) -> Tensor:
    return Tensor(np.zeros(shape), requires_grad=True)


def stepped(grad: np.ndarray) -> Any:
    param = leaf(2)
    param.grad = Tensor(grad)
    return optim.Adam([param]).step()


def loaded(state: dict[str, Any]) -> Any:
    return optim.Adam([leaf(2)]).load_state_dict(state)


X = leaf(2)
GROUP = {"params": [0]}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.SGD([]), ValueError, "SGD: got an empty list"),
        (lambda: optim.SGD([X, X]), ValueError, "more than once"),
        (lambda: optim.SGD([{"params": [X]}, {"params": [X]}]), ValueError, "more than once"),
        (lambda: optim.SGD([{"params": []}]), ValueError, "empty list"),
        (lambda: optim.SGD([{"lr": 1.0}]), ValueError, "lacks 'params'"),
        (lambda: optim.SGD([{"params": [X], "rate": 1}]), ValueError, "unknown options"),
        (lambda: optim.SGD(X), TypeError, "params is a tensor"),
        (lambda: optim.SGD([{"params": {X}}]), TypeError, "set"),
        (lambda: optim.SGD([3]), TypeError, "a parameter is a int"),
        (lambda: optim.SGD([Tensor(np.array([1]))]), TypeError, "int64"),
        (lambda: optim.SGD([leaf(2) * 1]), ValueError, "leaf"),
        (lambda: optim.SGD([X], lr=-1), ValueError, "SGD: lr is -1"),
        (lambda: optim.SGD([X], lr=float("nan")), ValueError, "lr is nan"),
        (lambda: optim.SGD([X], lr="a"), TypeError, "lr is a str"),
        (lambda: optim.SGD([X], momentum=-0.1), ValueError, "momentum is -0.1"),
        (lambda: optim.SGD([X], nesterov=True), ValueError, "nesterov"),
        (lambda: optim.SGD([X], momentum=1, dampening=1, nesterov=True), ValueError, "nesterov"),
        (lambda: optim.Adagrad([X], lr_decay=-1), ValueError, "lr_decay"),
        (lambda: optim.Adagrad([X], initial_accumulator_value=-1), ValueError, "initial"),
        (lambda: optim.Adadelta([X], rho=1.5), ValueError, "rho is 1.5"),
        (lambda: optim.RMSprop([X], alpha=-1), ValueError, "alpha"),
        (lambda: optim.Adam([X], betas=(0.9, 1.0)), ValueError, r"betas\[1\] is 1.0"),
        (lambda: optim.Adam([X], betas=0.9), ValueError, "two numbers"),
        (lambda: optim.Adam([X], eps=-1), ValueError, "Adam: eps"),
        (lambda: optim.AdamW([X], weight_decay=-1), ValueError, "AdamW: weight_decay"),
        (lambda: optim.NAdam([X], momentum_decay=-1), ValueError, "NAdam: momentum_decay is -1"),
        (lambda: optim.NAdam([X], decoupled_weight_decay=1), TypeError, "decoupled_weight_decay"),
        (lambda: optim.RAdam([X], betas=(1.0, 0.9)), ValueError, r"RAdam: betas\[0\] is 1.0"),
        (lambda: optim.Adamax([X], lr="a"), TypeError, "Adamax: lr is a str"),
        (lambda: optim.Adamax([X], lr=True), TypeError, "Adamax: lr is a bool"),
        (lambda: optim.Lion([X], lr=(0.1, 0.2)), TypeError, "Lion: lr is a tuple"),
        (lambda: optim.ASGD([X], t0=float("nan")), ValueError, "ASGD: t0 is nan"),
        (lambda: optim.Rprop([X], etas=(1.2, 0.5)), ValueError, "Rprop: etas is"),
        (lambda: optim.Rprop([X], step_sizes=3), ValueError, "step_sizes is 3, expected two"),
        (lambda: optim.Lion([X], betas=(0.9,)), ValueError, "Lion: betas is"),
        (lambda: stepped(np.zeros(3)), ValueError, "gradient has shape"),
        (lambda: stepped(np.zeros(2, np.float32)), TypeError, "gradient is float32"),
        (lambda: loaded({"state": {}, "param_groups": []}), ValueError, "0 parameter groups"),
        (
            lambda: loaded({"state": {}, "param_groups": [{"params": [0, 1]}]}),
            ValueError,
            "2 parameters",
        ),
        (lambda: loaded({"state": {7: {}}, "param_groups": [GROUP]}), ValueError, "parameter 7"),
        (
            lambda: loaded({"state": {0: {"exp_avg": np.zeros(3)}}, "param_groups": [GROUP]}),
            ValueError,
            "'exp_avg' has shape",
        ),
        (
            lambda: loaded({"state": {}, "param_groups": [{**GROUP, "lr": -1}]}),
            ValueError,
            "lr is -1",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_refused_step_changes_nothing() -> None:
    good, bad = leaf(2), leaf(3)
    optimizer = optim.Adam([good, bad])
    good.grad = Tensor(np.ones(2))
    bad.grad = Tensor(np.ones(2))
    with pytest.raises(ValueError, match="gradient"):
        optimizer.step()
    assert not good._array.any()
    assert not optimizer.state


@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        ([], ValueError, "NAdam: the parameters lack their numbers"),
        ([(0.1, 0.2)] * 2, ValueError, "NAdam: got 1 parameters and 2 rows of numbers"),
        ([(0.1,)], TypeError, "NAdam: a row of numbers is no sequence of 2"),
        ([0.1], TypeError, "NAdam: a row of numbers is no sequence of 2"),
    ],
)
def test_a_kernel_refuses_other_numbers(
    numbers: list[Any], error: type[Exception], message: str
) -> None:
    x, g, m, v = (np.zeros(3) for _ in range(4))

    def step() -> None:
        group = _cpu.optim_group("NAdam", [x], [(m, v)])
        tensors = _cpu.optim_tensors(group, [g], [1.0], numbers)
        _cpu.nadam_step(tensors, 0.1, 0.9, 0.999, 1e-8, 0.0, False, False)

    with pytest.raises(error, match=message):
        step()
