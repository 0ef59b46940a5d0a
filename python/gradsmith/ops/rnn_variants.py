# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers beside the kernel's: projected states, peepholes, GRUs that reset before.

The projected LSTM runs on the kernel, the others step by step in differentiable functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import add, mul, sub
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.gemm import linear, matmul
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.options import names_errors
from gradsmith.ops.rnn import States, pair_of, recurrent_layer
from gradsmith.ops.shape import unsqueeze
from gradsmith.ops.shape_copy import pad
from gradsmith.ops.shape_pieces import chunk, split, unbind
from gradsmith.tensor import Tensor


class Weights(NamedTuple):
    """Parameters of one layer in one direction; ``extra`` is the projection or the peepholes."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    extra: Tensor | None = None


def projected_lstm(
    x: Tensor, states: Sequence[Tensor], weights: Weights, reverse: bool
) -> tuple[Tensor, ...]:
    """Run an LSTM whose state is ``h = w_hr (o tanh(c))`` (Sak et al. 2014), on the LSTM's kernel.

    ``w_hh h`` is ``(w_hh w_hr) (o tanh(c))``, a recurrence of unprojected states; the given state
    h0, which need not be the projection of any, comes in as further features of the first step.
    """
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    assert w_hr is not None
    h0, c0 = states
    others = x.shape[0] - 1
    given = pad(unsqueeze(h0, 0), (0, 0, 0, 0, *((others, 0) if reverse else (0, others))))
    wide = (cat([x, given], 2), zeros(c0.shape, dtype=c0.dtype, device=c0.device), c0)
    recurrent = (cat([w_ih, w_hh], 1), matmul(w_hh, w_hr))
    y, h, c = recurrent_layer("lstm", *wide, *recurrent, b_ih, b_hh, reverse)
    return linear(y, w_hr), linear(h, w_hr), c


def _peephole_step(from_x: Tensor, states: Sequence[Tensor], weights: Weights) -> States:
    h, c = states
    assert weights.extra is not None
    from_h = linear(h, weights.w_hh, weights.b_hh)
    ci, cf, co = chunk(weights.extra, 3, 0)
    i, f, g, o = chunk(add(from_x, from_h), 4, 1)
    i, f = sigmoid(add(i, mul(ci, c))), sigmoid(add(f, mul(cf, c)))
    new_c = add(mul(f, c), mul(i, tanh(g)))
    return mul(sigmoid(add(o, mul(co, new_c))), tanh(new_c)), new_c


def _gru_reset_before_step(
    from_x: Tensor, states: Sequence[Tensor], weights: Weights
) -> tuple[Tensor]:
    (h,) = states
    hidden = h.shape[1]
    xr, xz, xn = chunk(from_x, 3, 1)
    w_rz, w_n = split(weights.w_hh, (2 * hidden, hidden), 0)
    b_rz, b_n = (
        (None, None) if weights.b_hh is None else split(weights.b_hh, (2 * hidden, hidden), 0)
    )
    hr, hz = chunk(linear(h, w_rz, b_rz), 2, 1)
    r, z = sigmoid(add(xr, hr)), sigmoid(add(xz, hz))
    n = tanh(add(xn, linear(mul(r, h), w_n, b_n)))
    return (add(n, mul(z, sub(h, n))),)


def _stepwise(step: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """Return the layer that takes this step along the sequence."""

    def layer(
        x: Tensor, states: Sequence[Tensor], weights: Weights, reverse: bool
    ) -> tuple[Tensor, ...]:
        steps = list(unbind(linear(x, weights.w_ih, weights.b_ih), 0))
        ys = []
        for from_x in reversed(steps) if reverse else steps:
            states = step(from_x, states, weights)
            ys.append(states[0])
        return stack(ys[::-1] if reverse else ys, 0), *states

    return layer


# A layer takes x (T, B, I), its states (B, H), its weights and whether it walks backwards.
VARIANTS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "lstm_projected": projected_lstm,
    "lstm_peephole": _stepwise(_peephole_step),
    "gru_reset_before": _stepwise(_gru_reset_before_step),
}


@names_errors
def peephole_lstm_cell(
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    w_ch: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> States:
    """Return state and cell after one LSTM step with peepholes (Gers and Schmidhuber 2000).

    The gates i and f see the cell before, o the new one, each through a weight per unit.

    Args:
        input: (B, I).
        hx: the pair of state and cell, (B, H) each.
        w_ih: (4*H, I), gates i, f, g, o.
        w_hh: (4*H, H).
        w_ch: (3*H,), from the cell to the gates i, f, o.
        b_ih: (4*H,) or None.
        b_hh: (4*H,) or None.

    Raises:
        ValueError: a shape does not fit.
        TypeError: ``hx`` is no pair.
    """
    states = pair_of("peephole_lstm_cell", hx)
    return _peephole_step(linear(input, w_ih, b_ih), states, Weights(w_ih, w_hh, b_ih, b_hh, w_ch))
