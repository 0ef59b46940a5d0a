# SPDX-License-Identifier: Apache-2.0
"""Losses of generative adversarial networks.

A ``gan_*_loss`` has two sides, chosen by ``role``: the discriminator's takes the scores of fake and
real samples, the generator's those of the fake ones. Scores are logits, of any shape; losses are
means over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradsmith.autograd import enable_grad, grad
from gradsmith.ops.elementwise_activation import logsigmoid, relu
from gradsmith.ops.joining import stack
from gradsmith.ops.linalg import vector_norm
from gradsmith.ops.loss import l1_loss, mse_loss
from gradsmith.ops.loss_checks import check_alike, check_floating
from gradsmith.ops.options import names_errors
from gradsmith.ops.random import rand
from gradsmith.ops.shape import flatten
from gradsmith.random import Generator
from gradsmith.tensor import Tensor, array_of


def _real_scores(op: str, fake: Tensor, real: Tensor | None, role: str) -> Tensor | None:
    """Return the real scores for the discriminator, None for the generator, after checks."""
    check_floating(op, "fake", fake)
    if role == "discriminator":
        return check_floating(op, "real", real)
    if role != "generator":
        raise ValueError(f"{op}: role is {role!r}, expected 'discriminator' or 'generator'")
    if real is not None:
        raise ValueError(f"{op}: real was given, which the generator's loss does not use")
    return None


@names_errors
def gan_minimax_loss(
    fake: Tensor, real: Tensor | None = None, *, role: str = "discriminator"
) -> Tensor:
    """Return ``-mean log D(real) - mean log(1 - D(fake))``, or ``mean log(1 - D(fake))``.

    The two-player game of Goodfellow et al. 2014 (eq. 1), D the sigmoid of the scores.

    Args:
        fake: the discriminator's scores of generated samples.
        real: those of real samples; for the discriminator only.
        role: ``"discriminator"`` or ``"generator"``: whose loss to return.

    Raises:
        ValueError: the role is unknown, or the generator got ``real``.
        TypeError: scores are not floating, or the discriminator lacks ``real``.

    Example:
        >>> import gradsmith as gs
        >>> undecided = gs.zeros(8, 1)
        >>> gan_minimax_loss(undecided, undecided)
        tensor(1.3863)
        >>> gan_minimax_loss(undecided, role="generator")
        tensor(-0.6931)
    """
    real = _real_scores("gan_minimax_loss", fake, real, role)
    if real is None:
        return logsigmoid(-fake).mean()
    return -(logsigmoid(real).mean() + logsigmoid(-fake).mean())


@names_errors
def gan_non_saturating_loss(
    fake: Tensor, real: Tensor | None = None, *, role: str = "discriminator"
) -> Tensor:
    """Return the minimax loss, with ``-mean log D(fake)`` as the generator's.

    Its gradient does not vanish where the discriminator wins (Goodfellow et al. 2014, section 3).
    Arguments and errors: `gan_minimax_loss`.
    """
    real = _real_scores("gan_non_saturating_loss", fake, real, role)
    if real is None:
        return -logsigmoid(fake).mean()
    return gan_minimax_loss(fake, real)


@names_errors
def gan_least_squares_loss(
    fake: Tensor, real: Tensor | None = None, *, role: str = "discriminator"
) -> Tensor:
    """Return half the mean square of ``real - 1`` and ``fake``, or of ``fake - 1``.

    Mao et al. 2017, eq. 9. Arguments and errors: `gan_minimax_loss`.
    """
    real = _real_scores("gan_least_squares_loss", fake, real, role)
    if real is None:
        return (fake - 1).square().mean() * 0.5
    return ((real - 1).square().mean() + fake.square().mean()) * 0.5


@names_errors
def gan_wasserstein_loss(
    fake: Tensor, real: Tensor | None = None, *, role: str = "discriminator"
) -> Tensor:
    """Return ``mean fake - mean real`` of a critic's scores, or ``-mean fake``.

    Arjovsky et al. 2017; the critic needs a bound on its slope (`gradient_penalty`). Arguments and
    errors: `gan_minimax_loss`.
    """
    real = _real_scores("gan_wasserstein_loss", fake, real, role)
    if real is None:
        return -fake.mean()
    return fake.mean() - real.mean()


@names_errors
def gan_hinge_loss(
    fake: Tensor, real: Tensor | None = None, *, role: str = "discriminator"
) -> Tensor:
    """Return ``mean max(0, 1 - real) + mean max(0, 1 + fake)``, or ``-mean fake``.

    Lim and Ye 2017. Arguments and errors: `gan_minimax_loss`.
    """
    real = _real_scores("gan_hinge_loss", fake, real, role)
    if real is None:
        return -fake.mean()
    return relu(1 - real).mean() + relu(1 + fake).mean()


@names_errors
def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    generator: Generator | None = None,
) -> Tensor:
    """Return the mean of ``(norm of the critic's gradient - 1)**2`` (Gulrajani et al. 2017).

    The gradient is taken with respect to samples at random places between the real and the fake
    ones, one per pair; the penalty can be differentiated with respect to the critic's weights.

    Args:
        critic: takes samples (N, ...), returns scores; must treat each sample by itself.
        real: real samples (N, ...).
        fake: generated samples of the same shape and dtype.
        generator: where the places come from; None: the library's (`gradsmith.manual_seed`).

    Raises:
        ValueError: the shapes differ.
        TypeError: the samples are not floating.
    """
    op = "gradient_penalty"
    check_alike(op, real=real, fake=fake)
    if real.ndim < 2:
        raise ValueError(f"{op}: real has shape {real.shape}, expected (N, ...)")
    ones = (1,) * (real.ndim - 1)
    share = rand((real.shape[0], *ones), generator=generator, dtype=real.dtype, device=real.device)
    between = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    with enable_grad():
        scores = critic(between)
        array_of(op, scores, "result of critic")
        (slope,) = grad(scores.sum(), between, create_graph=True)
        lengths = vector_norm(flatten(slope, 1), 2, 1)
        return (lengths - 1).square().mean()


@names_errors
def cycle_loss(input: Tensor, reconstruction: Tensor, reduction: str = "mean") -> Tensor:
    """Return the distance of images from what both generators in turn make of them.

    The L1 norm of ``F(G(x)) - x`` (Zhu et al. 2017, eq. 2); add the one of the other direction.

    Args:
        input: x, of any shape.
        reconstruction: F(G(x)), of the same shape and dtype.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    check_alike("cycle_loss", input=input, reconstruction=reconstruction)
    return l1_loss(reconstruction, input, reduction)


@names_errors
def identity_loss(input: Tensor, output: Tensor, reduction: str = "mean") -> Tensor:
    """Return the distance of target images from what the generator into their kind makes of them.

    The L1 norm of ``G(y) - y`` (Zhu et al. 2017, section 5.2), which keeps colours as they are.

    Args:
        input: y, of any shape.
        output: G(y), of the same shape and dtype.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    Raises:
        ValueError: the shapes differ, or the reduction is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    check_alike("identity_loss", input=input, output=output)
    return l1_loss(output, input, reduction)


@names_errors
def feature_matching_loss(
    fake: Tensor | Sequence[Tensor], real: Tensor | Sequence[Tensor]
) -> Tensor:
    """Return the squared distance of the mean features (Salimans et al. 2016, section 3.1).

    Args:
        fake: the discriminator's features (N, ...) of generated samples, of one layer or several.
        real: those of real samples, whose number may differ; they get no gradient.

    Raises:
        ValueError: the shapes behind the first dimension or the numbers of layers differ.
        TypeError: the dtypes differ or are not floating.
    """
    op = "feature_matching_loss"
    fakes = [fake] if isinstance(fake, Tensor) else list(fake)
    reals = [real] if isinstance(real, Tensor) else list(real)
    if len(fakes) != len(reals) or not fakes:
        raise ValueError(
            f"{op}: got {len(fakes)} layers of fake and {len(reals)} of real features, expected "
            "as many and at least one"
        )
    distances = []
    for one, other in zip(fakes, reals, strict=True):
        if check_floating(op, "fake", one).ndim < 1 or check_floating(op, "real", other).ndim < 1:
            raise ValueError(f"{op}: features have shape (), expected (N, ...)")
        centre, goal = one.mean(0), other.detach().mean(0)
        check_alike(op, fake=centre, real=goal)
        distances.append(mse_loss(centre, goal, "sum"))
    return stack(distances).sum()
