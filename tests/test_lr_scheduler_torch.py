# SPDX-License-Identifier: Apache-2.0
"""Every schedule beside PyTorch's: rates, momentum, jumps, resumed runs, states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradsmith import optim
from gradsmith.optim import lr_scheduler
from gradsmith.tensor import Tensor

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::UserWarning")]

Maker = Callable[[Any, Any], Any]


class Falling:
    """A callable with a state of its own."""

    def __init__(self) -> None:
        self.rate = 0.9

    def __call__(self, epoch: int) -> float:
        return self.rate**epoch


MAKERS: dict[str, Maker] = {
    "ConstantLR": lambda m, o: m.ConstantLR(o, 0.3, 4),
    "StepLR": lambda m, o: m.StepLR(o, 7, 0.3),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [3, 9, 9, 20], 0.3),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, 12, 2.0),
    "LinearLR": lambda m, o: m.LinearLR(o, 0.25, 0.75, 8),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 10, 0.01),
    "CosineAnnealingWarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 4, 2, 0.01),
    "WarmRestarts even": lambda m, o: m.CosineAnnealingWarmRestarts(o, 5),
    "LambdaLR": lambda m, o: m.LambdaLR(o, [lambda e: 1 / (1 + e), Falling()]),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, lambda e: 0.9 + 0.01 * (e % 3)),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.01, [0.1, 0.2], 4, 6),
    "CyclicLR triangular2": lambda m, o: m.CyclicLR(o, [0.01, 0.02], 0.1, 5, mode="triangular2"),
    "CyclicLR exp_range": lambda m, o: m.CyclicLR(
        o, 0.01, 0.1, 5, mode="exp_range", gamma=0.98, base_momentum=0.5, max_momentum=0.7
    ),
    "CyclicLR function": lambda m, o: m.CyclicLR(
        o, 0.01, 0.1, 5, scale_fn=lambda x: 1 / x, cycle_momentum=False
    ),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, [0.1, 0.5], total_steps=40),
    "OneCycleLR three phases": lambda m, o: m.OneCycleLR(
        o, 0.1, epochs=4, steps_per_epoch=10, three_phase=True, anneal_strategy="linear"
    ),
    "OneCycleLR fixed momentum": lambda m, o: m.OneCycleLR(
        o, 0.1, 40, cycle_momentum=False, pct_start=0.5, div_factor=10, final_div_factor=100
    ),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler(
        [m.ConstantLR(o, 0.1, 4), m.ExponentialLR(o, 0.9)]
    ),
    "SequentialLR": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, total_iters=5), m.CosineAnnealingLR(o, 9), m.StepLR(o, 3)], [5, 14]
    ),
    "SequentialLR in itself": lambda m, o: m.SequentialLR(
        o,
        [
            m.SequentialLR(o, [m.ConstantLR(o, 0.1, 2), m.ExponentialLR(o, 0.5)], [3]),
            m.ExponentialLR(o, 0.8),
        ],
        [7],
    ),
}
JUMPING = [name for name in MAKERS if not name.startswith(("Seq", "Chain", "OneCycle", "Mult"))]


def pair(name: str, adam: bool = False) -> list[tuple[Any, Any]]:
    """Return optimiser and schedule of this library and of PyTorch."""
    import torch

    options: dict[str, Any] = {} if adam else {"momentum": 0.9}
    result = []
    for library, rates, make in (
        (optim, lr_scheduler, lambda: Tensor(np.zeros(2), requires_grad=True)),
        (torch.optim, torch.optim.lr_scheduler, lambda: torch.zeros(2, requires_grad=True)),
    ):
        kind: Any = library.Adam if adam else library.SGD
        groups = [{"params": [make()], "lr": 0.5}, {"params": [make()]}]
        optimizer = kind(groups, lr=0.1, **options)
        result.append((optimizer, MAKERS[name](rates, optimizer)))
    return result


def assert_same(both: list[tuple[Any, Any]], label: Any) -> None:
    (mine, schedule), (theirs, other) = both
    for group, peer in zip(mine.param_groups, theirs.param_groups, strict=True):
        for key in ("lr", "initial_lr", "momentum", "betas", "max_momentum", "max_lr", "min_lr"):
            assert (key in group) == (key in peer), key
            if key in group:
                np.testing.assert_allclose(
                    group[key], peer[key], rtol=1e-12, atol=1e-15, err_msg=f"{key} at {label}"
                )
    np.testing.assert_allclose(schedule.get_last_lr(), other.get_last_lr(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("adam", [False, True], ids=["momentum", "beta1"])
@pytest.mark.parametrize("name", MAKERS)
def test_rates_and_momentum(name: str, adam: bool) -> None:
    both = pair(name, adam)
    assert_same(both, "the start")
    for step in range(40):
        for _, schedule in both:
            schedule.step()
        assert_same(both, step)


@pytest.mark.parametrize("name", JUMPING)
def test_jumps(name: str) -> None:
    both = pair(name)
    for epoch in (3, 11, 2, 30, None, 7, None):
        for _, schedule in both:
            schedule.step() if epoch is None else schedule.step(epoch)
        assert_same(both, epoch)
        assert both[0][1].last_epoch == both[1][1].last_epoch


def test_warm_restarts_between_steps() -> None:
    both = pair("CosineAnnealingWarmRestarts")
    for epoch in (0.5, 3.25, 4.0, 11.75, 40.0):
        for _, schedule in both:
            schedule.step(epoch)
        assert_same(both, epoch)


@pytest.mark.parametrize("name", MAKERS)
def test_pytorch_s_state_loads(name: str) -> None:
    both = pair(name)
    (mine, schedule), (theirs, other) = both
    for _ in range(6):
        other.step()
    schedule.load_state_dict(other.state_dict())
    for group, peer in zip(mine.param_groups, theirs.param_groups, strict=True):
        group.update({key: peer[key] for key in group if key in peer and key != "params"})
    for step in range(6, 30):
        for _, each in both:
            each.step()
        assert_same(both, step)
    state = schedule.state_dict()
    assert state.keys() <= other.state_dict().keys()


@pytest.mark.parametrize("name", ["StepLR", "LinearLR", "CosineAnnealingLR", "ExponentialLR"])
def test_last_epoch_goes_on(name: str) -> None:
    import torch

    kinds: dict[str, Any] = {
        "StepLR": lambda m, o: m.StepLR(o, 4, last_epoch=6),
        "LinearLR": lambda m, o: m.LinearLR(o, last_epoch=2),
        "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 10, last_epoch=6),
        "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.9, last_epoch=6),
    }
    both = []
    for library, rates, param in (
        (optim, lr_scheduler, Tensor(np.zeros(2), requires_grad=True)),
        (torch.optim, torch.optim.lr_scheduler, torch.zeros(2, requires_grad=True)),
    ):
        kind: Any = library.SGD
        optimizer = kind([{"params": [param], "initial_lr": 0.5}], lr=0.2, momentum=0.9)
        both.append((optimizer, kinds[name](rates, optimizer)))
    for step in range(12):
        assert_same(both, step)
        for _, schedule in both:
            schedule.step()
