# SPDX-License-Identifier: Apache-2.0
"""The tensor that modules register as theirs to be trained."""

from __future__ import annotations

from typing import Any

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
