# SPDX-License-Identifier: Apache-2.0
"""What no single family owns: wrong arguments everywhere, memory that overlaps, threads at exit.

Every refusal is one of the documented exceptions and names the function. tests/fuzz.py looks for
more of them at random.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from gradsmith.nn import init
from gradsmith.optim import SGD, Adam, lr_scheduler
from gradsmith.tensor import Tensor

ROOT = Path(__file__).parent.parent
FUZZ_CALLS = 10_000

Refusal = tuple[Callable[[], Any], type[Exception], str]


def x(*shape: int) -> Tensor:
    return gs.ones(shape or (3, 4))


def leaf(*shape: int) -> Tensor:
    return gs.ones(shape or (3,), requires_grad=True)


def repeated() -> Tensor:
    """Return a writeable tensor (3, 4) whose rows are one piece of memory."""
    row = np.zeros(4, np.float32)
    return gs.from_numpy(np.lib.stride_tricks.as_strided(row, (3, 4), (0, 4)))


def optimizer() -> SGD:
    return SGD([leaf()], lr=0.1)


def loader(**options: Any) -> Any:
    return gs.data.DataLoader(gs.data.TensorDataset(x(10, 3)), **options)


OPERANDS: dict[str, Refusal] = {
    "two numbers": (lambda: gs.add(3, 2), TypeError, "add: other is a int, expected a tensor"),
    "two numbers compared": (lambda: gs.lt(3, 2.0), TypeError, "lt: other is a int|float"),
    "number into isnan": (lambda: gs.isnan(1.0), TypeError, "isnan: input is a float"),
    "array into mul": (lambda: gs.mul(np.ones(3), 2), TypeError, "mul: other is a int"),
    "tuple as alpha": (lambda: gs.add(x(), 1, alpha=(0,)), TypeError, "add: alpha is a tuple"),
    "text into hardshrink": (lambda: F.hardshrink("x"), TypeError, "hardshrink: .*str"),
    "number into inv": (lambda: gs.linalg.inv(3), TypeError, "inv: .*int, expected a tensor"),
    "number into atleast_1d": (lambda: gs.atleast_1d(2), TypeError, "atleast_1d: input is a int"),
    "view_as of a number": (lambda: x().view_as(3), TypeError, "view_as: other is a int"),
    "inner op's shapes": (lambda: gs.hypot(x(4), x(3)), ValueError, r"hypot: .*\(4,\) and \(3,\)"),
    "solve of two dtypes": (
        lambda: gs.linalg.solve(x(3, 3), x(3, 1).double()),
        TypeError,
        "solve: A is float32 and B is float64",
    ),
    "cat of a number": (lambda: gs.cat(3.0), TypeError, "cat: 'float' object is not iterable"),
}

SIZES: dict[str, Refusal] = {
    "size below -1": (lambda: x().reshape(-7), ValueError, r"reshape: .* into shape \(-7,\)"),
    "view below -1": (lambda: x().view(3, -7), ValueError, r"view|reshape: .*\(3, -7\)"),
    "dim True": (lambda: gs.sum(x(), True), TypeError, "sum: dim is a bool"),
    "dim of 100 bits": (lambda: gs.sum(x(), 10**30), IndexError, "sum: dim 10+ is out of range"),
    "float dim": (lambda: gs.transpose(x(), 0.0, 1), TypeError, "transpose: dim is a float"),
    "keepdim 2": (lambda: gs.amax(x(), 1, 2), TypeError, "amax: keepdim is a int, expected a bool"),
    "negative columns": (lambda: gs.tril_indices(3, -2), ValueError, "tril_indices: got shape"),
    "float rows": (lambda: gs.triu_indices(1.5, 4), TypeError, "triu_indices: size 1.5 is a float"),
    "diagonal of 64 bits": (lambda: gs.diagonal(x(), 2**63), ValueError, "diagonal: offset is"),
    "diag_embed far out": (lambda: gs.diag_embed(x(), 2**40), MemoryError, "diag_embed: offset"),
    "three lists": (
        lambda: gs.tensordot(x(), x(), ([0], [0], [0])),
        ValueError,
        "tensordot: dims holds 3 lists",
    ),
    "index of 64 bits": (lambda: x()[2**63], IndexError, "getitem: "),
    "index of 64 bits beside a list": (
        lambda: x()[2**63, [0, 1]],
        IndexError,
        "getitem: index 9223372036854775808 is out of range",
    ),
    "decimals": (lambda: gs.round(x(), decimals=10**9), ValueError, "round: decimals is 10+,"),
    "float chunks": (lambda: gs.chunk(x(), 2.0), TypeError, "chunk: chunks is a float"),
    "layers": (lambda: nn.LSTM(2, 3, num_layers=2**62), ValueError, "LSTM: num_layers is"),
    "copies": (
        lambda: nn.TransformerEncoder(nn.Identity(), 2**40),
        ValueError,
        "TransformerEncoder: num_layers is",
    ),
    "pool flag": (
        lambda: F.max_pool1d(x(1, 2, 4), 2, ceil_mode=3),
        TypeError,
        "max_pool1d: ceil_mode is a int, expected a bool",
    ),
}

NUMBERS: dict[str, Refusal] = {
    "int64": (lambda: gs.tensor(2**63), ValueError, "tensor: 9223372036854775808 does not fit"),
    "uint64": (
        lambda: gs.tensor(np.array([2**64 - 1], np.uint64)),
        ValueError,
        "tensor: 18446744073709551615 does not fit in int64",
    ),
    "uint8": (lambda: gs.tensor([300], dtype=gs.uint8), ValueError, "300 does not fit in uint8"),
    "nan to int": (lambda: gs.full((2,), float("nan"), dtype=gs.int64), ValueError, "full: .*nan"),
    "range of text": (lambda: gs.arange("a"), TypeError, "arange: end is a str"),
    "huge range": (lambda: gs.arange(0, 2**62), MemoryError, "arange: "),
    "float steps": (lambda: gs.linspace(0, 1, 2.0), TypeError, "linspace: steps is a float"),
    "matrix as start": (lambda: gs.logspace(x(), 1, 5), TypeError, "logspace: start is a Tensor"),
}

MEMORY: dict[str, Refusal] = {
    "add_ to repeated rows": (lambda: repeated().add_(1), ValueError, "add_?: .*repeats"),
    "exp_ of repeated rows": (lambda: repeated().exp_(), ValueError, "exp_?: .*repeats"),
    "fill_ of repeated rows": (lambda: repeated().fill_(1), ValueError, "fill_: .*repeats"),
    "expanded": (lambda: x(4).expand(3, 4).add_(1), ValueError, "add_: .*read-only"),
}


class WrongGradient(gs.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a * 2

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        return gs.ones(7)


def _with_hook(result: Any) -> None:
    a = leaf()
    a.register_hook(lambda grad: result)
    (a * 2).sum().backward()


def _through_inner(a: Tensor) -> None:
    inner = a * 3
    inner.sum().backward(inputs=[inner])


TAPE: dict[str, Refusal] = {
    "gradient is a number": (
        lambda: leaf(1).backward([1.0]),
        TypeError,
        "backward: the gradient is a float",
    ),
    "inputs is a number": (
        lambda: leaf().sum().backward(inputs=3),
        TypeError,
        "backward: inputs is or holds a int",
    ),
    "input is no leaf": (
        lambda: _through_inner(leaf()),
        ValueError,
        "backward: input 0 is no leaf",
    ),
    "outputs is a number": (
        lambda: gs.autograd.grad(3, [leaf()]),
        TypeError,
        "grad: outputs is or holds a int",
    ),
    "one gradient for two": (
        lambda: gs.autograd.grad([leaf().sum(), leaf().sum()], [leaf()], [None]),
        ValueError,
        "grad: got 1 gradients for 2 outputs",
    ),
    "Function's gradient": (
        lambda: WrongGradient.apply(leaf()).sum().backward(),
        RuntimeError,
        r"WrongGradient.backward returned shape \(7,\)",
    ),
    "hook's shape": (lambda: _with_hook(x(9)), ValueError, r"a hook returned \(9,\)"),
    "hook's type": (lambda: _with_hook("x"), ValueError, "a hook returned a str"),
    "data is a number": (lambda: setattr(leaf(), "data", 5), TypeError, "data: value is a int"),
}

TRAINING: dict[str, Refusal] = {
    "infinite rate": (lambda: SGD([leaf()], lr=float("inf")), ValueError, "SGD: lr is inf"),
    "flag": (lambda: Adam([leaf()], amsgrad=3), TypeError, "Adam: amsgrad is a int"),
    "no parameters": (lambda: SGD(None, lr=0.1), TypeError, "SGD: params is a NoneType"),
    "empty state": (lambda: optimizer().load_state_dict({}), ValueError, "SGD: the state lacks"),
    "no state": (lambda: optimizer().load_state_dict(None), TypeError, "SGD: the state is a None"),
    "milestones": (
        lambda: lr_scheduler.MultiStepLR(optimizer(), "a"),
        TypeError,
        "MultiStepLR: milestones is or holds a str",
    ),
    "gamma": (
        lambda: lr_scheduler.ExponentialLR(optimizer(), float("nan")),
        ValueError,
        "ExponentialLR: gamma is nan",
    ),
    "lambda": (
        lambda: lr_scheduler.LambdaLR(optimizer(), 0),
        TypeError,
        "LambdaLR: lr_lambda is or holds a int",
    ),
    "initialiser": (lambda: init.ones_(5), TypeError, "ones_: tensor is a int"),
    "clipping": (lambda: nn.utils.clip_grad_norm_([leaf()], "a"), TypeError, "max_norm is a str"),
    "loss option": (lambda: nn.HuberLoss(delta="a"), TypeError, "HuberLoss: delta is a str"),
    "module's input": (lambda: nn.Flatten()(3), TypeError, "Flatten: input is a int"),
    "threads": (lambda: gs.set_num_threads(10**10), ValueError, "set_num_threads: count is 10+,"),
    "cache": (lambda: gs.memory.set_limit("a"), TypeError, "set_limit: bytes is a str"),
    "workers": (lambda: loader(num_workers=10**6), ValueError, "num_workers is 1000000"),
    "sampler": (lambda: loader(sampler=5), TypeError, "DataLoader: sampler is a int"),
    "shuffle": (lambda: loader(shuffle="a"), TypeError, "DataLoader: shuffle is a str"),
    "split": (
        lambda: gs.data.random_split(range(4), "ab"),
        TypeError,
        "random_split: lengths is a str",
    ),
    "summary": (lambda: nn.Linear(2, 3).summary("a"), TypeError, "summary: input_size is"),
}

REFUSALS = {
    f"{group}: {name}": refusal
    for group, refusals in (
        ("operand", OPERANDS),
        ("size", SIZES),
        ("number", NUMBERS),
        ("memory", MEMORY),
        ("tape", TAPE),
        ("training", TRAINING),
    )
    for name, refusal in refusals.items()
}


@pytest.mark.parametrize("name", REFUSALS)
def test_is_refused(name: str) -> None:
    assert_refused(REFUSALS[name])


def assert_refused(refusal: Refusal) -> None:
    call, kind, message = refusal
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind


# ---- right answers where wrong ones were near ----------------------------------------------------


def test_floor_division_agrees_with_python() -> None:
    a = np.array([1.0, 0.5, -0.5, 7.0, -7.0, 6.0, 0.3])
    b = np.array([0.1, -np.inf, np.inf, 2.0, 2.0, -3.0, 0.1])
    got = gs.floor_divide(gs.tensor(a), gs.tensor(b))
    expected = [p // q for p, q in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_array_equal(got.numpy(), expected)


def test_scaled_operand_does_not_wrap_in_its_own_dtype() -> None:
    small = gs.tensor([255], dtype=gs.uint8)
    assert gs.add(gs.zeros(1), small, alpha=2).item() == 510
    assert gs.zeros(1).add_(small, alpha=2).item() == 510
    assert gs.sub(gs.zeros(1, dtype=gs.int64), small, alpha=2).item() == -510
    assert gs.add(gs.ones(1), 3, alpha=2).item() == 7


def test_gradients_have_the_dtype_of_their_tensors() -> None:
    narrow, wide = leaf(), gs.ones(3, dtype=gs.float64, requires_grad=True)
    gs.logaddexp(narrow, wide).sum().backward()
    assert narrow.grad is not None
    assert narrow.grad.dtype == gs.float32
    number = leaf()
    gs.atan2(number, 2).sum().backward()
    np.testing.assert_allclose(number.grad.numpy(), [0.4] * 3, rtol=1e-6)  # type: ignore[union-attr]


@pytest.mark.parametrize("offset", [-(2**31), -(2**31) + 1, -5, 5, 2**31 - 1, 2**31])
def test_diagonals_beyond_the_matrix_are_empty(offset: int) -> None:
    a = gs.ones(3, 4, requires_grad=True)
    out = gs.diagonal(a, offset)
    assert out.shape == (0,)
    out.sum().backward()
    assert not a.grad.numpy().any()  # type: ignore[union-attr]
    assert gs.tril(a, offset).sum().item() == (0 if offset < 0 else 12)


def test_triangle_of_bool_stays_bool() -> None:
    assert gs.triu(gs.ones(2, 2, dtype=gs.bool)).dtype == gs.bool


def test_quantile_of_nan_is_nan() -> None:
    got = gs.quantile(gs.tensor([[1.0, float("nan"), 3.0], [1.0, 2.0, 3.0]]), 0.5, 1)
    np.testing.assert_array_equal(got.numpy(), [np.nan, 2.0])


def test_accuracy_takes_nan_for_no_class() -> None:
    metric = gs.metrics.Accuracy()
    metric.update(gs.tensor([[float("nan"), 0.0], [1.0, 0.0]]), gs.tensor([0, 0]))
    assert metric.result() == 0.5


# ---- processes of their own ----------------------------------------------------------------------


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=50,
    )


# Daemon threads are in kernels, with the GIL released, while Python shuts down; none of them used
# the library before, so that all need its first-use state at once.
THREADS_AT_EXIT = """
import threading, time
import gradsmith as gs
def work():
    while True:
        gs.ones(64, 64).exp() @ gs.ones(64, 64)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""


def test_python_ends_while_threads_compute() -> None:
    for _ in range(5):
        result = _python("-c", THREADS_AT_EXIT)
        assert result.returncode == 0, result.stderr


def test_random_calls_give_results_or_documented_errors() -> None:
    result = _python("-m", "tests.fuzz", "0", str(FUZZ_CALLS))
    assert result.returncode == 0, result.stdout + result.stderr
