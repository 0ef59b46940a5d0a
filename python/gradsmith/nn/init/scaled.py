# SPDX-License-Identifier: Apache-2.0
"""Initialisers whose scale follows from the numbers of inputs and outputs."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.nn.init.drawn import normal_, uniform_
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor, array_of

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which the scale of weights before a nonlinearity has to grow.

    Args:
        nonlinearity: name of a function in `nn.functional`.
        param: slope of ``"leaky_relu"`` (0.01 by default).

    Raises:
        ValueError: the name is unknown, or the slope is no number.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the slope is {slope!r}, expected a number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        names = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(
            f"calculate_gain: nonlinearity {nonlinearity!r} is unknown (expected one of {names})"
        )
    return _GAINS[nonlinearity]


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """Return the numbers of inputs and outputs that one output or input is connected to."""
    if array_of(name, tensor, "tensor").ndim < 2:
        raise ValueError(
            f"{name}: the tensor has shape {tensor.shape}, expected at least 2 dimensions"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fan(name: str, tensor: Tensor, mode: str) -> int:
    fan_in, fan_out = _fans(name, tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode is {mode!r}, expected 'fan_in' or 'fan_out'")
    return fan_in if mode == "fan_in" else fan_out


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill uniformly so that variances pass both ways (Glorot and Bengio 2010).

    Raises:
        ValueError: the tensor has fewer than 2 dimensions.
    """
    check_number("xavier_uniform_", "gain", gain)
    bound = gain * math.sqrt(6.0 / max(sum(_fans("xavier_uniform_", tensor)), 1))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with normal numbers so that variances pass both ways (Glorot and Bengio 2010).

    Raises:
        ValueError: the tensor has fewer than 2 dimensions.
    """
    check_number("xavier_normal_", "gain", gain)
    std = gain * math.sqrt(2.0 / max(sum(_fans("xavier_normal_", tensor)), 1))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Fill uniformly so that variances pass through rectifiers (He et al. 2015).

    Args:
        tensor: weight with at least 2 dimensions.
        a: slope of the leaky rectifier.
        mode: ``"fan_in"`` keeps variances in the forward pass, ``"fan_out"`` in the backward pass.
        nonlinearity: see `calculate_gain`.
        generator: source of the numbers.

    Raises:
        ValueError: an option is unknown, or the tensor has fewer than 2 dimensions.
    """
    fan = _fan("kaiming_uniform_", tensor, mode)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / max(fan, 1))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Fill with normal numbers so that variances pass through rectifiers (He et al. 2015).

    The arguments are those of `kaiming_uniform_`.
    """
    fan = _fan("kaiming_normal_", tensor, mode)
    std = calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))
    return normal_(tensor, 0.0, std, generator)


def lecun_uniform_(tensor: Tensor, generator: Any = None) -> Tensor:
    """Fill uniformly with variance 1 / fan_in (LeCun et al. 1998).

    Raises:
        ValueError: the tensor has fewer than 2 dimensions.
    """
    bound = math.sqrt(3.0 / max(_fans("lecun_uniform_", tensor)[0], 1))
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor: Tensor, generator: Any = None) -> Tensor:
    """Fill with normal numbers of variance 1 / fan_in (LeCun et al. 1998), as SELU wants it.

    Raises:
        ValueError: the tensor has fewer than 2 dimensions.
    """
    std = 1 / math.sqrt(max(_fans("lecun_normal_", tensor)[0], 1))
    return normal_(tensor, 0.0, std, generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill with random orthonormal rows or columns, whichever are fewer, times ``gain``.

    Dimensions behind the first count as columns. Gram-Schmidt, with every vector projected twice:
    that is orthogonal to rounding (Giraud et al. 2005).

    Raises:
        ValueError: the tensor has fewer than 2 dimensions.
    """
    check_number("orthogonal_", "gain", gain)
    fan_in, _ = _fans("orthogonal_", tensor)
    rows = tensor.shape[0]
    if tensor.numel() == 0:
        return tensor
    matrix = tensor.detach().clone().normal_(0.0, 1.0, generator=generator).reshape(rows, fan_in)
    if rows > fan_in:
        matrix = matrix.transpose(0, 1).contiguous()
    for i in range(matrix.shape[0]):
        vector = matrix[i : i + 1]
        if i:
            done = matrix[:i]
            for _ in range(2):
                vector = vector - (vector @ done.transpose(0, 1)) @ done
        matrix[i : i + 1] = vector / (vector * vector).sum().sqrt()
    if rows > fan_in:
        matrix = matrix.transpose(0, 1)
    return tensor.copy_((matrix * gain).reshape(tensor.shape))
