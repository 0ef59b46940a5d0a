# SPDX-License-Identifier: Apache-2.0
"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from gradsmith.autograd import no_grad
from gradsmith.ops.joining import cat
from gradsmith.tensor import Tensor, array_of


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the elements of all parameters in one dimension, on the tape.

    Raises:
        ValueError: there are no parameters.
    """
    given = list(parameters)
    for each in given:
        array_of("parameters_to_vector", each, "parameters")
    flat = [parameter.reshape(-1) for parameter in given]
    if not flat:
        raise ValueError("parameters_to_vector: there are no parameters")
    return cat(flat)


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the slices of a vector into the parameters.

    Raises:
        TypeError: ``vec`` is no tensor.
        ValueError: it has not one element per element of the parameters.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec is a {type(vec).__name__}, expected a tensor")
    targets = list(parameters)
    for each in targets:
        array_of("vector_to_parameters", each, "parameters")
    total = sum(target.numel() for target in targets)
    if vec.shape != (total,):
        raise ValueError(f"vector_to_parameters: vec has shape {vec.shape}, expected ({total},)")
    start = 0
    for target in targets:
        target.copy_(vec[start : start + target.numel()].reshape(target.shape))
        start += target.numel()
