# SPDX-License-Identifier: Apache-2.0
"""Losses of auto-encoders: variational, sparse and contractive ones."""

from __future__ import annotations

import math

from gradsmith.autograd import enable_grad, grad
from gradsmith.ops.creation import full_like
from gradsmith.ops.gemm import matmul
from gradsmith.ops.loss import binary_cross_entropy, binary_cross_entropy_with_logits, mse_loss
from gradsmith.ops.loss_checks import (
    check_alike,
    check_at_least,
    check_floating,
    check_shares,
    reduced,
)
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.shape import flatten
from gradsmith.tensor import Tensor


def _check_batch(op: str, argument: str, x: Tensor, shape: str = "(N, ...)") -> None:
    ndim = check_floating(op, argument, x).ndim
    if ndim < 2 or (ndim > 2 and "..." not in shape):
        raise ValueError(f"{op}: {argument} has shape {x.shape}, expected {shape}")


@names_errors
def vae_kl_divergence(mu: Tensor, logvar: Tensor, reduction: str = "mean") -> Tensor:
    """Return ``-sum(1 + logvar - mu**2 - exp(logvar)) / 2`` of each sample.

    The divergence of normal distributions from the standard one (Kingma and Welling 2014,
    appendix B).

    Args:
        mu: means (N, ...).
        logvar: logarithms of the variances, of the same shape and dtype.
        reduction: ``"mean"`` or ``"sum"`` over the samples, or ``"none"``: (N).

    Raises:
        ValueError: the shapes do not fit, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "vae_kl_divergence"
    check_alike(op, mu=mu, logvar=logvar)
    _check_batch(op, "mu", mu)
    terms = mu.square() + logvar.expm1() - logvar
    return reduced(op, flatten(terms, 1).sum(1) * 0.5, reduction)


@names_errors
def elbo_loss(
    input: Tensor,
    target: Tensor,
    mu: Tensor,
    logvar: Tensor,
    beta: float = 1.0,
    likelihood: str = "bernoulli",
    reduction: str = "mean",
) -> Tensor:
    """Return the negative evidence lower bound of each sample, its terms summed over elements.

    Reconstruction loss plus ``beta`` times `vae_kl_divergence` (Kingma and Welling 2014, eq. 10;
    beta: Higgins et al. 2017).

    Args:
        input: what the decoder gives (N, ...): logits, or means.
        target: what was encoded, the same shape and dtype; in [0, 1] for ``"bernoulli"``.
        mu: means (N, D) of the codes.
        logvar: logarithms of their variances (N, D).
        beta: weight of the divergence.
        likelihood: ``"bernoulli"`` (binary cross-entropy of logits) or ``"gaussian"`` (half the
            squared distance: variance 1, without its constant).
        reduction: ``"mean"`` or ``"sum"`` over the samples, or ``"none"``: (N).

    Raises:
        ValueError: the shapes do not fit, a target or an option is out of range.
        TypeError: the dtypes differ or are not floating.
    """
    op = "elbo_loss"
    check_alike(op, input=input, target=target)
    _check_batch(op, "input", input)
    if likelihood not in ("bernoulli", "gaussian"):
        raise ValueError(f"{op}: likelihood is {likelihood!r}, expected 'bernoulli' or 'gaussian'")
    if likelihood == "bernoulli":
        check_shares(op, "target", target)
        losses = binary_cross_entropy_with_logits(input, target, reduction="none")
    else:
        losses = mse_loss(input, target, "none") * 0.5
    divergence = vae_kl_divergence(mu, logvar, "none") * check_at_least(op, "beta", beta)
    if divergence.shape != input.shape[:1]:
        raise ValueError(
            f"{op}: input has shape {input.shape} and mu {mu.shape}, expected one batch size"
        )
    return reduced(op, flatten(losses, 1).sum(1) + divergence, reduction)


@names_errors
def sparsity_l1(input: Tensor) -> Tensor:
    """Return the sum of the magnitudes of a sample's activations, averaged over the batch.

    Args:
        input: activations (N, ...).

    Raises:
        ValueError: the input has fewer than 2 dimensions.
        TypeError: the input is not floating.
    """
    _check_batch("sparsity_l1", "input", input)
    return flatten(input.abs(), 1).sum(1).mean()


@names_errors
def sparsity_kl(input: Tensor, rho: float = 0.05) -> Tensor:
    """Return the divergence of each unit's mean activation from ``rho``, summed over units.

    ``rho log(rho / m) + (1 - rho) log((1 - rho) / (1 - m))`` of the mean m over the batch (Ng
    2011); the logarithms of m are cut at -100.

    Args:
        input: activations (N, ...) in [0, 1], as of a sigmoid.
        rho: the share of samples that a unit shall be active for, between 0 and 1.

    Raises:
        ValueError: an activation lies outside [0, 1], or ``rho`` outside (0, 1).
        TypeError: the input is not floating.
    """
    op = "sparsity_kl"
    _check_batch(op, "input", input)
    check_shares(op, "input", input)
    if not 0 < check_number(op, "rho", rho) < 1:
        raise ValueError(f"{op}: rho is {rho}, expected a number between 0 and 1")
    activity = input.mean(0)
    entropy = -(rho * math.log(rho) + (1 - rho) * math.log(1 - rho))
    cross = binary_cross_entropy(activity, full_like(activity, rho), reduction="sum")
    return cross - entropy * activity.numel()


@names_errors
def contractive_penalty(
    hidden: Tensor, *, weight: Tensor | None = None, input: Tensor | None = None
) -> Tensor:
    """Return the squared Frobenius norm of the encoder's Jacobian, averaged over the batch.

    Rifai et al. 2011. For one layer with a sigmoid it has a closed form, ``sum over units of
    (h (1 - h))**2 times the squared length of the unit's weights``; for any other encoder one
    backward pass per unit computes it. Either can be differentiated again.

    Args:
        hidden: codes (N, H).
        weight: (H, D), of the layer ``hidden = sigmoid(linear(x, weight, bias))``.
        input: x (N, ...), which requires a gradient and from which ``hidden`` was computed, each
            sample by itself.

    Raises:
        ValueError: the shapes do not fit, or not exactly one of weight and input is given.
        TypeError: a tensor is not floating.
        RuntimeError: ``hidden`` does not depend on ``input``, or that requires no gradient.
    """
    op = "contractive_penalty"
    _check_batch(op, "hidden", hidden, "(N, H)")
    if (weight is None) == (input is None):
        raise ValueError(f"{op}: got weight and input or neither, expected one of them")
    if weight is not None:
        if check_floating(op, "weight", weight).ndim != 2 or weight.shape[0] != hidden.shape[1]:
            raise ValueError(
                f"{op}: weight has shape {weight.shape}, expected ({hidden.shape[1]}, D)"
            )
        slopes = (hidden * (1 - hidden)).square()
        return matmul(slopes, weight.square().sum(1)).mean()
    assert input is not None
    _check_batch(op, "input", input)
    total = hidden.new_zeros(())
    with enable_grad():
        for unit in range(hidden.shape[1]):
            (row,) = grad(hidden[:, unit].sum(), input, create_graph=True)
            total = total + row.square().sum()
        return total / max(hidden.shape[0], 1)
