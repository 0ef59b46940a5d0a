# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers over a whole sequence, one layer, one direction.

x (T, B, I), h0 and c0 (B, H), w_ih (G*H, I), w_hh (G*H, H), b_ih and b_hh (G*H), y (T, B, H).
Gate order along G*H: lstm i, f, g, o (Hochreiter & Schmidhuber 1997, with forget gate); gru
r, z, n (Cho 2014, in the form with b_hn inside the product with r). Backward functions walk the
time axis in reverse and return the gradients in the order of the forward arguments.
"""

import numpy as np

from . import Array
from .elementwise import sigmoid


def _affine(v: Array, w: Array, b: Array) -> Array:
    return v @ w.T + b


def _affine_gradients(da: Array, v: Array, w: Array) -> tuple[Array, Array, Array]:
    """a = v w^T + b over (T, B, ...) -> dv, dw, db."""
    return da @ w, np.einsum("tbg,tbi->gi", da, v), da.sum(axis=(0, 1))


def _previous(h0: Array, y: Array) -> Array:
    """States before each step: h0, y[0], ..., y[T-2]."""
    return np.concatenate([h0[None], y])[: len(y)]


def _rnn(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array, nonlinearity: str
) -> tuple[Array, Array]:
    y = np.zeros((len(x), *h0.shape))
    h = h0
    for t in range(len(x)):
        a = _affine(x[t], w_ih, b_ih) + _affine(h, w_hh, b_hh)
        y[t] = h = np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)
    return y, h


def _rnn_backward(
    dy: Array,
    dh_last: Array,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    nonlinearity: str,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    y, _ = _rnn(x, h0, w_ih, w_hh, b_ih, b_hh, nonlinearity)
    da = np.zeros_like(y)
    dh = dh_last
    for t in reversed(range(len(x))):
        slope = 1 - y[t] ** 2 if nonlinearity == "tanh" else y[t] > 0
        da[t] = (dy[t] + dh) * slope
        dh = da[t] @ w_hh
    dx, dw_ih, db_ih = _affine_gradients(da, x, w_ih)
    _, dw_hh, db_hh = _affine_gradients(da, _previous(h0, y), w_hh)
    return dx, dh, dw_ih, dw_hh, db_ih, db_hh


def rnn_tanh(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array
) -> tuple[Array, Array]:
    """h = tanh(w_ih x + b_ih + w_hh h + b_hh); returns y, h_last."""
    return _rnn(x, h0, w_ih, w_hh, b_ih, b_hh, "tanh")


def rnn_tanh_backward(
    dy: Array,
    dh_last: Array,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Returns dx, dh0, dw_ih, dw_hh, db_ih, db_hh."""
    return _rnn_backward(dy, dh_last, x, h0, w_ih, w_hh, b_ih, b_hh, "tanh")


def rnn_relu(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array
) -> tuple[Array, Array]:
    """h = relu(w_ih x + b_ih + w_hh h + b_hh); returns y, h_last."""
    return _rnn(x, h0, w_ih, w_hh, b_ih, b_hh, "relu")


def rnn_relu_backward(
    dy: Array,
    dh_last: Array,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Returns dx, dh0, dw_ih, dw_hh, db_ih, db_hh."""
    return _rnn_backward(dy, dh_last, x, h0, w_ih, w_hh, b_ih, b_hh, "relu")


def _lstm_step(a: Array, c: Array) -> tuple[Array, Array, tuple[Array, Array, Array, Array]]:
    """Pre-activations a (B, 4H) and cell c (B, H) -> h, new c, gates."""
    i, f, g, o = np.split(a, 4, axis=-1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * np.tanh(c), c, (i, f, g, o)


def lstm(
    x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array
) -> tuple[Array, Array, Array]:
    """c = f c + i g, h = o tanh(c); returns y, h_last, c_last."""
    y = np.zeros((len(x), *h0.shape))
    h, c = h0, c0
    for t in range(len(x)):
        h, c, _ = _lstm_step(_affine(x[t], w_ih, b_ih) + _affine(h, w_hh, b_hh), c)
        y[t] = h
    return y, h, c


def lstm_backward(
    dy: Array,
    dh_last: Array,
    dc_last: Array,
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """Returns dx, dh0, dc0, dw_ih, dw_hh, db_ih, db_hh."""
    h_before = _previous(h0, lstm(x, h0, c0, w_ih, w_hh, b_ih, b_hh)[0])
    a = _affine(x, w_ih, b_ih) + _affine(h_before, w_hh, b_hh)  # (T, B, 4H)
    cells, gates = [c0], []
    for t in range(len(x)):
        _, c, gates_t = _lstm_step(a[t], cells[-1])
        cells.append(c)
        gates.append(gates_t)
    da = np.zeros_like(a)
    dh, dc = dh_last, dc_last
    for t in reversed(range(len(x))):
        i, f, g, o = gates[t]
        tanh_c = np.tanh(cells[t + 1])
        dh = dh + dy[t]
        dc = dc + dh * o * (1 - tanh_c**2)
        di, df, dg, do = dc * g, dc * cells[t], dc * i, dh * tanh_c
        slopes = [di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)]
        da[t] = np.concatenate(slopes, axis=-1)
        dh, dc = da[t] @ w_hh, dc * f
    dx, dw_ih, db_ih = _affine_gradients(da, x, w_ih)
    _, dw_hh, db_hh = _affine_gradients(da, h_before, w_hh)
    return dx, dh, dc, dw_ih, dw_hh, db_ih, db_hh


def _gru_step(from_x: Array, from_h: Array, h: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Pre-activations of input and state (B, 3H), state h (B, H) -> new h, gates."""
    xr, xz, xn = np.split(from_x, 3, axis=-1)
    hr, hz, hn = np.split(from_h, 3, axis=-1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, (r, z, n)


def gru(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array
) -> tuple[Array, Array]:
    """n = tanh(x_n + r h_n), h = (1 - z) n + z h; returns y, h_last."""
    y = np.zeros((len(x), *h0.shape))
    h = h0
    for t in range(len(x)):
        h, _ = _gru_step(_affine(x[t], w_ih, b_ih), _affine(h, w_hh, b_hh), h)
        y[t] = h
    return y, h


def gru_backward(
    dy: Array,
    dh_last: Array,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Returns dx, dh0, dw_ih, dw_hh, db_ih, db_hh."""
    h_before = _previous(h0, gru(x, h0, w_ih, w_hh, b_ih, b_hh)[0])
    from_x, from_h = _affine(x, w_ih, b_ih), _affine(h_before, w_hh, b_hh)  # (T, B, 3H)
    dfrom_x, dfrom_h = np.zeros_like(from_x), np.zeros_like(from_h)
    dh = dh_last
    for t in reversed(range(len(x))):
        _, (r, z, n) = _gru_step(from_x[t], from_h[t], h_before[t])
        hn = np.split(from_h[t], 3, axis=-1)[2]
        dh = dh + dy[t]
        dn = dh * (1 - z) * (1 - n**2)
        dz = dh * (h_before[t] - n) * z * (1 - z)
        dr = dn * hn * r * (1 - r)
        dfrom_x[t] = np.concatenate([dr, dz, dn], axis=-1)
        dfrom_h[t] = np.concatenate([dr, dz, dn * r], axis=-1)
        dh = dh * z + dfrom_h[t] @ w_hh
    dx, dw_ih, db_ih = _affine_gradients(dfrom_x, x, w_ih)
    _, dw_hh, db_hh = _affine_gradients(dfrom_h, h_before, w_hh)
    return dx, dh, dw_ih, dw_hh, db_ih, db_hh


def projected_lstm(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    w_hr: Array,
) -> tuple[Array, Array, Array]:
    """h = w_hr (o tanh(c)), with h0 (B, P) and w_hr (P, H) (Sak 2014); returns y, h, c."""
    h, c, y = h0, c0, []
    for step in x:
        h, c, _ = _lstm_step(_affine(step, w_ih, b_ih) + _affine(h, w_hh, b_hh), c)
        h = h @ w_hr.T
        y.append(h)
    return np.stack(y), h, c


def peephole_lstm(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    w_ch: Array,
) -> tuple[Array, Array, Array]:
    """Gates i, f see the cell before, o the new one, by w_ch (3H) (Gers 2000)."""
    h, c, y = h0, c0, []
    p_i, p_f, p_o = np.split(w_ch, 3)
    for step in x:
        i, f, g, o = np.split(_affine(step, w_ih, b_ih) + _affine(h, w_hh, b_hh), 4, axis=-1)
        c = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * np.tanh(g)
        h = sigmoid(o + p_o * c) * np.tanh(c)
        y.append(h)
    return np.stack(y), h, c


def gru_reset_before(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array
) -> tuple[Array, Array]:
    """n = tanh(x_n + w_hn (r h) + b_hn), h = (1 - z) n + z h (Cho 2014); returns y, h_last."""
    h, y = h0, []
    size = h0.shape[1]
    for step in x:
        xr, xz, xn = np.split(_affine(step, w_ih, b_ih), 3, axis=-1)
        hr, hz = np.split(_affine(h, w_hh[: 2 * size], b_hh[: 2 * size]), 2, axis=-1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = np.tanh(xn + _affine(r * h, w_hh[2 * size :], b_hh[2 * size :]))
        h = (1 - z) * n + z * h
        y.append(h)
    return np.stack(y), h
