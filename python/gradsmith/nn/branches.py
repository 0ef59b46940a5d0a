# SPDX-License-Identifier: Apache-2.0
"""Modules side by side on one input, around a shortcut, and functions as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradsmith.nn.container import Ordered
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.elementwise import add
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_int
from gradsmith.tensor import Tensor


class Parallel(Ordered):
    """Branches that all get the input; their results are a list.

    Takes modules, or one dictionary of named modules.

    Example:
        >>> import gradsmith as gs
        >>> heads = gs.nn.Parallel({"class": gs.nn.Linear(4, 3), "box": gs.nn.Linear(4, 2)})
        >>> [y.shape for y in heads(gs.ones(5, 4))]
        [(5, 3), (5, 2)]
    """

    def forward(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the results of the branches, in their order."""
        return [branch(*args, **kwargs) for branch in self._values()]


class Concat(Ordered):
    """Branches that all get the input; their results are joined along a dimension.

    Takes modules, or one dictionary of named modules.

    Example:
        >>> import gradsmith as gs
        >>> gs.nn.Concat(gs.nn.Linear(4, 3), gs.nn.Identity())(gs.ones(5, 4)).shape
        (5, 7)
    """

    def __init__(self, *branches: Any, dim: int = 1) -> None:
        """Hold the branches; results are joined along ``dim`` (TypeError if it is no int)."""
        self.dim = check_int("Concat", "dim", dim)
        super().__init__(*branches)

    def _like(self, values: list[Any], index: slice) -> Any:
        some = super()._like(values, index)
        some.dim = self.dim
        return some

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the joined results of the branches.

        Raises:
            ValueError: there are no branches, or their results do not fit together.
        """
        if not len(self):
            raise ValueError("there are no branches to join")
        return cat([branch(*args, **kwargs) for branch in self._values()], self.dim)

    def extra_repr(self) -> str:
        """Return the dimension."""
        return f"dim={self.dim}"


class Residual(Module):
    """``activation(body(x) + shortcut(x))``, the block of residual networks (He et al. 2016).

    Attributes:
        body: a module.
        shortcut: a module, or None for the input itself.
        activation: a module or function, or None.

    Example:
        >>> import gradsmith as gs
        >>> block = gs.nn.Residual(gs.nn.Linear(4, 4), activation=gs.nn.ReLU())
        >>> block(gs.ones(2, 4)).shape
        (2, 4)
    """

    def __init__(
        self,
        body: Module,
        shortcut: Module | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Hold body, shortcut and activation.

        Raises:
            TypeError: one is not what it has to be.
        """
        super().__init__()
        for name, module in (("body", body), ("shortcut", shortcut)):
            if module is not None or name == "body":
                check_module("Residual", name, module)
        if activation is not None and not callable(activation):
            kind = type(activation).__name__
            raise TypeError(f"Residual: activation is a {kind}, expected a callable or None")
        self.body = body
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        """Return the block's result.

        Raises:
            ValueError: the results of body and shortcut differ in shape.
        """
        y = self.body(input)
        kept = input if self.shortcut is None else self.shortcut(input)
        if y.shape != kept.shape:
            raise ValueError(
                f"the body gives shape {y.shape} and the shortcut {kept.shape}, expected the same"
            )
        total = add(y, kept)
        return total if self.activation is None else self.activation(total)


class Lambda(Module):
    """A function as a module.

    Example:
        >>> import gradsmith as gs
        >>> gs.nn.Sequential(gs.nn.Linear(4, 2), gs.nn.Lambda(lambda x: x * 2))(gs.ones(3, 4)).shape
        (3, 2)
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Hold the function (TypeError if it cannot be called)."""
        super().__init__()
        if not callable(function):
            kind = type(function).__name__
            raise TypeError(f"Lambda: function is a {kind}, expected a callable")
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        """Return the function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)
