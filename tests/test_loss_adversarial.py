# SPDX-License-Identifier: Apache-2.0
"""Losses of adversarial networks, of auto-encoders and of reinforcement learning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import grad, gradcheck
from gradsmith.ops import loss_gan, loss_latent, loss_reinforcement
from gradsmith.tensor import Tensor
from tests.cases import CaseTests
from tests.loss_cases import composed
from tests.reference import loss_composed as ref


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _scores(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return 2 * rng.standard_normal((5, 1)), 2 * rng.standard_normal((4, 1))


def _codes(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return rng.standard_normal((3, 4)), rng.standard_normal((3, 4))


# name: the loss, its discriminator's and its generator's side
GANS: dict[str, tuple[Any, Any, Any]] = {
    "minimax": (
        loss_gan.gan_minimax_loss,
        lambda f, r: -np.log(_sigmoid(r)).mean() - np.log(1 - _sigmoid(f)).mean(),
        lambda f: np.log(1 - _sigmoid(f)).mean(),
    ),
    "non_saturating": (
        loss_gan.gan_non_saturating_loss,
        lambda f, r: -np.log(_sigmoid(r)).mean() - np.log(1 - _sigmoid(f)).mean(),
        lambda f: -np.log(_sigmoid(f)).mean(),
    ),
    "least_squares": (
        loss_gan.gan_least_squares_loss,
        lambda f, r: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda f: ((f - 1) ** 2).mean() / 2,
    ),
    "wasserstein": (
        loss_gan.gan_wasserstein_loss,
        lambda f, r: f.mean() - r.mean(),
        lambda f: -f.mean(),
    ),
    "hinge": (
        loss_gan.gan_hinge_loss,
        lambda f, r: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda f: -f.mean(),
    ),
}

CASES = [
    *(composed(name, op, judge, _scores) for name, (op, judge, _) in GANS.items()),
    composed("vae", loss_latent.vae_kl_divergence, ref.vae_kl, _codes),
    composed("vae", loss_latent.vae_kl_divergence, ref.vae_kl, _codes, reduction="none"),
    composed(
        "sparsity_kl",
        loss_latent.sparsity_kl,
        ref.sparsity_kl,
        lambda rng: (rng.uniform(0.1, 0.9, (3, 4)),),
    ),
    composed(
        "contractive",
        lambda h, w: loss_latent.contractive_penalty(h, weight=w),
        lambda h, w: np.mean(((h * (1 - h)) ** 2) @ (w**2).sum(1)),
        lambda rng: (rng.uniform(0.1, 0.9, (3, 4)), rng.standard_normal((4, 2))),
    ),
    composed(
        "policy_gradient",
        lambda p, e: loss_reinforcement.policy_gradient_loss(p, p.detach(), None, e, 0.5, "none"),
        lambda p, e: -(p**2) - e / 2,
        _codes,
        differentiable=False,  # returns are constants
    ),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("name", GANS)
def test_generators(name: str) -> None:
    op, _, expected = GANS[name]
    fake = np.random.default_rng(0).standard_normal((4, 2))
    assert op(Tensor(fake), role="generator").item() == pytest.approx(expected(fake))
    with pytest.raises(TypeError, match=f"gan_{name}_loss: real is a NoneType, expected a tensor"):
        op(Tensor(fake))
    with pytest.raises(ValueError, match="real was given, which the generator's loss"):
        op(Tensor(fake), Tensor(fake), role="generator")
    with pytest.raises(ValueError, match="role is 'critic', expected 'discriminator' or"):
        op(Tensor(fake), Tensor(fake), role="critic")
    with pytest.raises(TypeError, match="fake is int64, expected a floating dtype"):
        op(Tensor([1]), Tensor([1]))


def test_gradient_penalty_of_a_linear_critic() -> None:
    """The slope is the weight everywhere, so the penalty is (|w| - 1)^2, and so is its slope."""
    weight = Tensor([[3.0], [4.0]], requires_grad=True)
    real, fake = gs.randn(5, 2), gs.randn(5, 2)
    penalty = loss_gan.gradient_penalty(lambda x: x @ weight, real, fake)
    assert penalty.item() == pytest.approx(16)
    (slope,) = grad(penalty, weight)
    np.testing.assert_allclose(slope.numpy(), 2 * 4 * weight.detach().numpy() / 5, rtol=1e-5)


def test_gradient_penalty_draws_places_between_the_samples() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x)
        return x.square().sum((1, 2))

    for _ in range(2):
        gs.manual_seed(3)
        with gs.no_grad():
            penalty = loss_gan.gradient_penalty(critic, gs.zeros(6, 2, 1), gs.ones(6, 2, 1))
    places = seen[0].detach().numpy()
    assert (places == seen[1].detach().numpy()).all()
    assert ((places >= 0) & (places <= 1)).all()
    assert len(np.unique(places)) == 6
    lengths = 2 * np.linalg.norm(places.reshape(6, 2), axis=1)
    assert penalty.item() == pytest.approx(np.mean((lengths - 1) ** 2), rel=1e-5)
    with pytest.raises(ValueError, match=r"real has shape \(2, 3\) and fake \(2, 4\)"):
        loss_gan.gradient_penalty(critic, gs.ones(2, 3), gs.ones(2, 4))
    with pytest.raises(ValueError, match=r"real has shape \(3,\), expected \(N, ...\)"):
        loss_gan.gradient_penalty(critic, gs.ones(3), gs.ones(3))


def test_cycle_and_identity() -> None:
    x, back = Tensor([1.0, 2.0]), Tensor([1.5, 0.0])
    for op, name in ((loss_gan.cycle_loss, "reconstruction"), (loss_gan.identity_loss, "output")):
        assert op(x, back).item() == 1.25
        assert op(x, back, "sum").item() == 2.5
        with pytest.raises(ValueError, match=rf"input has shape \(2,\) and {name} \(1,\)"):
            op(x, back[:1])


def test_feature_matching() -> None:
    fake = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    real = Tensor([[1.0, 1.0]], requires_grad=True)
    y = loss_gan.feature_matching_loss(fake, real)
    assert y.item() == 1 + 4
    y.backward()
    assert real.grad is None
    assert fake.grad is not None
    assert fake.grad.tolist() == [[1.0, 2.0]] * 2
    assert loss_gan.feature_matching_loss([fake, fake], [real, fake]).item() == 5
    with pytest.raises(ValueError, match="got 1 layers of fake and 2 of real"):
        loss_gan.feature_matching_loss([fake], [real, real])
    with pytest.raises(ValueError, match=r"fake has shape \(2,\) and real \(3,\)"):
        loss_gan.feature_matching_loss(fake, Tensor([[1.0, 2.0, 3.0]]))


# ---- auto-encoders -------------------------------------------------------------------------------


def test_elbo() -> None:
    x, t = Tensor([[0.0, 2.0]]), Tensor([[1.0, 0.0]])
    mu, logvar = Tensor([[1.0]]), Tensor([[0.0]])
    bernoulli = math.log(2) + math.log(1 + math.exp(2))
    assert loss_latent.elbo_loss(x, t, mu, logvar).item() == pytest.approx(bernoulli + 0.5)
    gaussian = loss_latent.elbo_loss(x, t, mu, logvar, 4.0, "gaussian", "none")
    assert gaussian.tolist() == [(1 + 4) / 2 + 2]
    with pytest.raises(ValueError, match=r"elbo_loss: target is 2.0 at element 1"):
        loss_latent.elbo_loss(x, x, mu, logvar)
    with pytest.raises(ValueError, match="likelihood is 'poisson'"):
        loss_latent.elbo_loss(x, t, mu, logvar, likelihood="poisson")
    with pytest.raises(ValueError, match=r"input has shape \(1, 2\) and mu \(2, 1\)"):
        loss_latent.elbo_loss(x, t, gs.ones(2, 1), gs.ones(2, 1))
    with pytest.raises(ValueError, match="beta is -1, expected at least 0"):
        loss_latent.elbo_loss(x, t, mu, logvar, -1)
    with pytest.raises(ValueError, match=r"vae_kl_divergence: mu has shape \(1,\), expected"):
        loss_latent.vae_kl_divergence(mu[0], mu[0])


def test_sparsity() -> None:
    assert loss_latent.sparsity_l1(Tensor([[1.0, -2.0], [0.0, 5.0]])).item() == 4
    silent = loss_latent.sparsity_kl(Tensor([[0.0], [0.0]]), 0.5)
    assert silent.item() == pytest.approx(50 - math.log(2), rel=1e-5)
    with pytest.raises(ValueError, match=r"sparsity_kl: rho is 1.0, expected a number between"):
        loss_latent.sparsity_kl(Tensor([[0.5]]), 1.0)
    with pytest.raises(ValueError, match=r"sparsity_kl: input is -0.5 at element 0"):
        loss_latent.sparsity_kl(Tensor([[-0.5]]))
    with pytest.raises(ValueError, match=r"sparsity_l1: input has shape \(1,\)"):
        loss_latent.sparsity_l1(Tensor([0.5]))


def test_contractive_penalty_of_both_kinds() -> None:
    """The closed form equals the Jacobian's, and can be differentiated again."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((3, 4)), requires_grad=True)
    weight = Tensor(rng.standard_normal((2, 4)), requires_grad=True)

    def by_jacobian(x: Tensor, weight: Tensor) -> Tensor:
        with gs.enable_grad():  # also where gradcheck takes numeric slopes
            return loss_latent.contractive_penalty((x @ weight.T).sigmoid(), input=x)

    closed = loss_latent.contractive_penalty((x @ weight.T).sigmoid(), weight=weight)
    assert by_jacobian(x, weight).item() == pytest.approx(closed.item())
    assert gradcheck(by_jacobian, [x, weight])
    hidden = (x @ weight.T).sigmoid()
    for given in ({}, {"weight": weight, "input": x}):
        with pytest.raises(ValueError, match="expected one of them"):
            loss_latent.contractive_penalty(hidden, **given)
    with pytest.raises(ValueError, match=r"weight has shape \(4, 2\), expected \(2, D\)"):
        loss_latent.contractive_penalty(hidden, weight=weight.T)
    with pytest.raises(ValueError, match=r"hidden has shape \(2,\), expected \(N, H\)"):
        loss_latent.contractive_penalty(hidden[0], weight=weight)


# ---- reinforcement learning ----------------------------------------------------------------------


def test_temporal_difference() -> None:
    value = Tensor([1.0, 2.0], requires_grad=True)
    reward, following = Tensor([0.5, 0.5]), Tensor([10.0, 10.0], requires_grad=True)
    done = Tensor([False, True])
    y = loss_reinforcement.td_loss(value, reward, following, done, 0.9, reduction="none")
    assert y.tolist() == pytest.approx([8.5**2, 1.5**2])
    y.sum().backward()
    assert following.grad is None
    assert value.grad is not None
    assert value.grad.tolist() == pytest.approx([-17.0, 3.0])
    huber = loss_reinforcement.td_loss(value, reward, following, done.to("float32"), 0.9, "huber")
    assert huber.item() == pytest.approx((8.0 + 1.0) / 2)
    with pytest.raises(ValueError, match=r"done has shape \(1,\), expected \(2,\)"):
        loss_reinforcement.td_loss(value, reward, following, done[:1])
    with pytest.raises(ValueError, match=r"done is 2 at element 0, expected 0 or 1"):
        loss_reinforcement.td_loss(value, reward, following, Tensor([2, 0]))
    with pytest.raises(ValueError, match=r"gamma is 1.5"):
        loss_reinforcement.td_loss(value, reward, following, done, 1.5)
    with pytest.raises(ValueError, match="loss is 'l1', expected 'mse' or 'huber'"):
        loss_reinforcement.td_loss(value, reward, following, done, loss="l1")


def test_policy_gradient() -> None:
    log_probs = Tensor([-1.0, -2.0], requires_grad=True)
    returns, baseline = Tensor([3.0, 1.0], requires_grad=True), Tensor([1.0, 2.0])
    y = loss_reinforcement.policy_gradient_loss(log_probs, returns, baseline, reduction="sum")
    assert y.item() == 2 - 2
    y.backward()
    assert returns.grad is None
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [-2.0, 1.0]
    with pytest.raises(ValueError, match=r"log_probs has shape \(2,\) and baseline \(1,\)"):
        loss_reinforcement.policy_gradient_loss(log_probs, returns, baseline[:1])
