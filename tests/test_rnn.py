# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers and cells against the NumPy definitions, and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import grad, gradgradcheck, no_grad
from gradsmith.ops import rnn
from gradsmith.ops.rnn_stack import recurrent_network
from gradsmith.tensor import Tensor
from tests.cases import Case, CaseTests
from tests.reference import rnn as reference

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 2, 5
GATES = rnn.GATES


def operands(rng: np.random.Generator, cell: str, bias: bool = True) -> tuple[np.ndarray, ...]:
    """Return x, h0, c0 for the LSTM, w_ih, w_hh and the biases."""
    rows = GATES[cell] * HIDDEN
    states = [rng.standard_normal((BATCH, HIDDEN)) for _ in range(2 if cell == "lstm" else 1)]
    weights = [rng.standard_normal((rows, INPUTS)), rng.standard_normal((rows, HIDDEN)) / 2]
    biases = [rng.standard_normal(rows) for _ in range(2)] if bias else []
    return (rng.standard_normal((STEPS, BATCH, INPUTS)), *states, *weights, *biases)


def run_layer(cell: str, bias: bool, reverse: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
    states = 2 if cell == "lstm" else 1
    x, h0, *rest = tensors
    c0 = rest[0] if states == 2 else None
    w_ih, w_hh, *biases = rest[states - 1 :]
    b_ih, b_hh = biases if bias else (None, None)
    return rnn.recurrent_layer(cell, x, h0, c0, w_ih, w_hh, b_ih, b_hh, reverse)


def zero_biases(cell: str, bias: bool) -> tuple[np.ndarray, ...]:
    return () if bias else (np.zeros(GATES[cell] * HIDDEN),) * 2


def define(cell: str, bias: bool, reverse: bool, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    x, *rest = arrays
    x = x[::-1] if reverse else x
    y, *last = getattr(reference, cell)(x, *rest, *zero_biases(cell, bias))
    return (y[::-1] if reverse else y, *last)


def define_backward(
    cell: str, bias: bool, reverse: bool, *arrays: np.ndarray
) -> tuple[np.ndarray, ...]:
    count = 3 if cell == "lstm" else 2
    dy, *dlast = arrays[:count]
    x, *rest = arrays[count:]
    if reverse:
        dy, x = dy[::-1], x[::-1]
    function = getattr(reference, f"{cell}_backward")
    dx, *gradients = function(dy, *dlast, x, *rest, *zero_biases(cell, bias))
    return (dx[::-1] if reverse else dx, *gradients[: len(rest)])


def layer_case(cell: str, bias: bool, reverse: bool) -> Case:
    name = cell + ("_reverse" if reverse else "") + ("" if bias else "_without_bias")
    return Case(
        name,
        lambda *tensors: run_layer(cell, bias, reverse, *tensors),
        lambda *arrays: define(cell, bias, reverse, *arrays),
        lambda rng: operands(rng, cell, bias),
        lambda *arrays: define_backward(cell, bias, reverse, *arrays),
        tolerance="recurrent",
        depth=STEPS,
    )


def cell_case(cell: str) -> Case:
    def call(x: Tensor, *rest: Tensor) -> Any:
        function = getattr(rnn, f"{cell}_cell")
        if cell == "lstm":
            return function(x, (rest[0], rest[1]), *rest[2:])
        return function(x, *rest)

    def define_step(x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        return getattr(reference, cell)(x[None], *rest)[1:]

    def inputs(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        x, *rest = operands(rng, cell)
        return (x[0], *rest)

    return Case(f"{cell}_cell", call, define_step, inputs, tolerance="recurrent")


LAYERS = 2


def network_arrays(rng: np.random.Generator, cell: str) -> tuple[np.ndarray, ...]:
    """Return x, the states and the params of a bidirectional network of two layers."""
    states = [
        rng.standard_normal((2 * LAYERS, BATCH, HIDDEN)) for _ in range(2 if cell == "lstm" else 1)
    ]
    rows = GATES[cell] * HIDDEN
    params = []
    for layer in range(LAYERS):
        for _ in range(2):
            columns = INPUTS if layer == 0 else 2 * HIDDEN
            params += [rng.standard_normal((rows, columns)) / 2]
            params += [rng.standard_normal((rows, HIDDEN)) / 2]
            params += [rng.standard_normal(rows) for _ in range(2)]
    return (rng.standard_normal((BATCH, STEPS, INPUTS)), *states, *params)


def network_case(cell: str) -> Case:
    count = 2 if cell == "lstm" else 1

    def call(x: Tensor, *rest: Tensor) -> Any:
        states, params = rest[:count], rest[count:]
        return recurrent_network(cell, x, states, params, True, LAYERS, 0.0, True, True, True)

    def define_network(x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        states, params = rest[:count], rest[count:]
        x = x.swapaxes(0, 1)
        last = []
        for layer in range(LAYERS):
            outputs = []
            for direction in range(2):
                index = 2 * layer + direction
                operand = [x, *(s[index] for s in states), *params[4 * index : 4 * index + 4]]
                y, *final = define(cell, True, direction == 1, *operand)
                outputs.append(y)
                last.append(final)
            x = np.concatenate(outputs, axis=2)
        return (x.swapaxes(0, 1), *(np.stack(group) for group in zip(*last, strict=True)))

    return Case(
        f"{cell}_network",
        call,
        define_network,
        lambda rng: network_arrays(rng, cell),
        tolerance="recurrent",
        depth=STEPS * LAYERS,
        second_order=False,
    )


CASES = [
    *(layer_case(cell, bias, reverse) for cell in GATES for bias, reverse in [(True, False)]),
    *(layer_case(cell, True, True) for cell in GATES),
    *(layer_case(cell, False, False) for cell in GATES),
    *(cell_case(cell) for cell in GATES),
    *(network_case(cell) for cell in ("rnn_tanh", "lstm", "gru")),
]


class TestCases(CaseTests):
    pass


def small(cell: str = "lstm", **changes: Any) -> dict[str, Any]:
    """Return well-formed arguments of recurrent_layer, some of them changed."""
    rows = GATES.get(cell, 4) * 3
    arguments = {
        "cell": cell,
        "x": Tensor(np.ones((2, 4, 2), np.float32)),
        "h0": Tensor(np.ones((4, 3), np.float32)),
        "c0": Tensor(np.ones((4, 3), np.float32)) if cell == "lstm" else None,
        "w_ih": Tensor(np.ones((rows, 2), np.float32)),
        "w_hh": Tensor(np.ones((rows, 3), np.float32)),
    }
    return arguments | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "elman"}, "unknown cell 'elman'"),
        ({"x": Tensor(np.ones((2, 4), np.float32))}, "lstm: input has shape .2, 4., expected 3"),
        ({"x": Tensor(np.ones((2, 4, 5), np.float32))}, "input has 5 features, expected 2"),
        ({"x": Tensor(np.ones((0, 4, 2), np.float32))}, "at least one step"),
        ({"h0": Tensor(np.ones((3, 3), np.float32))}, r"h0 has shape \(3, 3\), expected \(4, 3\)"),
        ({"c0": Tensor(np.ones((4, 1), np.float32))}, r"c0 has shape \(4, 1\), expected \(4, 3\)"),
        ({"c0": None}, "c0 is missing"),
        ({"w_ih": Tensor(np.ones((11, 2), np.float32))}, r"w_ih has shape .*expected \(12, 2\)"),
        ({"w_hh": Tensor(np.ones((11, 3), np.float32))}, r"w_hh has shape .*expected \(12, 3\)"),
        ({"b_ih": Tensor(np.ones(3, np.float32))}, r"b_ih has shape \(3,\), expected \(12,\)"),
        ({"b_hh": Tensor(np.ones(3, np.float32))}, r"b_hh has shape \(3,\), expected \(12,\)"),
    ],
)
def test_wrong_shapes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rnn.recurrent_layer(**small(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": Tensor(np.ones((2, 4, 2), np.int64))}, "input is int64, expected a floating"),
        ({"x": np.ones((2, 4, 2), np.float32)}, "input is a ndarray, expected a tensor"),
        ({"h0": Tensor(np.ones((4, 3)))}, "h0 is float64, expected float32"),
        ({"w_hh": None}, "w_hh is a NoneType"),
    ],
)
def test_wrong_types(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        rnn.recurrent_layer(**small(**changes))


def test_c0_is_for_the_lstm_alone() -> None:
    with pytest.raises(ValueError, match="gru: c0 is given"):
        rnn.recurrent_layer(**small("gru", c0=Tensor(np.ones((4, 3), np.float32))))


def test_empty_batch() -> None:
    arguments = small("gru")
    arguments["x"] = Tensor(np.ones((2, 0, 2), np.float32), requires_grad=True)
    arguments["h0"] = Tensor(np.ones((0, 3), np.float32))
    y, h = rnn.recurrent_layer(**arguments)
    assert y.shape == (2, 0, 3)
    assert h.shape == (0, 3)
    y.backward(Tensor(np.ones((2, 0, 3), np.float32)))
    assert arguments["x"].grad.shape == (2, 0, 2)


@pytest.mark.parametrize("cell", list(GATES))
def test_nan_reaches_every_later_step(cell: str) -> None:
    arguments = small(cell)
    x = np.ones((4, 4, 2), np.float32)
    x[1, 2, 0] = np.nan
    arguments["x"] = Tensor(x)
    y = rnn.recurrent_layer(**arguments)[0].numpy()
    assert np.isnan(y[1:, 2]).all()
    assert np.isfinite(y[:1]).all()
    assert np.isfinite(np.delete(y, 2, axis=1)).all()


def test_last_states_have_memory_of_their_own() -> None:
    y, h, c = rnn.recurrent_layer(**small())
    assert not np.shares_memory(y.numpy(), h.numpy())
    assert np.array_equal(y.numpy()[-1], h.numpy())
    assert c.shape == h.shape


def test_output_changed_in_place_is_noticed() -> None:
    arguments = small("rnn_tanh")
    arguments["w_hh"].requires_grad_()
    y, _ = rnn.recurrent_layer(**arguments)
    total = (y * y).sum()
    with no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        total.backward()


def test_inputs_that_depend_on_each_other() -> None:
    """The second derivative takes partial, not total, derivatives of the layer's inputs."""
    rng = np.random.default_rng(0)
    w_ih, w_hh = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))

    def call(x: Tensor) -> Tensor:
        h0 = x[0] * x[1]
        return rnn.recurrent_layer("rnn_tanh", x, h0, None, Tensor(w_ih), Tensor(w_hh))[0]

    assert gradgradcheck(call, [Tensor(rng.standard_normal((2, 2, 3)), requires_grad=True)])


def both_directions(cell: str) -> tuple[Tensor, list[list[Tensor | None]]]:
    """Return x and the operands of both directions, in float64."""
    rng = np.random.default_rng(0)
    directions: list[list[Tensor | None]] = []
    for _ in range(2):
        x, h0, *rest = (Tensor(each, requires_grad=True) for each in operands(rng, cell))
        c0 = rest.pop(0) if cell == "lstm" else None
        directions.append([h0, c0, *rest])
    return x, directions


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_directions_of_a_pair_are_those_of_two_layers(cell: str) -> None:
    x, pair = both_directions(cell)
    given = [x, *(each for operand in pair for each in operand if each is not None)]
    y, *last = rnn.bidirectional_layer(cell, x, *pair)
    ahead, back = (
        rnn.recurrent_layer(cell, x, *operand, reverse=reverse)
        for operand, reverse in zip(pair, (False, True), strict=True)
    )
    want_y = np.concatenate([each[0].detach().numpy() for each in (ahead, back)], axis=2)
    assert np.array_equal(y.detach().numpy(), want_y)
    for one, other in zip(last, [*ahead[1:], *back[1:]], strict=True):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy())
    dy = np.random.default_rng(1).standard_normal(y.shape)
    got = grad([y], given, [Tensor(dy)], allow_unused=True)
    halves = [Tensor(dy[..., :HIDDEN]), Tensor(dy[..., HIDDEN:])]
    want = grad([ahead[0], back[0]], given, halves, allow_unused=True)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12, atol=1e-14)


def test_second_derivative_of_both_directions() -> None:
    x, pair = both_directions("gru")

    def call(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        ahead = [*pair[0][:3], w, *pair[0][4:]]
        return rnn.bidirectional_layer("gru", x, ahead, pair[1])

    assert gradgradcheck(call, [Tensor(x.detach().numpy(), requires_grad=True), pair[0][3]])


def test_directions_of_different_sizes() -> None:
    small_pair = [
        [
            Tensor(np.ones((4, h))),
            None,
            Tensor(np.ones((h, 2))),
            Tensor(np.ones((h, h))),
            None,
            None,
        ]
        for h in (3, 5)
    ]
    with pytest.raises(ValueError, match=r"rnn_tanh: .*\(3, 3\) and \(5, 5\).*one size"):
        rnn.bidirectional_layer("rnn_tanh", Tensor(np.ones((2, 4, 2))), *small_pair)
