# SPDX-License-Identifier: Apache-2.0
"""The tensor that modules register as theirs to be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.ops.creation import empty
from gradsmith.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that becomes one of a module's parameters when set as its attribute.

    Example::

        self.scale = Parameter(gs.ones(3))
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        """Share the memory of ``data`` (a tensor, an array or numbers; empty if None).

        Raises:
            TypeError: it is to require a gradient, but its dtype is not floating.
        """
        super().__init__([] if data is None else data, requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class UninitializedBuffer(Tensor):
    """A buffer whose shape is known only when its module first sees an input."""

    def __init__(self, device: Any = None, dtype: Any = None) -> None:
        """Remember device and dtype as those of an empty tensor."""
        super().__init__(empty(0, device=device, dtype=dtype))

    def materialize(self, shape: Sequence[int]) -> None:
        """Become a tensor of a shape, of arbitrary content."""
        self.data = empty(tuple(shape), device=self.device, dtype=self.dtype)
        self.__class__ = Tensor  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<UninitializedBuffer>"


class UninitializedParameter(Parameter):
    """A parameter whose shape is known only when its module first sees an input.

    Until `materialize` it is empty; optimisers that hold it train it from then on.
    """

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        """Remember device and dtype as those of an empty tensor."""
        super().__init__(empty(0, device=device, dtype=dtype), requires_grad)

    def materialize(self, shape: Sequence[int]) -> None:
        """Become a `Parameter` of a shape, of arbitrary content."""
        self.data = empty(tuple(shape), device=self.device, dtype=self.dtype)
        self.__class__ = Parameter  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<UninitializedParameter>"
