# SPDX-License-Identifier: Apache-2.0
"""Every module passes gradients of both orders to its inputs and parameters.

Modules are too large to move each number by itself, so inputs and parameters move together along
a few random directions, and outputs are added up with random factors: a wrong gradient anywhere
changes the derivatives between the two, which gradcheck and gradgradcheck judge.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from gradsmith.autograd import gradcheck, gradgradcheck
from tests.gradient_modules import CONTAINERS, DRAWING, STEPS, Given, Moving, is_movable
from tests.nn_models import set_parameters
from tests.public_functions import tensors
from tests.test_nn_modules import SAME

ROWS: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    **{name: row[:2] for name, row in SAME.items()},
    **DRAWING,
}
DIRECTIONS = 3


class Problem:
    """A module as a function of places along the directions.

    Attributes:
        module: a copy in float64.
        inputs: what it is called with; those that are `Moving` move.
        parameters: those that are trained, by their names.
        factors: of each output.
    """

    def __init__(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.module = copy.deepcopy(module).double()
        self.rng = np.random.default_rng(0)
        trained = {k: v for k, v in self.module.named_parameters() if v.requires_grad}
        self.parameters = {name: self._moving(value) for name, value in trained.items()}
        self.inputs = [self._input(x) for x in inputs]
        self.factors: list[gs.Tensor] = []

    def _moving(self, x: gs.Tensor, made: Any = lambda x: x) -> Moving:
        directions = gs.tensor(self.rng.standard_normal((*x.shape, DIRECTIONS)))
        return Moving(x.detach().double(), directions, made)

    def _input(self, x: Any) -> Any:
        given = x if isinstance(x, Given) else Given(x, moves=is_movable(x))
        if given.moves:
            return self._moving(given.value, given.made)
        floating = isinstance(given.value, gs.Tensor) and given.value.is_floating_point()
        return given.value.double() if floating else given.value

    def __call__(self, place: gs.Tensor) -> gs.Tensor:
        """Return the sums of all outputs at the place, each with other factors."""
        gs.manual_seed(0)
        set_parameters(self.module, {key: each.at(place) for key, each in self.parameters.items()})
        inputs = [each.at(place) if isinstance(each, Moving) else each for each in self.inputs]
        outputs = tensors(self.module(*inputs))
        outputs = [each for each in outputs if each.is_floating_point()]
        if not self.factors:
            shapes = [(DIRECTIONS, *each.shape) for each in outputs]
            self.factors = [gs.tensor(self.rng.standard_normal(shape)) for shape in shapes]
        sums = [
            (each * factor).reshape(DIRECTIONS, -1).sum(1)
            for each, factor in zip(outputs, self.factors, strict=True)
        ]
        return gs.stack(sums).sum(0)


def start() -> gs.Tensor:
    return gs.zeros(DIRECTIONS, dtype=gs.float64, requires_grad=True)


@pytest.mark.parametrize("name", [name for name in ROWS if name not in STEPS])
def test_gradients_of_both_orders(name: str) -> None:
    problem = Problem(*ROWS[name])
    assert gradcheck(problem, start())
    assert gradgradcheck(problem, start())


@pytest.mark.parametrize("name", STEPS)
def test_steps_have_no_gradient(name: str) -> None:
    problem = Problem(*ROWS[name])
    there = problem(start() + 1e-9)
    assert gs.equal(problem(start()), there)
    assert not there.requires_grad


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_cannot_be_called(kind: Any) -> None:
    with pytest.raises(NotImplementedError):
        kind()(gs.ones(1))


def test_every_module_is_judged() -> None:
    tested = {type(module).__name__ for module, _ in ROWS.values()}
    tested |= {kind.__name__ for kind in CONTAINERS}
    public = {
        name
        for name, kind in vars(nn).items()
        if inspect.isclass(kind) and issubclass(kind, nn.Module) and not name.startswith("Lazy")
    }  # a lazy one has become another by its first call
    assert public - tested == set(), "rows are missing in the tables of nn_layers.py and others"
