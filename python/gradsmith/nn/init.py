# SPDX-License-Identifier: Apache-2.0
"""Initialisers: each writes into a tensor, off the tape, and returns it.

Random numbers come from the default generator (`gradsmith.manual_seed`) or the one given.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.ops.creation import eye
from gradsmith.ops.elementwise import where
from gradsmith.ops.options import check_int, check_number
from gradsmith.ops.random import randperm
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


def _two_dimensional(name: str, tensor: Tensor) -> tuple[int, int]:
    if array_of(name, tensor, "tensor").ndim != 2:
        raise ValueError(f"{name}: the tensor has shape {tensor.shape}, expected 2 dimensions")
    return tensor.shape[0], tensor.shape[1]


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers drawn uniformly from [a, b)."""
    array_of("uniform_", tensor, "tensor")
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with normal numbers."""
    array_of("normal_", tensor, "tensor")
    return tensor.normal_(mean, std, generator=generator)


def _normal_mass(a: float, b: float) -> float:
    """Return the share of a standard normal that lies in [a, b]."""
    root = math.sqrt(2.0)
    # erfc keeps what erf rounds to 1 when both bounds lie in the same tail.
    if a > 0:
        return (math.erfc(a / root) - math.erfc(b / root)) / 2
    if b < 0:
        return (math.erfc(-b / root) - math.erfc(-a / root)) / 2
    return (math.erf(b / root) - math.erf(a / root)) / 2


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Fill with normal numbers, those outside [a, b] drawn again.

    Raises:
        ValueError: the interval is empty, or ``std`` is not positive.
    """
    array_of("trunc_normal_", tensor, "tensor")
    for name, value in (("mean", mean), ("std", std), ("a", a), ("b", b)):
        check_number("trunc_normal_", name, value)
    if not a < b:
        raise ValueError(f"trunc_normal_: the interval [{a}, {b}] is empty")
    if not std > 0:
        raise ValueError(f"trunc_normal_: std is {std}, expected a positive number")
    low, high = (a - mean) / std, (b - mean) / std
    if _normal_mass(low, high) > 0.25:

        def draw(into: Tensor) -> tuple[Tensor, Tensor]:
            into.normal_(mean, std, generator=generator)
            return into, (into < a).logical_or(into > b)
    else:
        # Few normal numbers would fall into a narrow or far interval: draw uniform ones there and
        # keep each with its density relative to the highest. Beyond `reach` it is below 1e-16.
        peak = min(max(low, 0.0), high)
        reach = min(37.0 / abs(peak), 8.6) if peak else 8.6
        first, last = max(low, peak - reach), min(high, peak + reach)

        def draw(into: Tensor) -> tuple[Tensor, Tensor]:
            into.uniform_(first, last, generator=generator)
            density = ((peak * peak - into * into) / 2).exp()
            chance = into.clone().uniform_(0.0, 1.0, generator=generator)
            return into * std + mean, chance >= density

    values, outside = draw(tensor.detach().clone())
    while bool(outside.any()):
        fresh, rejected = draw(values.clone())
        accepted = outside.logical_and(rejected.logical_not())
        values = where(accepted, fresh, values)
        outside = outside.logical_and(rejected)
    return tensor.copy_(values.clamp(a, b))


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    array_of("constant_", tensor, "tensor")
    return tensor.fill_(val)


@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    array_of("ones_", tensor, "tensor")
    return tensor.fill_(1.0)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    array_of("zeros_", tensor, "tensor")
    return tensor.zero_()


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: ones on the diagonal, zeros elsewhere.

    Raises:
        ValueError: the tensor has not 2 dimensions.
    """
    rows, columns = _two_dimensional("eye_", tensor)
    return tensor.copy_(eye(rows, columns, dtype=tensor.dtype, device=tensor.device))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that it passes channels through unchanged.

    Raises:
        ValueError: the tensor has not 3 to 5 dimensions, or ``groups`` does not divide its first.
    """
    if array_of("dirac_", tensor, "tensor").ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: the tensor has shape {tensor.shape}, expected 3 to 5 dimensions")
    if check_int("dirac_", "groups", groups) < 1 or tensor.shape[0] % groups:
        raise ValueError(
            f"dirac_: groups is {groups}, expected a divisor of "
            f"{tensor.shape[0]} (the out channels)"
        )
    per_group = tensor.shape[0] // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    tensor.zero_()
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            tensor[(group * per_group + channel, channel, *centre)] = 1.0
    return tensor


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


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix with normal numbers, and a share ``sparsity`` of each column with zeros.

    Raises:
        ValueError: the tensor has not 2 dimensions, or the share lies outside [0, 1].
    """
    rows, columns = _two_dimensional("sparse_", tensor)
    if not 0 <= check_number("sparse_", "sparsity", sparsity) <= 1:
        raise ValueError(f"sparse_: sparsity is {sparsity}, expected a number in [0, 1]")
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0.0, std, generator=generator)
    for column in range(columns):
        if zeros:
            tensor[randperm(rows, generator=generator)[:zeros], column] = 0.0
    return tensor
