# SPDX-License-Identifier: Apache-2.0
"""Optimiser steps over groups of float32 parameters; memory is what bounds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, problem_list

# Options besides the defaults, and numbers moved per parameter: param and states read and written,
# gradient read.
OPTIONS: dict[str, dict[str, Any]] = {"SGD": {"lr": 0.01, "momentum": 0.9}}
TRAFFIC = {
    **dict.fromkeys(("SGD", "Adagrad", "RMSprop", "ASGD", "Lion"), 5),
    **dict.fromkeys(("Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Rprop"), 7),
}


def _arrays(count: int, shape: tuple[int, ...]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]
    gradients = [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]
    return values, gradients


def _runner(make: Any, parameters: list[Any], options: dict[str, Any]) -> Any:
    optimizer = make(parameters, **options)

    def step() -> Any:
        optimizer.step()
        return parameters[0]

    return step


def _check_one_step(name: str, options: dict[str, Any], arrays: Any) -> None:
    """Compare the first step with the one the reference kernel takes in float64."""
    results = []
    for dtype in (np.float32, np.float64):
        parameter = gs.tensor(arrays[0][0].astype(dtype), requires_grad=True)
        parameter.grad = gs.tensor(arrays[1][0].astype(dtype))
        with gs.config.isa("reference" if dtype == np.float64 else gs.config.get_isa()):
            _runner(getattr(gs.optim, name), [parameter], options)()
        results.append(parameter.detach().numpy().astype(np.float64))
    assert np.max(np.abs(results[0] - results[1])) < 1e-6


def problems(against: list[str]) -> Iterator[Problem]:
    for label, text in problem_list("optim"):
        name, count, sizes = text.split()
        shape = tuple(int(size) for size in sizes.split("x"))
        options = OPTIONS.get(name, {})
        arrays = _arrays(int(count), shape)
        ours = [gs.tensor(each, requires_grad=True) for each in arrays[0]]
        for parameter, gradient in zip(ours, arrays[1], strict=True):
            parameter.grad = gs.tensor(gradient)
        problem = Problem(
            "optim",
            label,
            ours=_runner(getattr(gs.optim, name), ours, options),
            check=lambda _, n=name, o=options, a=arrays: _check_one_step(n, o, a),
            bytes=4.0 * TRAFFIC[name] * int(count) * float(np.prod(shape)),
        )
        if "torch" in against and name != "Lion":  # PyTorch has none
            _add_torch(problem, name, options, arrays)
        yield problem


def _add_torch(problem: Problem, name: str, options: dict[str, Any], arrays: Any) -> None:
    """Give PyTorch its default, its multi-tensor and, where it has one, its fused step."""
    import torch

    settings: dict[str, dict[str, Any]] = {"default": {}, "foreach": {"foreach": True}}
    if name in ("SGD", "Adam", "AdamW", "Adagrad"):
        settings["fused"] = {"fused": True}
    problem.peers["torch"] = {}
    for setting, choice in settings.items():
        parameters = [torch.tensor(each, requires_grad=True) for each in arrays[0]]
        for parameter, gradient in zip(parameters, arrays[1], strict=True):
            parameter.grad = torch.tensor(gradient)
        make = getattr(torch.optim, name)
        problem.peers["torch"][setting] = _runner(make, parameters, options | choice)
