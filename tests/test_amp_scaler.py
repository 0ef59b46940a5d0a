# SPDX-License-Identifier: Apache-2.0
"""The gradient scaler: scales that come off, skipped steps, bookkeeping."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

import gradsmith as gs
from gradsmith import amp, nn, optim


def scaled_problem() -> tuple[nn.Linear, optim.Adam, amp.GradScaler]:
    gs.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, optim.Adam(model.parameters(), lr=0.1), amp.GradScaler(init_scale=8.0)


def test_scaling_changes_no_bit() -> None:
    """A power of two comes off again exactly."""
    model, optimizer, scaler = scaled_problem()
    plain = copy.deepcopy(model)
    other = optim.Adam(plain.parameters(), lr=0.1)
    x = gs.randn(4, 3)
    for _ in range(3):
        optimizer.zero_grad()
        other.zero_grad()
        scaler.scale(model(x).square().sum()).backward()
        plain(x).square().sum().backward()
        scaler.unscale_(optimizer)
        assert model.weight.grad.tolist() == plain.weight.grad.tolist()
        scaler.step(optimizer)
        other.step()
        scaler.update()
    assert model.weight.tolist() == plain.weight.tolist()


def test_small_gradients_of_float16_survive_by_the_scale() -> None:
    """Without one the gradients underflow; with one too large the first steps are skipped."""
    x, target = gs.ones(4, 1), gs.zeros(4, 1)

    def slope(scale: float) -> tuple[float, float]:
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 2.0**-10)
        scaler = amp.GradScaler(init_scale=scale)
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        for _ in range(40):
            optimizer.zero_grad()
            with amp.autocast("cpu", dtype=gs.float16):
                y = model(x)
            loss = (y.float() - target).square().mean() * 1e-6
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            taken = model.weight.item() != 2.0**-10
            scaler.update()
            if taken:
                break
        return 2.0**-10 - model.weight.item(), scaler.get_scale()

    assert slope(1.0) == (0.0, 1.0)
    step, scale = slope(2.0**60)
    assert scale < 2.0**60
    assert step == pytest.approx(2e-6 * 2.0**-10, rel=0.1)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("unscale", [False, True])
def test_a_skipped_step_leaves_no_trace(bad: float, unscale: bool) -> None:
    model, optimizer, scaler = scaled_problem()
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    scaler.scale(model(gs.ones(2, 3)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    calls: list[Any] = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    parameters = [each.tolist() for each in model.parameters()]
    versions = [each._version and each._version.number for each in model.parameters()]
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.zero_grad()
    scaler.scale(model(gs.ones(2, 3)).sum()).backward()
    model.bias.grad[1] = bad
    if unscale:
        scaler.unscale_(optimizer)
    assert scaler.step(optimizer) is None
    scaler.update()
    assert scaler.get_scale() == 4.0
    assert not calls
    assert [each.tolist() for each in model.parameters()] == parameters
    assert [each._version and each._version.number for each in model.parameters()] == versions
    after = optimizer.state_dict()
    assert after["param_groups"] == state["param_groups"]
    for number, entry in state["state"].items():
        for key, value in entry.items():
            assert after["state"][number][key].tolist() == value.tolist(), key
    schedule.step()
    assert schedule.get_last_lr() == [pytest.approx(0.09)]


def test_the_scale_grows_and_falls() -> None:
    w = gs.ones(1, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.0)
    scaler = amp.GradScaler("cpu", 4.0, growth_factor=3.0, backoff_factor=0.25, growth_interval=2)
    seen = []
    for grad in (1.0, 1.0, 1.0, math.inf, 1.0, 1.0):
        w.grad = gs.tensor([grad])
        scaler.step(optimizer)
        scaler.update()
        seen.append(scaler.get_scale())
    assert seen == [4.0, 12.0, 12.0, 3.0, 3.0, 9.0]
    saved = scaler.state_dict()
    assert set(saved) == {
        *("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
    }
    other = amp.GradScaler()
    other.load_state_dict(saved)
    assert other.state_dict() == saved
    scaler.update(7.0)
    assert scaler.get_scale() == 7.0


def test_several_optimizers_share_a_scale() -> None:
    a, b = (gs.ones(1, requires_grad=True) for _ in range(2))
    first, second = optim.SGD([a], lr=1.0), optim.SGD([b], lr=1.0)
    scaler = amp.GradScaler(init_scale=2.0)
    first_loss, second_loss = scaler.scale((a.sum(), b.sum()))
    first_loss.backward()
    second_loss.backward()
    b.grad = gs.tensor([math.inf])
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert (a.item(), b.item(), scaler.get_scale()) == (0.0, 1.0, 1.0)


def test_a_disabled_scaler_does_nothing() -> None:
    w = gs.ones(1, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    scaler = amp.GradScaler(enabled=False)
    loss = w.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert (w.item(), scaler.get_scale(), scaler.state_dict()) == (0.0, 1.0, {})
    assert not scaler.is_enabled()
    scaler.load_state_dict({})


def stepped() -> tuple[amp.GradScaler, optim.SGD]:
    w = gs.ones(1, requires_grad=True)
    w.grad = gs.ones(1)
    scaler, optimizer = amp.GradScaler(), optim.SGD([w], lr=1.0)
    scaler.step(optimizer)
    return scaler, optimizer


def unscaled() -> tuple[amp.GradScaler, optim.SGD]:
    scaler, optimizer = stepped()
    scaler.update()
    scaler.unscale_(optimizer)
    return scaler, optimizer


ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda: amp.GradScaler(init_scale=0), ValueError, "scale is 0"),
    (lambda: amp.GradScaler(growth_factor=1.0), ValueError, "growth_factor is 1.0"),
    (lambda: amp.GradScaler(backoff_factor=1.0), ValueError, "backoff_factor is 1.0"),
    (lambda: amp.GradScaler(growth_interval=0), ValueError, "growth_interval is 0"),
    (lambda: amp.GradScaler(enabled=1), TypeError, "enabled is a int"),
    (lambda: amp.GradScaler().scale(3), TypeError, "scale got a int"),
    (lambda: amp.GradScaler().update(), RuntimeError, "without a step"),
    (lambda: amp.GradScaler().load_state_dict({"scale": 2.0}), ValueError, "the state lacks"),
    (lambda: stepped()[0].step(stepped()[1], lambda: 0), RuntimeError, "no closure"),
    (lambda: (lambda s, o: s.step(o))(*stepped()), RuntimeError, "already since the last update"),
    (lambda: (lambda s, o: s.unscale_(o))(*stepped()), RuntimeError, "after step"),
    (lambda: (lambda s, o: s.unscale_(o))(*unscaled()), RuntimeError, "already since the last"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
