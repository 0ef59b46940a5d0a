# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy of class indices in float32, forward and with the gradient of the logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list
from gradsmith.nn.functional import cross_entropy


def _definition(
    x: np.ndarray, target: np.ndarray, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean loss and its gradient in float64."""
    x = x.astype(np.float64)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    share = np.full(x.shape, smoothing / x.shape[1])
    share[np.arange(len(target)), target] += 1 - smoothing
    return -(share * log_p).sum() / len(x), (np.exp(log_p) - share) / len(x)


def _step(function: Any, x: Any, target: Any, smoothing: float) -> Any:
    x.grad = None
    function(x, target, label_smoothing=smoothing).backward()
    return x.grad


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("loss"):
        sizes, number = text.split()
        shape = tuple(int(size) for size in sizes.split("x"))
        smoothing = float(number)
        rng = np.random.default_rng(0)
        x = rng.standard_normal(shape).astype(np.float32)
        target = rng.integers(0, shape[1], shape[0])
        loss, gradient = _definition(x, target, smoothing)
        ours, labels = gs.from_numpy(x), gs.from_numpy(target)
        leaf = gs.tensor(x, requires_grad=True)
        forward = Problem(
            "loss",
            f"{name} forward",
            ours=lambda a=ours, t=labels, s=smoothing: cross_entropy(a, t, label_smoothing=s),
            check=close_to(np.asarray(loss), 1e-5),
            bytes=4.0 * x.size,
        )
        step = Problem(
            "loss",
            f"{name} forward+backward",
            ours=lambda a=leaf, t=labels, s=smoothing: _step(cross_entropy, a, t, s),
            check=close_to(gradient, 1e-4),
            bytes=12.0 * x.size,
        )
        if "torch" in against:
            import torch

            peer = torch.nn.functional.cross_entropy
            given, given_labels = torch.from_numpy(x), torch.from_numpy(target)
            given_leaf = torch.tensor(x, requires_grad=True)
            forward.peers["torch"] = {
                "default": lambda f=peer, a=given, t=given_labels, s=smoothing: f(
                    a, t, label_smoothing=s
                )
            }
            step.peers["torch"] = {
                "default": lambda f=peer, a=given_leaf, t=given_labels, s=smoothing: _step(
                    f, a, t, s
                )
            }
        yield forward
        yield step
