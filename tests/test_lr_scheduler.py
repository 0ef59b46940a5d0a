# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradsmith import optim
from gradsmith.optim import lr_scheduler
from gradsmith.tensor import Tensor


def optimizer() -> optim.SGD:
    params = [Tensor(np.zeros(2), requires_grad=True) for _ in range(2)]
    return optim.SGD([{"params": params[:1], "lr": 0.5}, {"params": params[1:]}], lr=0.1)


# name: (schedule, factor of the initial rate after e steps)
CLOSED_FORMS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[int], float]]] = {
    "StepLR": (lambda m, o: m.StepLR(o, 7, 0.3), lambda e: 0.3 ** (e // 7)),
    "MultiStepLR": (
        lambda m, o: m.MultiStepLR(o, [3, 9, 9, 20], 0.3),
        lambda e: 0.3 ** sum(e >= milestone for milestone in (3, 9, 9, 20)),
    ),
    "ExponentialLR": (lambda m, o: m.ExponentialLR(o, 0.9), lambda e: 0.9**e),
    "CosineAnnealingLR": (
        lambda m, o: m.CosineAnnealingLR(o, 10),
        lambda e: (1 + math.cos(math.pi * e / 10)) / 2,
    ),
    "LambdaLR": (lambda m, o: m.LambdaLR(o, lambda e: 1 / (1 + e)), lambda e: 1 / (1 + e)),
    "LinearLR": (
        lambda m, o: m.LinearLR(o, 0.25, 0.75, 8),
        lambda e: 0.25 + 0.5 * min(e, 8) / 8,
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_schedules_follow_their_closed_form(name: str) -> None:
    make, factor = CLOSED_FORMS[name]
    target = optimizer()
    schedule = make(lr_scheduler, target)
    for epoch in range(45):
        rates = [group["lr"] for group in target.param_groups]
        np.testing.assert_allclose(rates, [0.5 * factor(epoch), 0.1 * factor(epoch)], atol=1e-12)
        assert schedule.get_last_lr() == rates
        schedule.step()


def test_cosine_ends_at_eta_min() -> None:
    target = optimizer()
    schedule = lr_scheduler.CosineAnnealingLR(target, 4, eta_min=0.02)
    for _ in range(4):
        schedule.step()
    np.testing.assert_allclose(schedule.get_last_lr(), 0.02)
    for _ in range(4):
        schedule.step()
    np.testing.assert_allclose(schedule.get_last_lr(), [0.5, 0.1])


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_schedules_resume(name: str) -> None:
    make, factor = CLOSED_FORMS[name]
    first = optimizer()
    schedule = make(lr_scheduler, first)
    for _ in range(5):
        schedule.step()
    second = optimizer()
    resumed = make(lr_scheduler, second)
    resumed.load_state_dict(schedule.state_dict())
    second.load_state_dict(first.state_dict())
    for _ in range(6):
        resumed.step()
    np.testing.assert_allclose(resumed.get_last_lr(), [0.5 * factor(11), 0.1 * factor(11)])


def test_plateau_lowers_the_rate_when_nothing_improves() -> None:
    target = optimizer()
    schedule = lr_scheduler.ReduceLROnPlateau(target, factor=0.5, patience=1, min_lr=[0.2, 0.0])
    for metric in (1.0, 0.9, 0.95, 0.92):
        schedule.step(metric)
    assert schedule.get_last_lr() == [0.25, 0.05]
    for _ in range(4):
        schedule.step(Tensor(np.asarray(2.0)))
    assert schedule.get_last_lr() == [0.2, 0.0125]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: lr_scheduler.StepLR(o, 0), "step_size is 0"),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 0), "T_max is 0"),
        (lambda o: lr_scheduler.LambdaLR(o, [math.sqrt]), "1 functions for 2"),
        (lambda o: lr_scheduler.LinearLR(o, start_factor=0.0), "start_factor"),
        (lambda o: lr_scheduler.LinearLR(o, end_factor=1.5), "end_factor"),
        (lambda o: lr_scheduler.LinearLR(o, total_iters=0), "total_iters"),
        (lambda o: lr_scheduler.ExponentialLR(o, 0.9, last_epoch=3), "initial_lr"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="low"), "mode is 'low'"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), "factor is 1.0"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0.1]), "1 min_lr for 2"),
        (lambda o: lr_scheduler.StepLR(o, 2).load_state_dict({"x": 1}), "unknown entries"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(optimizer())


def test_type_errors() -> None:
    with pytest.raises(TypeError, match="expected an Optimizer"):
        lr_scheduler.StepLR(3, 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs the metric"):
        lr_scheduler.ReduceLROnPlateau(optimizer()).step()


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateau_equals_pytorch_s(mode: str, threshold_mode: str) -> None:
    import torch

    peers = [torch.zeros(2, requires_grad=True) for _ in range(2)]
    theirs = torch.optim.SGD([{"params": peers[:1], "lr": 0.5}, {"params": peers[1:]}], lr=0.1)
    mine = optimizer()
    options = dict(mode=mode, factor=0.5, patience=2, threshold=0.01, cooldown=1, min_lr=[0.1, 0.0])
    options["threshold_mode"] = threshold_mode
    schedules = [
        lr_scheduler.ReduceLROnPlateau(mine, **options),  # type: ignore[arg-type]
        torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options),  # type: ignore[arg-type]
    ]
    for metric in np.cumsum(np.random.default_rng(3).standard_normal(45)) * 0.1:
        for schedule in schedules:
            schedule.step(float(metric))
        assert [g["lr"] for g in mine.param_groups] == [g["lr"] for g in theirs.param_groups]
