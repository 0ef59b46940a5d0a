# SPDX-License-Identifier: Apache-2.0
"""Losses of distances: between embeddings of pairs and triplets, and to the centres of classes."""

from __future__ import annotations

from collections.abc import Callable

from gradsmith.ops.creation import full
from gradsmith.ops.distance import pairwise_distance
from gradsmith.ops.elementwise import minimum, where
from gradsmith.ops.indexing import gather
from gradsmith.ops.joining import cat
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.loss_checks import (
    check_alike,
    check_classes,
    check_floating,
    check_positive,
    labels_of,
    reduced,
    signs_of,
)
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.softmax import logsumexp
from gradsmith.tensor import Tensor, array_of

_COSINE_EPS = 1e-12


def _check_vectors(op: str, **tensors: Tensor) -> None:
    check_alike(op, **tensors)
    first, x = next(iter(tensors.items()))
    if x.ndim not in (1, 2):
        raise ValueError(f"{op}: {first} has shape {x.shape}, expected (N, D) or (D)")


@names_errors
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """Return ``1 - cos`` for similar pairs and ``max(0, cos - margin)`` for others.

    Args:
        input1: vectors (N, D) or (D).
        input2: vectors of the same shape and dtype.
        target: (N) or (): 1 for similar pairs, -1 for others; of any dtype.
        margin: cosine that others may have.
        reduction: ``"mean"`` or ``"sum"`` over the pairs, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, a label is neither, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "cosine_embedding_loss"
    _check_vectors(op, input1=input1, input2=input2)
    signs = signs_of(op, target, input1.shape[:-1], input1)
    lengths = (input1.square().sum(-1) + _COSINE_EPS) * (input2.square().sum(-1) + _COSINE_EPS)
    cosine = (input1 * input2).sum(-1) / lengths.sqrt()
    apart = (cosine - check_number(op, "margin", margin)).clamp(min=0.0)
    return reduced(op, where(signs.gt(0), 1 - cosine, apart), reduction)


@names_errors
def contrastive_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Return ``d**2 / 2`` for similar pairs, ``max(0, margin - d)**2 / 2`` for dissimilar ones.

    d is the Euclidean distance; the labels are those of Hadsell, Chopra and LeCun 2006.

    Args:
        input1: vectors (N, D) or (D).
        input2: vectors of the same shape and dtype.
        target: (N) or (): 0 for similar pairs, 1 for dissimilar ones; of any dtype.
        margin: how far apart dissimilar ones shall be.
        reduction: ``"mean"`` or ``"sum"`` over the pairs, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, a label is neither, an option is out of range.
        TypeError: the dtypes differ or are not floating.
    """
    op = "contrastive_loss"
    _check_vectors(op, input1=input1, input2=input2)
    dissimilar = labels_of(op, target, input1.shape[:-1], input1, (0, 1))
    difference = input1 - input2
    short = check_positive(op, "margin", margin) - vector_norm(difference, 2, -1)
    apart = short.clamp(min=0.0).square()
    losses = where(dissimilar.gt(0), apart, difference.square().sum(-1)) * 0.5
    return reduced(op, losses, reduction)


def _triplet_loss(
    op: str,
    triplet: tuple[Tensor, Tensor, Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    anchor, positive, negative = triplet
    margin = check_positive(op, "margin", margin)
    far = distance(anchor, negative)
    array_of(op, far, "result of distance_function")
    if check_flag(op, "swap", swap):
        far = minimum(far, distance(positive, negative))
    losses = (distance(anchor, positive) - far + margin).clamp(min=0.0)
    return reduced(op, losses, reduction)


@names_errors
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return ``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` of p-norm distances.

    Args:
        anchor: vectors (N, D) or (D).
        positive: vectors of the anchor's kind, same shape and dtype.
        negative: vectors of another kind, same shape and dtype.
        margin: how much farther the negative shall be.
        p: order of the norm.
        eps: added to each difference, so that no distance is 0.
        swap: take the distance of positive and negative where it is the smaller (Balntas 2016).
        reduction: ``"mean"`` or ``"sum"`` over the triplets, or ``"none"``.

    Raises:
        ValueError: the shapes differ, an option is out of range.
        TypeError: the dtypes differ or are not floating.
    """
    op = "triplet_margin_loss"
    _check_vectors(op, anchor=anchor, positive=positive, negative=negative)
    p, eps = check_number(op, "p", p), check_number(op, "eps", eps)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet_loss(op, (anchor, positive, negative), distance, margin, swap, reduction)


@names_errors
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return `triplet_margin_loss` of any distance; inputs may have any shape that it takes.

    Args:
        anchor: what the distance function takes, (N, ...).
        positive: the same shape and dtype.
        negative: the same shape and dtype.
        distance_function: takes two of them, returns the distances (N); Euclidean by default.
        margin: how much farther the negative shall be.
        swap: take the distance of positive and negative where it is the smaller.
        reduction: ``"mean"`` or ``"sum"`` over the triplets, or ``"none"``.

    Raises:
        ValueError: the shapes differ, an option is out of range.
        TypeError: the dtypes differ or are not floating.
    """
    op = "triplet_margin_with_distance_loss"
    check_alike(op, anchor=anchor, positive=positive, negative=negative)
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet_loss(op, (anchor, positive, negative), distance, margin, swap, reduction)


@names_errors
def rbf_distance_loss(
    input: Tensor, target: Tensor, offset: float = 0.1, reduction: str = "mean"
) -> Tensor:
    """Return ``d[target] + log(exp(-offset) + sum over classes of exp(-d))``.

    The loss of LeNet-5 (LeCun et al. 1998, eq. 9): pulls an input to the centre of its class and
    pushes it off the others, but for those farther than ``offset`` (the paper's j).

    Args:
        input: squared distances (N, C) to the centres of the classes.
        target: class indices (N).
        offset: penalty that a class of rubbish would have, positive.
        reduction: ``"mean"`` or ``"sum"`` over the samples, or ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or an option is out of range.
        TypeError: the input is not floating, or the target holds no integers.
        IndexError: a class index is out of range.
    """
    op = "rbf_distance_loss"
    if check_floating(op, "input", input).ndim != 2:
        raise ValueError(f"{op}: input has shape {input.shape}, expected distances (N, C)")
    labels = check_classes(op, "target", target, input.shape[1])
    if labels.shape != input.shape[:1]:
        raise ValueError(f"{op}: target has shape {target.shape}, expected {input.shape[:1]}")
    offset = check_positive(op, "offset", offset)
    rubbish = full((input.shape[0], 1), -offset, dtype=input.dtype, device=input.device)
    competing = logsumexp(cat((-input, rubbish), 1), 1)
    own = gather(input, 1, labels.unsqueeze(1)).squeeze(1)
    return reduced(op, own + competing, reduction)
