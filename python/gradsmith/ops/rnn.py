# SPDX-License-Identifier: Apache-2.0
"""One recurrent layer in one direction over a whole sequence, and single cells.

The fused kernels serve the first derivative. For higher ones the rule repeats the sequence step by
step in differentiable functions and differentiates that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradsmith.autograd import Node, Output, cast_down, grad, is_grad_enabled, record_many
from gradsmith.backend import EXTENSIONS, Array
from gradsmith.ops.elementwise import add, mul, sub
from gradsmith.ops.elementwise_activation import relu
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.gemm import linear
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.shape import reshape, unsqueeze
from gradsmith.ops.shape_copy import contiguous
from gradsmith.ops.shape_pieces import chunk, unbind
from gradsmith.tensor import Tensor, array_of, wrap

States = tuple[Tensor, Tensor]
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


Operands = tuple[Tensor, Tensor | None, Tensor, Tensor, Tensor | None, Tensor | None]
NAMES = ("h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh")


class _Direction(NamedTuple):
    """What the rule reads back of one direction; the arrays are the kernel's own."""

    reverse: bool
    gates: Array
    states: Array
    cells: Array | None
    candidate: Array | None


class _Saved(NamedTuple):
    cell: str
    inputs: tuple[Tensor | None, ...]  # x, then h0, c0, w_ih, w_hh, b_ih, b_hh of each direction
    directions: list[_Direction]

    def operands(self, number: int) -> tuple[Tensor | None, ...]:
        return _operands_of(self.inputs, number)


def _operands_of(inputs: Sequence[Any], number: int) -> tuple[Any, ...]:
    first = 1 + number * len(NAMES)
    return tuple(inputs[first : first + len(NAMES)])


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
    ys, outputs = [], []
    for number, direction in enumerate(saved.directions):
        operands = (aliases[0], *_operands_of(aliases, number))
        y, *last = _walk(saved.cell, direction.reverse, operands)
        ys.append(y)
        outputs += last
    y = cat(ys, 2) if len(ys) > 1 else ys[0]
    wanted = [aliases[i] for i in needed]
    found = grad([y, *outputs], wanted, dys, create_graph=True, allow_unused=True)
    gradients: list[Tensor | None] = [None] * len(saved.inputs)
    for i, gradient in zip(needed, found, strict=True):
        gradients[i] = gradient
    return tuple(gradients)


# ---- the fused layer -----------------------------------------------------------------------------


def _layer_backward(node: Node, dy: Tensor, *dlast: Tensor) -> Any:
    saved: _Saved = node.saved[0]
    if is_grad_enabled():
        return _differentiable_gradients(node, saved, (dy, *dlast))
    dx = None
    gradients: list[Tensor | None] = []
    hidden = dlast[0]._array.shape[1]
    each = len(dlast) // len(saved.directions)
    for number in range(len(saved.directions)):
        half = dy._array[:, :, number * hidden : (number + 1) * hidden]
        last = dlast[number * each : (number + 1) * each]
        share, *others = _direction_backward(node, saved, number, half, last)
        if dx is None:
            dx = share
        elif share is not None:
            EXTENSIONS[type(dx)].add(dx, share, 0.0, 0.0, dx)
        gradients += [None if array is None else wrap(array) for array in others]
    return None if dx is None else wrap(dx), *gradients


def _direction_backward(
    node: Node, saved: _Saved, number: int, dy: Array, dlast: tuple[Tensor, ...]
) -> list[Array | None]:
    """Return the gradients of x and of the direction's operands that the node needs."""
    cell, direction = saved.cell, saved.directions[number]
    x, w_ih, w_hh = saved.inputs[0], *saved.operands(number)[2:4]
    assert x is not None
    assert w_ih is not None
    assert w_hh is not None
    extension = EXTENSIONS[type(dy)]
    dgates, dhidden, dh0, dc0 = extension.rnn_backward(
        cell,
        dy,
        dlast[0]._array,
        dlast[1]._array if cell == "lstm" else None,
        w_hh._array,
        direction.gates,
        direction.states,
        direction.cells,
        direction.candidate,
        direction.reverse,
    )
    steps, batch, features = x._array.shape
    before = direction.states[1:] if direction.reverse else direction.states[:-1]
    from_x = dgates.reshape(steps * batch, dgates.shape[2])
    from_h = dhidden.reshape(steps * batch, dgates.shape[2])
    needs_dw_ih, needs_dw_hh, needs_db_ih, needs_db_hh = (
        node.needs(3 + number * len(NAMES) + i) for i in range(4)
    )
    dx = dw_ih = dw_hh = db_ih = db_hh = None
    if node.needs(0):
        dx = extension.gemm(from_x, w_ih._array).reshape(x._array.shape)
    if needs_dw_ih:
        dw_ih = extension.gemm(from_x.T, x._array.reshape(steps * batch, features))
    if needs_dw_hh:
        dw_hh = extension.gemm(from_h.T, before.reshape(steps * batch, before.shape[2]))
    if needs_db_ih:
        db_ih = extension.sum(from_x, 0)
    if needs_db_hh:
        same = cell != "gru" and db_ih is not None
        db_hh = extension.copy_of(db_ih) if same else extension.sum(from_h, 0)
    return [dx, dh0, dc0, dw_ih, dw_hh, db_ih, db_hh]


def _checked(cell: str, x: Tensor, operands: Operands) -> None:
    array_of(cell, x, "input")
    for name, each in zip(NAMES, operands, strict=True):
        if each is not None or name not in ("c0", "b_ih", "b_hh"):
            array_of(cell, each, name)


def _run_layer(
    cell: str, x: Tensor, directions: Sequence[tuple[bool, Operands, Array | None]], y: Array | None
) -> tuple[Tensor, ...]:
    """Run each direction, given as reverse, operands and the array for its states, if not its own.

    `y` is where the outputs come to lie in those arrays.
    """
    given = [x, *(each for _, operands, _ in directions for each in operands)]
    saves = is_grad_enabled() and any(each is not None and each.requires_grad for each in given)
    inputs: list[Tensor | None] = [contiguous(x)]
    saved, last = [], []
    for reverse, operands, states in directions:
        own = [None if each is None else contiguous(each) for each in operands]
        arrays = [None if each is None else each._array for each in (inputs[0], *own)]
        extension = EXTENSIONS[type(arrays[0])]
        kept = extension.rnn_forward(cell, *arrays, reverse, states, saves)
        direction = _Direction(reverse, *kept)
        # y is a view of the states; what else is returned gets memory of its own.
        end = 0 if reverse else -1
        last.append(extension.copy_of(direction.states[end]))
        if direction.cells is not None:
            last.append(extension.copy_of(direction.cells[end]))
        if y is None:
            y = direction.states[:-1] if reverse else direction.states[1:]
        inputs += own
        saved.append(direction)
    checked = tuple(each for each in inputs if each is not None)
    assert y is not None
    rule = (_Saved(cell, tuple(inputs), saved), Output(0), *checked)
    return record_many(_layer_backward, [y, *last], tuple(inputs), rule)


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
    (x,), operands = cast_down(x), cast_down(h0, c0, w_ih, w_hh, b_ih, b_hh)
    _checked(cell, x, operands)
    return _run_layer(cell, x, [(reverse, operands, None)], None)


def bidirectional_layer(
    cell: str, x: Tensor, forward: Operands, backward: Operands
) -> tuple[Tensor, ...]:
    """Run one layer in both directions over a sequence.

    Args:
        cell: as in `recurrent_layer`.
        x: input, (T, B, I).
        forward: h0, c0, w_ih, w_hh, b_ih and b_hh of the direction from the first step to the last.
        backward: the same of the other direction.

    Returns:
        y (T, B, 2*H), the forward half first, then the last state (B, H) and, for the LSTM, the
        cell of each direction.

    Raises:
        ValueError: as `recurrent_layer`, or the directions differ in H.
        TypeError: as `recurrent_layer`.
    """
    (x,), forward, backward = cast_down(x), cast_down(*forward), cast_down(*backward)
    both = (forward, backward)
    for operands in both:
        _checked(cell, x, operands)
    sizes = [operands[3].shape[-1:] for operands in both]
    if x.ndim != 3 or sizes[0] != sizes[1] or not sizes[0]:
        raise ValueError(
            f"{cell}: input has shape {x.shape} and w_hh of the directions "
            f"{forward[3].shape} and {backward[3].shape}, expected 3 dimensions (steps, batch, "
            "features) and one size of hidden state"
        )
    # One array for both: each direction's states are a half of its rows, the forward ones from the
    # first row, the others to the last, so that the outputs of both come to lie side by side.
    (steps, batch, _), hidden = x.shape, sizes[0][0]
    shape = (steps + 2, batch, 2 * hidden)
    shared = EXTENSIONS[type(x._array)].empty(shape, x._array.dtype)
    halves = [
        (False, forward, shared[:-1, :, :hidden]),
        (True, backward, shared[1:, :, hidden:]),
    ]
    return _run_layer(cell, x, halves, shared[1:-1])


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
