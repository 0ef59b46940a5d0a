# SPDX-License-Identifier: Apache-2.0
"""Whether ops are recorded: blocks, decorators, generators, threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests.test_autograd import leaf


def test_no_grad_nests_and_restores() -> None:
    x = leaf(1.0)
    with gs.no_grad():
        assert not (x * 2).requires_grad
        with gs.enable_grad():
            assert (x * 2).requires_grad
        assert not gs.is_grad_enabled()
    assert gs.is_grad_enabled()


def test_no_grad_restores_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), gs.no_grad():
        raise ZeroDivisionError
    assert gs.is_grad_enabled()


def test_no_grad_as_decorator() -> None:
    @gs.no_grad()
    def double(x: gs.Tensor) -> gs.Tensor:
        return x * 2

    assert not double(leaf(1.0)).requires_grad


@pytest.mark.parametrize("mode", [gs.no_grad, gs.inference_mode, gs.enable_grad])
def test_modes_decorate_without_parentheses(mode: Any) -> None:
    @mode
    def double(x: gs.Tensor, depth: int = 0) -> gs.Tensor:
        """Say what it does."""
        return double(x, depth - 1) if depth else x * 2

    with gs.set_grad_enabled(mode is not gs.enable_grad):
        assert double(leaf(1.0), 2).requires_grad == (mode is gs.enable_grad)
        assert gs.is_grad_enabled() == (mode is not gs.enable_grad)
    assert (double.__name__, double.__doc__) == ("double", "Say what it does.")
    with pytest.raises(TypeError, match=f"{mode.__name__}: decorates the class int, expected a"):
        mode(int)
    with pytest.raises(TypeError, match=f"{mode.__name__}: decorates 3, expected a function"):
        mode(3)


@pytest.mark.parametrize(
    "decorator",
    [lambda: gs.no_grad, gs.no_grad, gs.inference_mode, lambda: gs.set_grad_enabled(False)],
)
def test_generators_hold_the_mode_while_they_run(decorator: Any) -> None:
    log: list[Any] = []

    @decorator()
    def steps(start: int) -> Any:
        try:
            for number in range(start, 9):
                try:
                    log.append((yield number, gs.is_grad_enabled()))
                except KeyError:
                    log.append(("caught", gs.is_grad_enabled()))
            return "end"
        finally:
            log.append(("left", gs.is_grad_enabled()))

    running = steps(3)
    assert next(running) == (3, False)
    assert gs.is_grad_enabled()
    assert running.send("sent") == (4, False)
    assert running.throw(KeyError()) == (5, False)
    assert gs.is_grad_enabled()
    running.close()
    assert log == ["sent", ("caught", False), ("left", False)]
    assert gs.is_grad_enabled()
    ended = steps(8)
    next(ended)
    with pytest.raises(StopIteration) as stop:
        next(ended)
    assert stop.value.value == "end"
    with pytest.raises(ZeroDivisionError):
        next(steps_that_fail())
    assert gs.is_grad_enabled()


@gs.no_grad
def steps_that_fail() -> Any:
    yield 1 // 0


def test_set_grad_enabled_by_call_block_and_decorator() -> None:
    gs.set_grad_enabled(False)
    assert not gs.is_grad_enabled()
    with gs.set_grad_enabled(True):
        assert gs.is_grad_enabled()
    assert not gs.is_grad_enabled()
    gs.set_grad_enabled(True)
    double = gs.set_grad_enabled(False)(lambda x: x * 2)
    assert gs.is_grad_enabled()
    assert not double(leaf(1.0)).requires_grad
    with pytest.raises(TypeError, match="set_grad_enabled: enabled is a int, expected a bool"):
        gs.set_grad_enabled(1)
    assert gs.is_grad_enabled()


def test_mode_belongs_to_the_thread() -> None:
    seen = []
    with gs.no_grad():
        thread = threading.Thread(target=lambda: seen.append(gs.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach_shares_memory_and_stops_gradients() -> None:
    x = leaf(1.0, 2.0)
    y = x.detach()
    assert not y.requires_grad
    assert np.shares_memory(x.detach().numpy(), y.numpy())
    (x * y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 2.0])
