# SPDX-License-Identifier: Apache-2.0
"""Initialisers of fixed values and patterns."""

from __future__ import annotations

from gradsmith.autograd import no_grad
from gradsmith.ops.creation import eye
from gradsmith.ops.options import check_int
from gradsmith.tensor import Tensor, array_of


def two_dimensional(name: str, tensor: Tensor) -> tuple[int, int]:
    """Return the sizes of a matrix.

    Raises:
        ValueError: the tensor has not 2 dimensions.
    """
    if array_of(name, tensor, "tensor").ndim != 2:
        raise ValueError(f"{name}: the tensor has shape {tensor.shape}, expected 2 dimensions")
    return tensor.shape[0], tensor.shape[1]


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
    rows, columns = two_dimensional("eye_", tensor)
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
