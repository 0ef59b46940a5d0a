# SPDX-License-Identifier: Apache-2.0
"""What losses of images are made of: total variation, and Gram matrices of features."""

from __future__ import annotations

from collections.abc import Sequence

from gradsmith.ops.gemm import matmul
from gradsmith.ops.joining import stack
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.loss import mse_loss
from gradsmith.ops.loss_checks import check_alike, check_floating, reduced
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.shape import flatten, transpose
from gradsmith.ops.shape_copy import pad
from gradsmith.tensor import Tensor


@names_errors
def total_variation_loss(input: Tensor, isotropic: bool = True, reduction: str = "mean") -> Tensor:
    """Return the sum over pixels of the length of the gradient (Rudin, Osher and Fatemi 1992).

    The gradient is the differences to the pixel below and to the right; 0 at the last ones.

    Args:
        input: images (N, C, H, W), or one (C, H, W).
        isotropic: whether a gradient's length is Euclidean, else the sum of both magnitudes.
        reduction: ``"mean"`` or ``"sum"`` over the images, or ``"none"``: (N).

    Raises:
        ValueError: the shape does not fit, or the reduction is unknown.
        TypeError: the input is not floating.
    """
    op = "total_variation_loss"
    if check_floating(op, "input", input).ndim not in (3, 4):
        raise ValueError(f"{op}: input has shape {input.shape}, expected (N, C, H, W) or (C, H, W)")
    down, right = input[..., 1:, :] - input[..., :-1, :], input[..., 1:] - input[..., :-1]
    if check_flag(op, "isotropic", isotropic) and input.numel():
        both = stack((pad(down, (0, 0, 0, 1)), pad(right, (0, 1))))
        return reduced(op, vector_norm(both, 2, 0).sum((-3, -2, -1)), reduction)
    losses = down.abs().sum((-3, -2, -1)) + right.abs().sum((-3, -2, -1))
    return reduced(op, losses, reduction)


@names_errors
def gram_matrix(input: Tensor, normalize: bool = True) -> Tensor:
    """Return the products of all pairs of channels, summed over positions (Gatys et al. 2015).

    Args:
        input: features (N, C, d1, ...).
        normalize: whether to divide by the number of channels and positions.

    Returns:
        (N, C, C).

    Raises:
        ValueError: the input has fewer than 3 dimensions.
        TypeError: the input is not floating.
    """
    op = "gram_matrix"
    if check_floating(op, "input", input).ndim < 3:
        raise ValueError(f"{op}: input has shape {input.shape}, expected (N, C, d1, ...)")
    rows = flatten(input, 2)
    products = matmul(rows, transpose(rows, 1, 2))
    count = rows.shape[1] * rows.shape[2]
    return products / max(count, 1) if check_flag(op, "normalize", normalize) else products


@names_errors
def perceptual_loss(
    input: Sequence[Tensor], target: Sequence[Tensor], weights: Sequence[float], style: bool = False
) -> Tensor:
    """Return the weighted sum over layers of the mean squared difference of features.

    Args:
        input: features (N, C, ...) of images, one tensor per layer.
        target: those of the images to be like, of the same shapes and dtypes.
        weights: the weight of each layer.
        style: whether to compare the `gram_matrix` of the features (Gatys et al. 2015) instead of
            the features (Johnson et al. 2016).

    Raises:
        ValueError: the shapes, or the numbers of layers and weights differ.
        TypeError: the dtypes differ or are not floating.
    """
    op = "perceptual_loss"
    if not len(input) == len(target) == len(weights) or not len(weights):
        raise ValueError(
            f"{op}: got {len(input)} layers of input, {len(target)} of target and {len(weights)} "
            "weights, expected as many and at least one"
        )
    losses = []
    for one, other, weight in zip(input, target, weights, strict=True):
        check_alike(op, input=one, target=other)
        if check_flag(op, "style", style):
            one, other = gram_matrix(one), gram_matrix(other)
        losses.append(mse_loss(one, other) * check_number(op, "weight", weight))
    return stack(losses).sum()
