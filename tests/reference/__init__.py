# SPDX-License-Identifier: Apache-2.0
"""The definitions: every op family in plain NumPy float64, forward and backward.

Kernels on every device are judged against these files, so they favour the formula over speed and
import nothing but NumPy, ``math`` and each other. Semantics (ties, kinks, reductions, gate order)
are PyTorch's. Conventions: ``f_backward(dy, <inputs of f>)`` returns the gradients of the inputs
in their order; a gradient has the shape of its input. Nothing here validates arguments, and
arguments outside an op's domain (log of 0) warn as NumPy does.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Ids: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
