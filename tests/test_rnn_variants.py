# SPDX-License-Identifier: Apache-2.0
"""Cells beside the kernel's, and sequences of different lengths, against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from gradsmith.ops.rnn_layers import ROWS, has_cell_state
from gradsmith.ops.rnn_stack import recurrent_network
from gradsmith.ops.rnn_variants import peephole_lstm_cell
from gradsmith.tensor import Tensor
from tests.cases import Case, CaseTests
from tests.reference import rnn as reference

STEPS, BATCH, INPUTS, HIDDEN, PROJECTED = 3, 3, 2, 2, 1
LENGTHS = np.array([3, 2, 2])  # of sorted sequences
SIZES = np.array([3, 3, 1])
DEFINITIONS = {
    "lstm_projected": reference.projected_lstm,
    "lstm_peephole": reference.peephole_lstm,
    "gru_reset_before": reference.gru_reset_before,
    "lstm": reference.lstm,
    "rnn_tanh": reference.rnn_tanh,
}
EXTRA_SHAPES = {"lstm_projected": (PROJECTED, HIDDEN), "lstm_peephole": (3 * HIDDEN,)}


def operands(rng: np.random.Generator, cell: str, directions: int = 1) -> tuple[np.ndarray, ...]:
    """Return x, the states and the params of one layer."""
    size = PROJECTED if cell == "lstm_projected" else HIDDEN
    state_sizes = (size, HIDDEN) if has_cell_state(cell) else (size,)
    rows = ROWS[cell] * HIDDEN
    shapes = [(rows, INPUTS), (rows, size), (rows,), (rows,)]
    shapes += [EXTRA_SHAPES[cell]] if cell in EXTRA_SHAPES else []
    states = [rng.standard_normal((directions, BATCH, each)) for each in state_sizes]
    params = [rng.standard_normal(shape) / 2 for _ in range(directions) for shape in shapes]
    return (rng.standard_normal((STEPS, BATCH, INPUTS)), *states, *params)


def variant_case(cell: str, reverse: bool) -> Case:
    """One direction of a network of two, or both."""
    directions = 2 if reverse else 1
    count = 2 if has_cell_state(cell) else 1

    def call(x: Tensor, *rest: Tensor) -> Any:
        states, params = rest[:count], rest[count:]
        return recurrent_network(
            cell, x, states, params, True, 1, 0.0, True, directions == 2, False
        )

    def define(x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        states, params = rest[:count], rest[count:]
        each = len(params) // directions
        ys, finals = [], []
        for number in range(directions):
            step = -1 if number else 1
            own = params[number * each : (number + 1) * each]
            y, *last = DEFINITIONS[cell](x[::step], *(s[number] for s in states), *own)
            ys.append(y[::step])
            finals.append(last)
        return (np.concatenate(ys, -1), *(np.stack(group) for group in zip(*finals, strict=True)))

    return Case(
        f"{cell}_both_directions" if reverse else cell,
        call,
        define,
        lambda rng: operands(rng, cell, directions),
        tolerance="recurrent",
        depth=STEPS,
        second_order=not reverse,  # as one direction's, and slow to check
    )


def packed_case(cell: str) -> Case:
    """Both directions over packed rows: each sequence is its own problem."""
    count = 2 if has_cell_state(cell) else 1
    steps, rows = np.nonzero(np.arange(STEPS)[:, None] < LENGTHS)

    def call(x: Tensor, *rest: Tensor) -> Any:
        states, params = rest[:count], rest[count:]
        options = (True, 1, 0.0, True, True, False, SIZES)
        return recurrent_network(cell, x, states, params, *options)

    def define(x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        states, params = rest[:count], rest[count:]
        each = len(params) // 2
        y = np.zeros((len(x), 2 * HIDDEN))
        last = [np.zeros_like(s) for s in states]
        for sequence in range(BATCH):
            places = np.flatnonzero(rows == sequence)
            for number in range(2):
                step = -1 if number else 1
                initial = [s[number, sequence : sequence + 1] for s in states]
                own = params[number * each : (number + 1) * each]
                out, *final = DEFINITIONS[cell](x[places][::step, None], *initial, *own)
                y[places, number * HIDDEN : (number + 1) * HIDDEN] = out[::step, 0]
                for whole, part in zip(last, final, strict=True):
                    whole[number, sequence] = part[0]
        return (y, *last)

    def inputs(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        x, *rest = operands(rng, cell, 2)
        return (x[steps, rows], *rest)

    return Case(f"{cell}_packed", call, define, inputs, tolerance="recurrent", depth=STEPS)


def peephole_cell(x: Tensor, h: Tensor, c: Tensor, *params: Tensor) -> Any:
    w_ih, w_hh, b_ih, b_hh, w_ch = params
    return peephole_lstm_cell(x, (h, c), w_ih, w_hh, w_ch, b_ih, b_hh)


CASES = [
    *(variant_case(cell, False) for cell in ("lstm_projected", "lstm_peephole")),
    variant_case("gru_reset_before", False),
    *(variant_case(cell, True) for cell in ("lstm_projected", "lstm_peephole")),
    packed_case("lstm"),
    packed_case("rnn_tanh"),
    Case(
        "peephole_lstm_cell",
        peephole_cell,
        lambda x, *rest: reference.peephole_lstm(x[None], *rest)[1:],
        lambda rng: tuple(
            each[0] if number < 3 else each
            for number, each in enumerate(operands(rng, "lstm_peephole"))
        ),
        tolerance="recurrent",
    ),
]


class TestCases(CaseTests):
    pass


# ---- modules -------------------------------------------------------------------------------------

KINDS: list[tuple[Any, dict[str, Any]]] = [
    (nn.RNN, {"nonlinearity": "relu"}),
    (nn.LSTM, {}),
    (nn.LSTM, {"proj_size": 2}),
    (nn.GRU, {}),
    (nn.GRU, {"reset_after": False}),
    (nn.PeepholeLSTM, {}),
]


def flat(last: Any) -> list[np.ndarray]:
    each = last if isinstance(last, tuple) else (last,)
    return [state.detach().numpy() for state in each]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_lengths_are_each_sequence_on_its_own(kind: Any, options: Any, batch_first: bool) -> None:
    module = kind(INPUTS, 4, 2, bidirectional=True, batch_first=batch_first, **options)
    lengths = [2, 5, 1, 5]
    rows = np.random.default_rng(0).standard_normal((4, 5, INPUTS)).astype(np.float32)
    for row, length in zip(rows, lengths, strict=True):
        row[length:] = np.nan
    x = Tensor(rows if batch_first else rows.swapaxes(0, 1).copy(), requires_grad=True)
    sizes = module._state_sizes
    initial = tuple(gs.randn(4, 4, size) for size in sizes)
    y, last = module(x, initial if len(sizes) == 2 else initial[0], lengths=gs.tensor(lengths))
    got = y.detach().numpy() if batch_first else y.detach().numpy().swapaxes(0, 1)
    for number, length in enumerate(lengths):
        own = rows[number : number + 1, :length]
        states = tuple(each[:, number : number + 1] for each in initial)
        alone = Tensor(own if batch_first else own.swapaxes(0, 1).copy())
        want, final = module(alone, states if len(sizes) == 2 else states[0])
        expected = want.detach().numpy().reshape(length, -1)
        np.testing.assert_allclose(got[number, :length], expected, atol=1e-6)
        assert not got[number, length:].any()
        for one, other in zip(flat(last), flat(final), strict=True):
            np.testing.assert_allclose(one[:, number], other[:, 0], atol=1e-6)
    y.sum().backward()
    assert x.grad is not None
    gradient = x.grad.numpy() if batch_first else x.grad.numpy().swapaxes(0, 1)
    for number, length in enumerate(lengths):
        assert not gradient[number, length:].any()
        assert np.isfinite(gradient[number]).all()


@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_in_packed_out(enforce_sorted: bool) -> None:
    module = nn.GRU(INPUTS, 4, bidirectional=True)
    lengths = [4, 2, 1] if enforce_sorted else [2, 1, 4]
    x = gs.randn(4, 3, INPUTS)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
    y, last = module(packed)
    padded, found = pad_packed_sequence(y)
    want, want_last = module(x, lengths=lengths)
    assert found.tolist() == lengths
    assert padded.tolist() == want.tolist()
    assert last.tolist() == want_last.tolist()


def test_merge_modes() -> None:
    x = gs.randn(STEPS, BATCH, INPUTS)
    module = nn.GRU(INPUTS, 4, 2, bidirectional=True)
    forward, backward = module(x)[0].chunk(2, -1)
    merged: dict[Any, Any] = {
        "sum": forward + backward,
        "mul": forward * backward,
        "ave": (forward + backward) / 2,
    }
    for mode, want in merged.items():
        other = nn.GRU(INPUTS, 4, 2, bidirectional=True, merge_mode=mode)
        other.load_state_dict(module.state_dict())
        y, h = other(x)
        assert h.shape == (4, BATCH, 4)
        np.testing.assert_allclose(y.detach().numpy(), want.detach().numpy(), atol=1e-6)
        assert f"merge_mode='{mode}'" in repr(other)
    pair = nn.GRU(INPUTS, 4, 2, bidirectional=True, merge_mode=None)
    pair.load_state_dict(module.state_dict())
    for given in (x, x[:, 0]):
        (one, two), _ = pair(given)
        assert gs.cat([one, two], -1).tolist() == module(given)[0].tolist()
    (one, two), _ = pair(x, lengths=[3, 1, 2])
    assert gs.cat([one, two], -1).tolist() == module(x, lengths=[3, 1, 2])[0].tolist()
    packed = pack_padded_sequence(x, [3, 2, 1])
    (one, two), _ = pair(packed)
    assert gs.cat([one.data, two.data], -1).tolist() == module(packed)[0].data.tolist()


def test_parameters_of_variants() -> None:
    projected = nn.LSTM(2, 4, proj_size=3, bias=False, bidirectional=True)
    names = ("weight_ih_l0", "weight_hh_l0", "weight_hr_l0")
    assert list(projected.state_dict()) == [*names, *(f"{name}_reverse" for name in names)]
    assert projected.weight_hh_l0.shape == (16, 3)
    assert projected(gs.ones(2, 1, 2))[0].shape == (2, 1, 6)
    peephole = nn.PeepholeLSTM(2, 4)
    assert list(peephole.state_dict())[-1] == "weight_ch_l0"
    assert nn.GRU(2, 4).flatten_parameters() is None
    assert "reset_after=False" in repr(nn.GRU(2, 4, reset_after=False))
    cell = nn.PeepholeLSTMCell(2, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in peephole.state_dict().items()})
    x = gs.randn(3, 2)
    h, c = cell(x)
    _, (last_h, last_c) = peephole(x.unsqueeze(0))
    assert h.tolist() == last_h[0].tolist()
    assert c.tolist() == last_c[0].tolist()
    again, _ = cell(x[0], (h[0], c[0]))
    assert again.shape == (4,)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.LSTM(2, 4, proj_size=4), ValueError, "proj_size is 4, expected less than"),
        (lambda: nn.LSTM(2, 4, proj_size=-1), ValueError, "proj_size is -1"),
        (
            lambda: nn.GRU(2, 4, bidirectional=True, merge_mode="max"),
            ValueError,
            "merge_mode is 'max', expected 'concat'",
        ),
        (lambda: nn.GRU(2, 4, merge_mode="sum"), ValueError, "expected bidirectional=True with it"),
        (
            lambda: nn.GRU(2, 4)(gs.ones(3, 2), lengths=[3]),
            ValueError,
            r"GRU: lengths is given and input has shape \(3, 2\), expected a batch",
        ),
        (
            lambda: nn.GRU(2, 4)(gs.ones(3, 2, 2), lengths=[3, 4]),
            ValueError,
            "lengths holds 4, expected at most the 3 steps",
        ),
        (
            lambda: nn.GRU(2, 4)(gs.ones(3, 2, 2), lengths=[3, 0]),
            ValueError,
            "lengths holds 0, expected at least 1",
        ),
        (
            lambda: nn.GRU(2, 4)(pack_padded_sequence(gs.ones(3, 2, 5), [3, 2])),
            ValueError,
            "GRU: input has 5 features, expected 2",
        ),
        (
            lambda: nn.GRU(2, 4)(pack_padded_sequence(gs.ones(3, 2, 2), [3, 2]), lengths=[3, 2]),
            ValueError,
            "lengths is given, expected None with packed sequences",
        ),
        (
            lambda: nn.GRU(2, 4)(gs.ones(3, 2, 2), gs.ones(1, 3, 4), [3, 2]),
            ValueError,
            r"h_0 has shape \(1, 3, 4\), expected",
        ),
        (lambda: nn.PeepholeLSTMCell(2, 4)(gs.ones(3, 2), gs.ones(3, 4)), TypeError, "a pair"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "projected"])
def test_packing_as_torch(kind: str) -> None:
    import torch

    name, options = ("LSTM", {"proj_size": 2}) if kind == "projected" else (kind, {})
    theirs = getattr(torch.nn, name)(INPUTS, 4, 2, bidirectional=True, **options)
    ours = getattr(nn, name)(INPUTS, 4, 2, bidirectional=True, **options)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    lengths = [4, 6, 1]
    array = np.random.default_rng(0).standard_normal((6, 3, INPUTS)).astype(np.float32)
    their_x, our_x = torch.tensor(array, requires_grad=True), gs.tensor(array, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        their_x, torch.tensor(lengths), enforce_sorted=False
    )
    their_packed, their_last = theirs(packed)
    their_y, _ = torch.nn.utils.rnn.pad_packed_sequence(their_packed)
    our_y, our_last = ours(our_x, lengths=gs.tensor(lengths))
    np.testing.assert_allclose(our_y.detach().numpy(), their_y.detach().numpy(), atol=1e-6)
    for got, want in zip(flat(our_last), flat(their_last), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
    our_y.square().sum().backward()
    their_y.square().sum().backward()
    assert our_x.grad is not None
    np.testing.assert_allclose(our_x.grad.numpy(), their_x.grad.numpy(), atol=1e-5)
    for parameter_name, parameter in ours.named_parameters():
        want = theirs.get_parameter(parameter_name).grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), want, atol=1e-4)
