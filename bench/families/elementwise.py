# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions, forward and with the gradient of the first operand, and the overhead of
the tape on a chain of tiny adds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

CHAIN = 1000
DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "int64": np.int64,
    "int32": np.int32,
}
TOLERANCE = {"float32": 2e-6, "float64": 1e-13, "bfloat16": 8e-3, "float16": 1e-3}

_erf, _erfc = np.vectorize(math.erf), np.vectorize(math.erfc)


@dataclass(frozen=True)
class Function:
    """One function.

    Attributes:
        run: takes the library (gradsmith or torch) and its tensors.
        definition: the same in NumPy.
        operands: the kind of each operand, a key of OPERANDS.
        slope: derivative along the first operand, in NumPy.
    """

    run: Callable[..., Any]
    definition: Callable[..., Any]
    operands: tuple[str, ...] = ("full",)
    slope: Callable[..., Any] | None = None


# Each takes a generator and the first operand's shape.
OPERANDS: dict[str, Callable[..., np.ndarray]] = {
    "full": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: rng.uniform(0.1, 4.0, shape),
    "share": lambda rng, shape: rng.uniform(-0.9, 0.9, shape),
    "channel": lambda rng, shape: rng.uniform(0.1, 0.9, shape[1]),
    "row": lambda rng, shape: rng.standard_normal(shape[-1:]),
    "column": lambda rng, shape: rng.standard_normal((*shape[:-1], 1)),
    "transposed": lambda rng, shape: rng.standard_normal(shape[::-1]).T,
    "mask": lambda rng, shape: rng.random(shape) < 0.5,
    "whole": lambda rng, shape: rng.integers(-1000, 1000, shape),
    "divisor": lambda rng, shape: rng.integers(1, 50, shape),
}


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _glu_slope(x: Any) -> Any:
    values, gates = np.split(x, 2, axis=1)
    share = _sigmoid(gates)
    return np.concatenate([share, values * share * (1 - share)], axis=1)


def _reflected(x: Any) -> Any:
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "reflect")


def _uses_of_reflected(x: Any) -> Any:
    counts = [np.bincount(np.pad(np.arange(size), 1, "reflect")) for size in x.shape[2:]]
    return np.broadcast_to(np.multiply.outer(*counts), x.shape)


def _shuffled(x: Any) -> Any:
    samples, channels, height, width = x.shape
    apart = x.reshape(samples, channels // 4, 2, 2, height, width)
    return apart.transpose(0, 1, 4, 2, 5, 3).reshape(samples, -1, 2 * height, 2 * width)


_lgamma, _hypot_slope = np.vectorize(math.lgamma), lambda a, b: a / np.hypot(a, b)


def _erfinv(x: Any) -> Any:
    """By Newton's method."""
    y = np.zeros_like(x)
    for _ in range(60):
        y -= (_erf(y) - x) * math.sqrt(math.pi) / 2 * np.exp(np.minimum(y * y, 4))
    return y


def _gelu_slope(x: Any) -> Any:
    cdf = 0.5 * (1 + _erf(x / math.sqrt(2)))
    return cdf + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh_slope(x: Any) -> Any:
    k, c = math.sqrt(2 / math.pi), 0.044715
    t = np.tanh(k * (x + c * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * c * x * x)


TWO = ("full", "full")
FUNCTIONS: dict[str, Function] = {
    "add": Function(lambda m, a, b: m.add(a, b), np.add, TWO),
    "mul": Function(lambda m, a, b: m.mul(a, b), np.multiply, TWO),
    "remainder": Function(lambda m, a, b: m.remainder(a, b), np.remainder, ("full", "positive")),
    "floor_divide": Function(
        lambda m, a, b: m.floor_divide(a, b), np.floor_divide, ("whole", "divisor")
    ),
    "copysign": Function(
        lambda m, a, b: m.copysign(a, b), np.copysign, TWO, lambda a, b: np.sign(a) * np.sign(b)
    ),
    "add_row": Function(lambda m, a, b: m.add(a, b), np.add, ("full", "row")),
    "add_column": Function(lambda m, a, b: m.add(a, b), np.add, ("full", "column")),
    "add_transposed": Function(lambda m, a, b: m.add(a, b), np.add, ("full", "transposed")),
    "copy_transposed": Function(lambda m, a: a.contiguous(), np.copy, ("transposed",)),
    "where": Function(
        lambda m, mask, a, b: m.where(mask, a, b), np.where, ("mask", "full", "full")
    ),
    "less": Function(lambda m, a, b: m.lt(a, b), np.less, TWO),
    "clamp": Function(lambda m, x: m.clamp(x, -0.5, 0.5), lambda x: np.clip(x, -0.5, 0.5)),
    "affine": Function(lambda m, x: x * 2.0 + 1.0, lambda x: x * 2 + 1),
    "square": Function(lambda m, x: x**2, np.square, slope=lambda x: 2 * x),
    "root": Function(lambda m, x: x**0.5, np.sqrt, ("positive",), lambda x: 0.5 / np.sqrt(x)),
    "pow": Function(lambda m, a, b: m.pow(a, b), np.power, ("positive", "full")),
    "relu": Function(
        lambda m, x: m.relu(x), lambda x: np.maximum(x, 0), slope=lambda x: (x > 0) * 1.0
    ),
    "exp": Function(lambda m, x: m.exp(x), np.exp),
    "exp2": Function(lambda m, x: m.exp2(x), np.exp2),
    "log": Function(lambda m, x: m.log(x), np.log, ("positive",)),
    "log2": Function(lambda m, x: m.log2(x), np.log2, ("positive",)),
    "sin": Function(lambda m, x: m.sin(x), np.sin),
    "tan": Function(lambda m, x: m.tan(x), np.tan),
    "atan": Function(lambda m, x: m.atan(x), np.arctan),
    "sinh": Function(lambda m, x: m.sinh(x), np.sinh),
    "tanh": Function(lambda m, x: m.tanh(x), np.tanh, slope=lambda x: 1 - np.tanh(x) ** 2),
    "erf": Function(lambda m, x: m.erf(x), _erf),
    "erfc": Function(
        lambda m, x: m.erfc(x), _erfc, slope=lambda x: -2 / math.sqrt(math.pi) * np.exp(-x * x)
    ),
    "sigmoid": Function(
        lambda m, x: m.sigmoid(x), _sigmoid, slope=lambda x: _sigmoid(x) * (1 - _sigmoid(x))
    ),
    "gelu": Function(
        lambda m, x: m.nn.functional.gelu(x),
        lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
        slope=_gelu_slope,
    ),
    "gelu_tanh": Function(
        lambda m, x: m.nn.functional.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        slope=_gelu_tanh_slope,
    ),
    "silu": Function(
        lambda m, x: m.nn.functional.silu(x),
        lambda x: x * _sigmoid(x),
        slope=lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    ),
    "sqrt": Function(lambda m, x: m.sqrt(x), np.sqrt, ("positive",)),
    "lerp": Function(
        lambda m, a, b: m.lerp(a, b, 0.3),
        lambda a, b: a + 0.3 * (b - a),
        TWO,
        lambda a, b: np.full_like(a, 0.7),
    ),
    "addcmul": Function(
        lambda m, a, b, c: m.addcmul(a, b, c, value=0.5),
        lambda a, b, c: a + 0.5 * b * c,
        ("full", "full", "full"),
    ),
    "hypot": Function(lambda m, a, b: m.hypot(a, b), np.hypot, TWO, _hypot_slope),
    "erfinv": Function(lambda m, x: m.erfinv(x), _erfinv, ("share",)),
    "lgamma": Function(lambda m, x: m.lgamma(x), _lgamma, ("positive",)),
    "hardswish": Function(
        lambda m, x: m.nn.functional.hardswish(x),
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        slope=lambda x: np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1)),
    ),
    "softshrink": Function(
        lambda m, x: m.nn.functional.softshrink(x),
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        slope=lambda x: (np.abs(x) > 0.5) * 1.0,
    ),
    "relu6": Function(
        lambda m, x: m.nn.functional.relu6(x),
        lambda x: np.clip(x, 0, 6),
        slope=lambda x: ((x > 0) & (x < 6)) * 1.0,
    ),
    "glu": Function(
        lambda m, x: m.nn.functional.glu(x, 1),
        lambda x: x[:, : x.shape[1] // 2] * _sigmoid(x[:, x.shape[1] // 2 :]),
        slope=_glu_slope,
    ),
    "prelu": Function(
        lambda m, x, weight: m.nn.functional.prelu(x, weight),
        lambda x, weight: np.where(x > 0, x, x * weight[:, None, None]),
        ("full", "channel"),
        lambda x, weight: np.where(x > 0, 1, weight[:, None, None]),
    ),
    "flip": Function(lambda m, x: m.flip(x, (1,)), np.fliplr),
    "repeat": Function(lambda m, x: x.repeat(2, 2), lambda x: np.tile(x, (2, 2))),
    "pixel_shuffle": Function(lambda m, x: m.nn.functional.pixel_shuffle(x, 2), _shuffled),
    "pad_reflect": Function(
        lambda m, x: m.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"),
        _reflected,
        slope=_uses_of_reflected,
    ),
    "chain": Function(
        lambda m, x: m.log(m.exp(m.tanh(x)) + m.sigmoid(x)),
        lambda x: np.log(np.exp(np.tanh(x)) + _sigmoid(x)),
    ),
}


def _step(run: Callable[..., Any], library: Any, leaf: Any, rest: list[Any], dy: Any) -> Any:
    leaf.grad = None
    run(library, leaf, *rest).backward(dy)
    return leaf.grad


def _torch_tensor(array: np.ndarray) -> Any:
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _runner(
    library: Any, function: Function, tensors: list[Any], dy: Any, with_gradient: bool
) -> Callable[[], Any]:
    if not with_gradient:
        return lambda: function.run(library, *tensors)
    leaf = tensors[0].requires_grad_()
    return lambda: _step(function.run, library, leaf, tensors[1:], dy)


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("elementwise"):
        op, sizes, *words = text.split()
        with_gradient = "backward" in words
        dtype = next((word for word in words if word in DTYPES), "float32")
        function = FUNCTIONS[op]
        shape = tuple(int(size) for size in sizes.split("x"))
        rng = np.random.default_rng(0)
        arrays = []
        for kind in function.operands:
            array = OPERANDS[kind](rng, shape)
            arrays.append(array if array.dtype == bool else array.astype(DTYPES[dtype]))
        exact = [each if each.dtype == bool else each.astype(np.float64) for each in arrays]
        expected = np.asarray(function.definition(*exact))
        dy = np.ones(expected.shape, DTYPES[dtype])
        out_bytes = expected.size * (1 if expected.dtype == bool else arrays[-1].itemsize)
        traffic = sum(each.nbytes for each in arrays) + out_bytes
        if with_gradient:
            assert function.slope is not None, f"{op} has no slope"
            expected = np.asarray(function.slope(*exact))
            traffic += 3 * out_bytes
        problem = Problem(
            "elementwise",
            name,
            ours=_runner(
                gs, function, [gs.from_numpy(a) for a in arrays], gs.from_numpy(dy), with_gradient
            ),
            check=close_to(expected.astype(np.float64), TOLERANCE.get(dtype, 0.0)),
            bytes=float(traffic),
        )
        if "torch" in against:
            import torch

            given = [_torch_tensor(each) for each in arrays]
            problem.peers["torch"] = {
                "default": _runner(torch, function, given, _torch_tensor(dy), with_gradient)
            }
        yield problem
    yield chain_of_adds(against)


def chain_of_adds(against: list[str]) -> Problem:
    """1,000 chained adds of four numbers, forward and backward: the cost of an op as such."""
    start = np.arange(4, dtype=np.float32)

    def run(x: Any, ones: Any) -> Any:
        x.grad = None
        y = x
        for _ in range(CHAIN):
            y = y + x
        y.backward(ones)
        return x.grad

    ours = gs.tensor(start, requires_grad=True)
    problem = Problem(
        "elementwise",
        "chain_1000_adds_of_4",
        ours=lambda: run(ours, gs.ones(4)),
        check=close_to(np.full(4, CHAIN + 1.0), 1e-6),
    )
    if "torch" in against:
        import torch

        theirs = torch.tensor(start, requires_grad=True)
        problem.peers["torch"] = {"default": lambda: run(theirs, torch.ones(4))}
    return problem
