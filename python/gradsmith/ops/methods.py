# SPDX-License-Identifier: Apache-2.0
"""Sets the differentiable functions as methods and operators of `Tensor`."""
from gradsmith.tensor import Tensor
from gradsmith.ops import elementwise
Tensor.__add__ = elementwise.add
