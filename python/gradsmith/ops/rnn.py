# SPDX-License-Identifier: Apache-2.0
"""One recurrent layer in one direction over a whole sequence, and single cells.

The fused kernels serve the first derivative. For higher ones the rule repeats the sequence step by
step in differentiable functions and differentiates that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradsmith.autograd import Node, Output, grad, is_grad_enabled, record_many
from gradsmith.backend import EXTENSIONS, Array
from gradsmith.ops.elementwise import add, mul, sub
from gradsmith.ops.elementwise_activation import relu
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.gemm import linear
from gradsmith.ops.joining import stack
from gradsmith.ops.shape import reshape, unsqueeze
from gradsmith.ops.shape_copy import contiguous
from gradsmith.ops.shape_pieces import chunk, unbind
from gradsmith.tensor import Tensor, array_of, wrap

States = tuple[Tensor, Tensor]
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


class _Saved(NamedTuple):
    """What the rule reads back; the arrays are the kernel's own."""

    cell: str
    reverse: bool
    inputs: tuple[Tensor | None, ...]  # x, h0, c0, w_ih, w_hh, b_ih, b_hh
    gates: Array
    states: Array
    cells: Array | None
    candidate: Array | None


# ---- the step in differentiable functions --------------------------------------------------------


def _rnn_step(cell: str, from_x: Tensor, from_h: Tensor) -> Tensor:
    total = add(from_x, from_h)
    return tanh(total) if cell == "rnn_tanh" else relu(total)


def _lstm_step(from_x: Tensor, from_h: Tensor, c: Tensor) -> States:
    i, f, g, o = chunk(add(from_x, from_h), 4, 1)
    new_c = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)))
    return mul(sigmoid(o), tanh(new_c)), new_c


def _gru_step(from_x: Tensor, from_h: Tensor, h: Tensor) -> Tensor:
    xr, xz, xn = chunk(from_x, 3, 1)
    hr, hz, hn = chunk(from_h, 3, 1)
    z = sigmoid(add(xz, hz))
    n = tanh(add(xn, mul(sigmoid(add(xr, hr)), hn)))
    return add(n, mul(z, sub(h, n)))


def _walk(cell: str, reverse: bool, inputs: Sequence[Any]) -> list[Tensor]:
    """Return what the layer returns, one step after the other."""
    x, h, c, w_ih, w_hh, b_ih, b_hh = inputs
    steps = list(unbind(linear(x, w_ih, b_ih), 0))
    ys = []
    for from_x in reversed(steps) if reverse else steps:
        from_h = linear(h, w_hh, b_hh)
        if cell == "lstm":
            h, c = _lstm_step(from_x, from_h, c)
        elif cell == "gru":
            h = _gru_step(from_x, from_h, h)
        else:
            h = _rnn_step(cell, from_x, from_h)
        ys.append(h)
    if reverse:
        ys.reverse()
    return [stack(ys, 0), h] if c is None else [stack(ys, 0), h, c]


def _differentiable_gradients(
    node: Node, saved: _Saved, dys: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    """Return the gradients as functions on the tape, by differentiating `_walk`."""
    needed = [i for i in range(len(saved.inputs)) if node.needs(i)]
    # Aliases: one input may be computed from another, and the rule owes partial derivatives.
    aliases: list[Any] = [None if x is None else reshape(x, x.shape) for x in saved.inputs]
    outputs = _walk(saved.cell, saved.reverse, aliases)
    found = grad(outputs, [aliases[i] for i in needed], dys, create_graph=True, allow_unused=True)
    gradients: list[Tensor | None] = [None] * len(saved.inputs)
    for i, gradient in zip(needed, found, strict=True):
        gradients[i] = gradient
    return tuple(gradients)


# ---- the fused layer -----------------------------------------------------------------------------


def _recurrent_layer_backward(
    node: Node, dy: Tensor, dh_last: Tensor, dc_last: Tensor | None = None
) -> Any:
    saved: _Saved = node.saved[0]
    if is_grad_enabled():
        dys = (dy, dh_last) if dc_last is None else (dy, dh_last, dc_last)
        return _differentiable_gradients(node, saved, dys)
    x, _, _, w_ih, w_hh, _, _ = saved.inputs
    assert x is not None
    assert w_ih is not None
    assert w_hh is not None
    extension = EXTENSIONS[type(x._array)]
    dgates, dhidden, dh0, dc0 = extension.rnn_backward(
        saved.cell,
        dy._array,
        dh_last._array,
        None if dc_last is None else dc_last._array,
        w_hh._array,
        saved.gates,
        saved.states,
        saved.cells,
        saved.candidate,
        saved.reverse,
    )
    rows = x._array.shape[0] * x._array.shape[1]
    before = saved.states[1:] if saved.reverse else saved.states[:-1]
    from_x = dgates.reshape(rows, dgates.shape[2])
    from_h = dhidden.reshape(rows, dgates.shape[2])
    dx = dw_ih = dw_hh = db_ih = db_hh = None
    if node.needs(0):
        dx = wrap(extension.gemm(from_x, w_ih._array).reshape(x._array.shape))
    if node.needs(3):
        dw_ih = wrap(extension.gemm(from_x.T, x._array.reshape(rows, x._array.shape[2])))
    if node.needs(4):
        dw_hh = wrap(extension.gemm(from_h.T, before.reshape(rows, before.shape[2])))
    if node.needs(5):
        db_ih = wrap(extension.sum(from_x, 0))
    if node.needs(6):
        db_hh = wrap(extension.sum(from_h, 0))
    return dx, wrap(dh0), None if dc0 is None else wrap(dc0), dw_ih, dw_hh, db_ih, db_hh


def recurrent_layer(
    cell: str,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    """Run one layer in one direction over a sequence.

    Args:
        cell: ``"rnn_tanh"``, ``"rnn_relu"``, ``"lstm"`` (gates i, f, g, o) or ``"gru"`` (r, z, n).
        x: input, (T, B, I).
        h0: initial state, (B, H).
        c0: initial cell, (B, H), for the LSTM; else None.
        w_ih: (G*H, I), with G gates.
        w_hh: (G*H, H).
        b_ih: (G*H,) or None.
        b_hh: (G*H,) or None.
        reverse: walk from the last step to the first; outputs keep the order of the input.

    Returns:
        y (T, B, H), the state after the last step walked (B, H) and, for the LSTM, the cell.

    Raises:
        ValueError: a shape does not fit, the cell is unknown, or there is no step.
        TypeError: the dtypes differ or are not floating.
    """
    names = ("input", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh")
    optional = ("c0", "b_ih", "b_hh")
    given = (x, h0, c0, w_ih, w_hh, b_ih, b_hh)
    arrays = [
        None if each is None and name in optional else array_of(cell, each, name)
        for name, each in zip(names, given, strict=True)
    ]
    inputs = tuple(None if each is None else contiguous(each) for each in given)
    extension = EXTENSIONS[type(arrays[0])]
    gates, states, cells, candidate = extension.rnn_forward(
        cell, *(None if each is None else each._array for each in inputs), reverse
    )
    # y is a view of the states; what else is returned gets memory of its own.
    last = 0 if reverse else -1
    outputs = [states[:-1] if reverse else states[1:], extension.copy_of(states[last])]
    if cells is not None:
        outputs.append(extension.copy_of(cells[last]))
    saved = _Saved(cell, reverse, inputs, gates, states, cells, candidate)
    checked = tuple(each for each in inputs if each is not None)
    return record_many(_recurrent_layer_backward, outputs, inputs, (saved, Output(0), *checked))


# ---- single cells --------------------------------------------------------------------------------


def _one_step(
    name: str,
    input: Tensor,
    h: Tensor,
    c: Tensor | None,
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
) -> tuple[Tensor, ...]:
    array = array_of(f"{name}_cell", input)
    if array.ndim != 2:
        raise ValueError(
            f"{name}_cell: input has shape {array.shape}, expected 2 dimensions (batch, features)"
        )
    return recurrent_layer(name, unsqueeze(input, 0), h, c, *weights)[1:]


def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Return ``tanh(w_ih x + b_ih + w_hh h + b_hh)``: x (B, I), h (B, H) -> (B, H).

    Raises:
        ValueError: a shape does not fit.
    """
    return _one_step("rnn_tanh", input, hx, None, (w_ih, w_hh, b_ih, b_hh))[0]


def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Return ``relu(w_ih x + b_ih + w_hh h + b_hh)``: x (B, I), h (B, H) -> (B, H).

    Raises:
        ValueError: a shape does not fit.
    """
    return _one_step("rnn_relu", input, hx, None, (w_ih, w_hh, b_ih, b_hh))[0]


def lstm_cell(
    input: Tensor,
    hx: States,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> States:
    """Return the state and cell after one LSTM step: x (B, I), h and c (B, H) -> (B, H) twice.

    Raises:
        ValueError: a shape does not fit, or ``hx`` is not a pair.
    """
    h, c = pair_of("lstm_cell", hx)
    new_h, new_c = _one_step("lstm", input, h, c, (w_ih, w_hh, b_ih, b_hh))
    return new_h, new_c


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Return the state after one GRU step: x (B, I), h (B, H) -> (B, H).

    Raises:
        ValueError: a shape does not fit.
    """
    return _one_step("gru", input, hx, None, (w_ih, w_hh, b_ih, b_hh))[0]


def pair_of(op: str, hx: Any) -> States:
    """Return an LSTM's states as given by the caller.

    Raises:
        TypeError: they are no pair of tensors.
    """
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise TypeError(f"{op}: hx is a {type(hx).__name__}, expected a pair (h_0, c_0)")
    h, c = hx
    array_of(op, h, "h_0")
    array_of(op, c, "c_0")
    return h, c
