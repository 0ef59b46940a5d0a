# SPDX-License-Identifier: Apache-2.0
"""Weights as length times direction (Salimans and Kingma 2016)."""

from __future__ import annotations

from typing import TypeVar

from gradsmith.autograd import no_grad
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.utils.reparametrization import (
    Reparametrization,
    attach,
    detach,
)
from gradsmith.ops.elementwise import div, mul
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.shape import axis_of
from gradsmith.tensor import Tensor

_M = TypeVar("_M", bound=Module)


class WeightNorm(Reparametrization):
    """The weight is ``g v / ||v||``, with a length per slice along ``dim``, or one for all."""

    title = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        """Remember the options."""
        super().__init__(name)
        self.dim = dim

    def length(self, v: Tensor) -> Tensor:
        """Return the norm of each slice, in a shape that broadcasts, or of the whole."""
        if self.dim is None:
            return vector_norm(v)
        others = tuple(axis for axis in range(v.ndim) if axis != self.dim)
        return vector_norm(v, 2, others, keepdim=True) if others else v.abs()

    def compute(self, module: Module) -> Tensor:
        """Return ``g v / ||v||``."""
        g, v = (module.get_parameter(f"{self.name}_{each}") for each in "gv")
        return mul(v, div(g, self.length(v)))


def weight_norm(module: _M, name: str = "weight", dim: int | None = 0) -> _M:
    """Train the length and the direction of a module's weight instead of the weight.

    The parameter becomes ``<name>_g`` and ``<name>_v``, from which it is computed before every
    forward pass: ``g v / ||v||``.

    Example:
        >>> from gradsmith import nn
        >>> list(nn.utils.weight_norm(nn.Linear(3, 2)).state_dict())
        ['bias', 'weight_g', 'weight_v']

    Args:
        module: the module, which is changed and returned.
        name: of the parameter.
        dim: dimension along which each slice has a length; None or -1 for one of the whole.

    Raises:
        TypeError: it is no module, or an option no number.
        ValueError: there is no such parameter, or it is normalised already.
        IndexError: there is no such dimension.
    """
    check_module("weight_norm", "module", module)
    weight = module.get_parameter(name)
    axis = None if dim in (None, -1) else axis_of("weight_norm", dim or 0, weight.ndim)
    hook = WeightNorm(name, axis)
    with no_grad():
        length = hook.length(weight)
    v = Parameter(weight.detach())
    attach(hook, module, {f"{name}_g": Parameter(length), f"{name}_v": v})
    return module


def remove_weight_norm(module: _M, name: str = "weight") -> _M:
    """Make an ordinary parameter of length and direction.

    Raises:
        TypeError: it is no module.
        ValueError: the weight is not normalised.
    """
    detach(WeightNorm, module, name, ("g", "v"))
    return module
