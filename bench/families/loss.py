# SPDX-License-Identifier: Apache-2.0
"""Losses in float32, forward and with the gradient of the input: cross-entropy of class indices,
losses of two arrays of one shape, and connectionist temporal classification of logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _definition(
    x: np.ndarray, target: np.ndarray, smoothing: float, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean loss of (N, C, ...) and its gradient in float64."""
    x = x.astype(np.float64)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    share = np.full(x.shape, smoothing / x.shape[1])
    own = smoothing / x.shape[1] + 1 - smoothing
    np.put_along_axis(share, np.expand_dims(target, 1), own, axis=1)
    share *= weight.reshape(-1, *(1,) * (x.ndim - 2))
    total = weight[target].sum()
    slope = np.exp(log_p) * share.sum(axis=1, keepdims=True) - share
    return -(share * log_p).sum() / total, slope / total


def _step(function: Any, x: Any, *given: Any) -> Any:
    x.grad = None
    function(x, *given).backward()
    return x.grad


def _logistic(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))


# name: the definition per element and its slope along the input
POINTWISE: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "mse_loss": (lambda x, t: (x - t) ** 2, lambda x, t: 2 * (x - t)),
    "smooth_l1_loss": (
        lambda x, t: np.where(np.abs(x - t) < 1, 0.5 * (x - t) ** 2, np.abs(x - t) - 0.5),
        lambda x, t: np.clip(x - t, -1, 1),
    ),
    "binary_cross_entropy": (
        lambda x, t: -(t * np.log(x) + (1 - t) * np.log(1 - x)),
        lambda x, t: (x - t) / (x * (1 - x)),
    ),
    "binary_cross_entropy_with_logits": (_logistic, lambda x, t: 1 / (1 + np.exp(-x)) - t),
}


def _pointwise_problem(name: str, op: str, count: int, against: list[str]) -> Problem:
    rng = np.random.default_rng(0)
    probabilities = op == "binary_cross_entropy"
    x = rng.uniform(0.05, 0.95, count) if probabilities else rng.standard_normal(count) * 2
    x = x.astype(np.float32)
    target = (rng.random(count) < 0.5 if "binary" in op else rng.standard_normal(count)).astype(
        np.float32
    )
    slope = POINTWISE[op][1](x.astype(np.float64), target.astype(np.float64)) / count
    ours = getattr(gs.nn.functional, op)
    leaf, labels = gs.tensor(x, requires_grad=True), gs.from_numpy(target)
    problem = Problem(
        "loss",
        f"{name} forward+backward",
        ours=lambda: _step(ours, leaf, labels),
        check=close_to(slope, 1e-5),
        bytes=20.0 * count,
    )
    if "torch" in against:
        import torch

        theirs = getattr(torch.nn.functional, op)
        given, given_labels = torch.tensor(x, requires_grad=True), torch.from_numpy(target)
        problem.peers["torch"] = {"default": lambda: _step(theirs, given, given_labels)}
    value = POINTWISE[op][0](x.astype(np.float64), target.astype(np.float64)).mean()
    got = float(ours(leaf, labels).item())
    assert math.isclose(got, value, rel_tol=1e-5), f"{op}: {got}, expected {value}"
    return problem


# ---- connectionist temporal classification -------------------------------------------------------


def _ways(log_p: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the logarithms of the chances (T, N, places) of all ways to each place."""
    skips = (places[:, 2:] != 0) & (places[:, 2:] != places[:, :-2])
    now = np.full(places.shape, -np.inf)
    now[:, 0] = 0
    rows = []
    for emission in np.take_along_axis(log_p, places[None], 2):
        before, now = now, now.copy()
        now[:, 1:] = np.logaddexp(now[:, 1:], before[:, :-1])
        now[:, 2:] = np.logaddexp(now[:, 2:], np.where(skips, before[:, :-2], -np.inf))
        now += emission
        rows.append(now)
    return np.stack(rows)


def _ctc_definition(x: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean loss of logits (T, N, C), whose sequences all have full length, and dx."""
    x = x.astype(np.float64)
    log_p = x - np.log(np.exp(x).sum(2, keepdims=True))
    places = np.zeros((len(labels), 2 * labels.shape[1] + 1), np.int64)
    places[:, 1::2] = labels
    alpha = _ways(log_p, places)
    beta = _ways(log_p[::-1], places[:, ::-1])[::-1, :, ::-1]
    both = alpha + beta - np.take_along_axis(log_p, np.broadcast_to(places, alpha.shape), 2)
    total = np.logaddexp.reduce(both, 2, keepdims=True)
    dx = np.exp(log_p)
    for s in range(places.shape[1]):
        dx[:, np.arange(len(places)), places[:, s]] -= np.exp(both - total)[:, :, s]
    return float(-total[0].mean() / labels.shape[1]), dx / labels.size


def _ctc(functional: Any, x: Any, *given: Any) -> Any:
    return functional.ctc_loss(functional.log_softmax(x, -1), *given)


def _ctc_step(functional: Any, x: Any, *given: Any) -> Any:
    x.grad = None
    _ctc(functional, x, *given).backward()
    return x.grad


def _ctc_problems(name: str, sizes: str, count: int, against: list[str]) -> Iterator[Problem]:
    steps, batch, classes = (int(size) for size in sizes.split("x"))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps, batch, classes)).astype(np.float32)
    given = [rng.integers(1, classes, (batch, count)), *(np.full(batch, n) for n in (steps, count))]
    loss, gradient = _ctc_definition(x, given[0])
    for part, run, expected in (
        ("forward", _ctc, np.asarray(loss)),
        ("forward+backward", _ctc_step, gradient),
    ):
        leaf = gs.tensor(x, requires_grad=part != "forward")
        ours = [gs.nn.functional, leaf, *(gs.from_numpy(each) for each in given)]
        problem = Problem(
            "loss",
            f"{name} {part}",
            ours=lambda r=run, a=ours: r(*a),
            check=close_to(expected, 1e-3),
            bytes=8.0 * x.size,
        )
        if "torch" in against:
            import torch

            peer = torch.tensor(x, requires_grad=part != "forward")
            theirs = [torch.nn.functional, peer, *(torch.from_numpy(each) for each in given)]
            problem.peers["torch"] = {"default": lambda r=run, a=theirs: r(*a)}
        yield problem


def _class_problems(
    name: str, sizes: str, number: str, *weighted: str, against: list[str]
) -> Iterator[Problem]:
    shape = tuple(int(size) for size in sizes.split("x"))
    smoothing = float(number)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    weight = rng.uniform(0.5, 2, shape[1]).astype(np.float32) if weighted else None
    factors = np.ones(shape[1]) if weight is None else weight.astype(np.float64)
    loss, gradient = _definition(x, target, smoothing, factors)

    def call(functional: Any, tensor: Callable[[np.ndarray], Any]) -> Callable[[Any], Any]:
        labels, given = tensor(target), None if weight is None else tensor(weight)
        return lambda leaf: functional.cross_entropy(leaf, labels, given, label_smoothing=smoothing)

    ours = call(gs.nn.functional, gs.from_numpy)
    logits, leaf = gs.from_numpy(x), gs.tensor(x, requires_grad=True)
    forward = Problem(
        "loss",
        f"{name} forward",
        ours=lambda: ours(logits),
        check=close_to(np.asarray(loss), 1e-5),
        bytes=4.0 * x.size,
    )
    step = Problem(
        "loss",
        f"{name} forward+backward",
        ours=lambda: _step(ours, leaf),
        check=close_to(gradient, 1e-4),
        bytes=12.0 * x.size,
    )
    if "torch" in against:
        import torch

        theirs = call(torch.nn.functional, torch.from_numpy)
        given, given_leaf = torch.from_numpy(x), torch.tensor(x, requires_grad=True)
        forward.peers["torch"] = {"default": lambda: theirs(given)}
        step.peers["torch"] = {"default": lambda: _step(theirs, given_leaf)}
    yield forward
    yield step


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("loss"):
        if text.startswith("ctc "):
            _, sizes, count_text = text.split()
            yield from _ctc_problems(name, sizes, int(count_text), against)
            continue
        if text.split()[0] in POINTWISE:
            op, count_text = text.split()
            yield _pointwise_problem(name, op, int(count_text), against)
            continue
        yield from _class_problems(name, *text.split(), against=against)
