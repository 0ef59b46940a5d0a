# SPDX-License-Identifier: Apache-2.0
"""Vectors scaled to unit length, and features scaled to the statistics of others."""

from __future__ import annotations

from gradsmith.ops.elementwise import add, div, maximum, mul
from gradsmith.ops.elementwise_math import sqrt
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.norm import instance_norm
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.reduce import Dim
from gradsmith.ops.reduce_moments import var_mean
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of


@names_errors
def normalize(input: Tensor, p: float = 2.0, dim: Dim = 1, eps: float = 1e-12) -> Tensor:
    """Return ``x / max(||x||_p, eps)`` along ``dim``.

    Example:
        >>> import gradsmith as gs
        >>> gs.nn.functional.normalize(gs.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])

    Raises:
        IndexError: there is no such dimension.
        TypeError: the dtype is not floating.
    """
    length = vector_norm(input, p, dim, keepdim=True)
    return div(input, maximum(length, check_number("normalize", "eps", eps)))


@names_errors
def adain(content: Tensor, style: Tensor, eps: float = 1e-5) -> Tensor:
    """Return the content with each channel's mean and deviation of the style (Huang et al. 2017).

    That is ``std(style) (content - mean(content)) / std(content) + mean(style)``, per sample and
    channel over all positions, with ``std = sqrt(biased variance + eps)``.

    Args:
        content: (N, C, *).
        style: (N, C, *), at other positions if need be.
        eps: added to both variances.

    Raises:
        ValueError: a tensor has fewer than 3 dimensions, or N and C differ.
    """
    for name, each in (("content", content), ("style", style)):
        if array_of("adain", each, name).ndim < 3:
            raise ValueError(
                f"adain: {name} has shape {each.shape}, expected 3 or more dimensions (N, C, ...)"
            )
    if style.shape[:2] != content.shape[:2]:
        raise ValueError(
            f"adain: style has shape {style.shape}, expected {content.shape[:2]} and positions, as "
            "content has"
        )
    variance, centre = var_mean(style, tuple(range(2, style.ndim)), correction=0)
    channels = (*style.shape[:2], *(1,) * (content.ndim - 2))
    deviation = reshape(sqrt(add(variance, eps)), channels)
    return add(mul(instance_norm(content, eps=eps), deviation), reshape(centre, channels))
