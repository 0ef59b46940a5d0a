# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers over whole sequences: the modules' forward pass, and with all gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

MODULES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
TOLERANCES = {"float32": 2e-5, "bfloat16": 5e-2}


@dataclass
class Network:
    """One line of the problem list, with the values everybody computes on."""

    module: str
    steps: int
    batch: int
    features: int
    hidden: int
    layers: int
    directions: int
    dtype: str
    x: np.ndarray
    dy: np.ndarray
    params: list[np.ndarray]

    @classmethod
    def from_text(cls, text: str) -> Network:
        module, sizes, *rest = text.split()
        steps, batch, features = map(int, sizes.split("x"))
        hidden, layers, directions = map(int, rest[:3])
        rng = np.random.default_rng(0)
        storage = np.float32 if rest[3] == "float32" else ml_dtypes.bfloat16
        params = []
        for layer in range(layers):
            columns = features if layer == 0 else directions * hidden
            for _ in range(directions):
                rows = GATES[module] * hidden
                for shape in ((rows, columns), (rows, hidden), (rows,), (rows,)):
                    params.append(rng.uniform(-1, 1, shape) / np.sqrt(hidden))
        values = [
            rng.standard_normal((steps, batch, features)),
            rng.standard_normal((steps, batch, directions * hidden)),
            *params,
        ]
        x, dy, *params = [each.astype(storage) for each in values]
        sizes_of_net = (steps, batch, features, hidden, layers, directions)
        return cls(module, *sizes_of_net, rest[3], x, dy, params)

    @property
    def flops(self) -> float:
        """Of the products in one forward pass."""
        weights = sum(each.size for each in self.params if each.ndim == 2)
        return 2.0 * self.steps * self.batch * weights


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _layer(module: str, x: np.ndarray, params: list[np.ndarray]) -> np.ndarray:
    w_ih, w_hh, b_ih, b_hh = params
    from_x = x @ w_ih.T + b_ih
    h = c = np.zeros((x.shape[1], w_hh.shape[1]))
    y = []
    for a in from_x:
        b = h @ w_hh.T + b_hh
        if module == "lstm":
            i, f, g, o = np.split(a + b, 4, axis=-1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        elif module == "gru":
            (xr, xz, xn), (hr, hz, hn) = np.split(a, 3, axis=-1), np.split(b, 3, axis=-1)
            z = _sigmoid(xz + hz)
            h = (1 - z) * np.tanh(xn + _sigmoid(xr + hr) * hn) + z * h
        else:
            h = np.tanh(a + b)
        y.append(h)
    return np.stack(y)


def _definition(net: Network, x: np.ndarray, params: list[np.ndarray]) -> np.ndarray:
    for first in range(0, len(params), 4 * net.directions):
        ys = [_layer(net.module, x, params[first : first + 4])]
        if net.directions == 2:
            ys.append(_layer(net.module, x[::-1], params[first + 4 : first + 8])[::-1])
        x = np.concatenate(ys, axis=2)
    return x


def _close_to_slope(net: Network) -> Callable[[Any], None]:
    """Return a check of all gradients against the central difference in one random direction."""
    rng = np.random.default_rng(1)
    point = [each.astype(np.float64) for each in (net.x, *net.params)]
    along = [rng.standard_normal(each.shape) * np.sqrt(np.mean(each**2)) for each in point]
    h = 1e-5

    def at(t: float) -> float:
        x, *params = [p + t * a for p, a in zip(point, along, strict=True)]
        return float((_definition(net, x, params) * net.dy).sum())

    expected = (at(h) - at(-h)) / (2 * h)

    def check(gradients: Any) -> None:
        shares = [g.numpy().astype(np.float64) * a for g, a in zip(gradients, along, strict=True)]
        error = abs(sum(share.sum() for share in shares) - expected)
        scale = np.sqrt(sum((share**2).sum() for share in shares))
        assert error <= 1e-3 * scale, f"slope is off by {error:.3g} of {scale:.3g}"

    return check


def _step(module: Any, x: Any, dy: Any) -> list[Any]:
    leaves = [x, *module.parameters()]
    for leaf in leaves:
        leaf.grad = None
    module(x)[0].backward(dy)
    return [leaf.grad for leaf in leaves]


def _forward(no_grad: Any, module: Any, x: Any) -> Any:
    with no_grad():
        return module(x)[0]


def _runners(nn: Any, no_grad: Any, net: Network, tensor: Any, dtype: Any) -> list[Any]:
    """Return the forward pass and the step, in a library that has the names of ours."""
    options = {"num_layers": net.layers, "bidirectional": net.directions == 2, "dtype": dtype}
    module = getattr(nn, MODULES[net.module])(net.features, net.hidden, **options)
    with no_grad():
        for parameter, values in zip(module.parameters(), net.params, strict=True):
            parameter[...] = tensor(values)
    x, dy = tensor(net.x), tensor(net.dy)
    leaf = tensor(net.x)
    leaf.requires_grad = True
    return [lambda: _forward(no_grad, module, x), lambda: _step(module, leaf, dy)]


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("rnn"):
        net = Network.from_text(text)
        forward, step = _runners(gs.nn, gs.no_grad, net, gs.tensor, getattr(gs, net.dtype))
        theirs: list[Any] = [None, None]
        if "torch" in against:
            import torch

            def tensor(values: np.ndarray) -> Any:
                dtype = torch.float32 if values.dtype == np.float32 else torch.bfloat16
                return torch.tensor(values.astype(np.float32)).to(dtype)

            theirs = _runners(torch.nn, torch.no_grad, net, tensor, getattr(torch, net.dtype))
        point = [each.astype(np.float64) for each in (net.x, *net.params)]
        rows = [
            Problem(
                "rnn",
                f"{name} forward",
                ours=forward,
                check=close_to(_definition(net, point[0], point[1:]), TOLERANCES[net.dtype]),
                flops=net.flops,
            )
        ]
        if net.dtype == "float32":
            rows.append(
                Problem(
                    "rnn",
                    f"{name} forward+backward",
                    ours=step,
                    check=_close_to_slope(net),
                    flops=3 * net.flops,
                )
            )
        for row, runner in zip(rows, theirs, strict=False):
            if runner is not None:
                row.peers["torch"] = {"default": runner}
            yield row
