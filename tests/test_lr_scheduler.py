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


def restarted(epoch: int) -> float:
    """Return the share of the present fall that is over."""
    size = 3
    while epoch >= size:
        epoch -= size
        size *= 2
    return epoch / size


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
    "ConstantLR": (lambda m, o: m.ConstantLR(o, 0.2, 3), lambda e: 0.2 if e < 3 else 1.0),
    "ConstantLR of 0": (lambda m, o: m.ConstantLR(o, 0.0, 3), lambda e: 0.0 if e < 3 else 1.0),
    "PolynomialLR": (
        lambda m, o: m.PolynomialLR(o, 8, 2.0),
        lambda e: (1 - min(e, 8) / 8) ** 2,
    ),
    "InverseTimeLR": (lambda m, o: m.InverseTimeLR(o, 0.5, 4), lambda e: 1 / (1 + 0.5 * e / 4)),
    "InverseTimeLR in stairs": (
        lambda m, o: m.InverseTimeLR(o, 0.5, 4, staircase=True),
        lambda e: 1 / (1 + 0.5 * (e // 4)),
    ),
    "MultiplicativeLR": (lambda m, o: m.MultiplicativeLR(o, lambda e: 0.8), lambda e: 0.8**e),
    "CosineAnnealingWarmRestarts": (
        lambda m, o: m.CosineAnnealingWarmRestarts(o, 3, 2),
        # falls of 3, 6, 12 and 24 steps
        lambda e: (1 + math.cos(math.pi * restarted(e))) / 2,
    ),
    "ChainedScheduler": (
        lambda m, o: m.ChainedScheduler([m.ConstantLR(o, 0.1, 4), m.ExponentialLR(o, 0.9)]),
        lambda e: (0.1 if e < 4 else 1.0) * 0.9**e,
    ),
    "SequentialLR": (
        lambda m, o: m.SequentialLR(o, [m.ConstantLR(o, 0.1, 4), m.ExponentialLR(o, 0.9)], [4]),
        lambda e: 0.1 if e < 4 else 0.9 ** (e - 4),
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


@pytest.mark.parametrize("name", [name for name in CLOSED_FORMS if "S" not in name])
def test_schedules_jump(name: str) -> None:
    make, factor = CLOSED_FORMS[name]
    schedule = make(lr_scheduler, optimizer())
    for epoch in (2, 11, 5, 3):
        schedule.step(epoch)
        if name != "MultiplicativeLR":  # has no closed form
            np.testing.assert_allclose(
                schedule.get_last_lr(), [0.5 * factor(epoch), 0.1 * factor(epoch)], atol=1e-12
            )
        assert schedule.last_epoch == epoch


def test_one_cycle() -> None:
    target = optimizer()
    schedule = lr_scheduler.OneCycleLR(target, 1.0, total_steps=11, anneal_strategy="linear")
    seen = []
    for _ in range(11):
        group = target.param_groups[0]
        seen.append((group["lr"], group["momentum"]))
        if len(seen) < 11:
            schedule.step()
    # up to step 0.3 * 11 - 1 = 2.3, then down to 1 / 25 / 1e4 at step 10
    up = [(0.04 + 0.96 * e / 2.3, 0.95 - 0.1 * e / 2.3) for e in range(3)]
    down = [(1 + (4e-6 - 1) * (e - 2.3) / 7.7, 0.85 + 0.1 * (e - 2.3) / 7.7) for e in range(3, 11)]
    np.testing.assert_allclose(seen, up + down, rtol=1e-12)
    schedule.step()
    with pytest.raises(ValueError, match="step 12, expected 11"):
        schedule.step()


def test_cycles() -> None:
    adam = optim.Adam([Tensor(np.zeros(2), requires_grad=True)])
    schedule = lr_scheduler.CyclicLR(adam, 0.1, 0.5, 2, 4, mode="triangular2")
    seen = []
    for _ in range(13):
        seen.append((schedule.get_last_lr()[0], adam.param_groups[0]["betas"]))
        schedule.step()
    heights = [0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.375, 0.25, 0.125, 0]
    np.testing.assert_allclose([lr for lr, _ in seen], [0.1 + 0.4 * h for h in heights])
    np.testing.assert_allclose([betas[0] for _, betas in seen], [0.9 - 0.1 * h for h in heights])
    assert all(betas[1] == 0.999 for _, betas in seen)


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
        (lambda o: lr_scheduler.ConstantLR(o, 1.5), "factor is 1.5"),
        (lambda o: lr_scheduler.PolynomialLR(o, 0), "total_iters is 0"),
        (lambda o: lr_scheduler.InverseTimeLR(o, -1), "decay_rate is -1"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), "T_0 is 0"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2).step(-1), "epoch is -1"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, [1.0]), "1 max_lr for 2"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, mode="x"), "mode is 'x'"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, scale_mode="x"), "scale_mode is 'x'"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1), "neither total_steps"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 0), "total_steps is 0"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, pct_start=2.0), "pct_start is 2.0"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, anneal_strategy="x"), "anneal_strategy"),
        (lambda o: lr_scheduler.SequentialLR(o, [], []), "got no schedulers"),
        (
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 2)], [3]),
            "1 milestones for 1",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(o)]),
            "needs a metric",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2)], optimizer()),
            "another optimizer",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2)]).step(3),
            "takes no epoch",
        ),
        (lambda o: lr_scheduler.StepLR(o, 2).load_state_dict({"x": 1}), "unknown entries"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(optimizer())


def test_type_errors() -> None:
    with pytest.raises(TypeError, match="expected an Optimizer"):
        lr_scheduler.StepLR(3, 2)  # type: ignore[arg-type]
    for call, message in (
        (lambda o: lr_scheduler.MultiplicativeLR(o, 0.5), "MultiplicativeLR: lr_lambda"),
        (lambda o: lr_scheduler.CyclicLR(o, "a", 1.0), "base_lr is or holds a str"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2.5), "T_0 is a float"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 2.5), "total_steps is a float"),
        (lambda o: lr_scheduler.ChainedScheduler([3]), "is a int, expected a schedule"),
    ):
        with pytest.raises(TypeError, match=message):
            call(optimizer())  # type: ignore[no-untyped-call]
    rprop = optim.Rprop([Tensor(np.zeros(2), requires_grad=True)])
    with pytest.raises(ValueError, match="Rprop has neither momentum nor betas"):
        lr_scheduler.OneCycleLR(rprop, 0.1, 9)
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
