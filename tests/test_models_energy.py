# SPDX-License-Identifier: Apache-2.0
"""Energy models against sums over all states, auto-encoders against counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models, nn
from gradsmith.models.binary import binary_states
from gradsmith.nn import functional as F


def states(count: int) -> np.ndarray[Any, Any]:
    return np.array(list(itertools.product((0.0, 1.0), repeat=count)))


def spread(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Give the model weights of some size, and return them."""
    gs.manual_seed(3)
    with gs.no_grad():
        for each in model.parameters():
            each.copy_(gs.randn(*each.shape) * 0.7)
    return {
        name: each.detach().numpy().astype(np.float64) for name, each in model.named_parameters()
    }


def log_sum(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.log(np.exp(values).sum(-1)))


@pytest.mark.parametrize(("visible", "hidden"), [(4, 3), (3, 4)])
def test_rbm_likelihood_is_the_sum_over_all_states(visible: int, hidden: int) -> None:
    machine = models.RBM(visible, hidden)
    w = spread(machine)
    v, h = states(visible), states(hidden)
    joint = v @ w["weight"].T @ h.T + (v @ w["visible_bias"])[:, None] + h @ w["hidden_bias"]
    expected = log_sum(joint) - log_sum(joint.reshape(-1))
    got = machine.log_likelihood(gs.tensor(v.astype(np.float32)))
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    shares = np.exp(joint[5] - log_sum(joint[5]))
    wanted = machine.hidden_given_visible(gs.tensor(v[5:6].astype(np.float32)))
    np.testing.assert_allclose(wanted.detach().numpy()[0], shares @ h, rtol=1e-5)


def test_ratings_energy_ignores_films_without_rating() -> None:
    machine = models.RatingsRBM(3, 2, 4)
    w = spread(machine)
    ratings = np.zeros((1, 3, 2), np.float32)
    ratings[0, 0, 1] = ratings[0, 2, 0] = 1
    inputs = w["weight"][:, 0, 1] + w["weight"][:, 2, 0] + w["hidden_bias"]
    kept = w["visible_bias"][0, 1] + w["visible_bias"][2, 0]
    expected = -kept - np.log1p(np.exp(inputs)).sum()
    got = machine.free_energy(gs.tensor(ratings)).item()
    assert got == pytest.approx(expected, rel=1e-5)
    rated = gs.tensor([[1.0, 0.0, 1.0]])
    drawn = machine.sample_visible(machine.sample_hidden(gs.tensor(ratings)), rated)
    np.testing.assert_array_equal(drawn.sum(-1).numpy(), rated.numpy())
    grades = machine(gs.tensor(ratings))
    assert grades.shape == (1, 3)
    assert 1 <= grades.min().item() <= grades.max().item() <= 2


def test_boltzmann_machine_at_temperatures() -> None:
    joined = np.ones((4, 4), np.float32)
    joined[0, 1] = joined[1, 0] = 0
    machine = models.BoltzmannMachine(4, gs.tensor(joined))
    w = spread(machine)
    couplings = np.tril(w["weight"] * joined, -1)
    s = binary_states("test", 4, machine.bias).numpy().astype(np.float64)
    energies = -np.einsum("ni,ij,nj->n", s, couplings, s) - s @ w["bias"]
    np.testing.assert_allclose(
        machine(gs.tensor(s.astype(np.float32))).detach().numpy(), energies, rtol=1e-5, atol=1e-6
    )
    for temperature in (0.5, 4.0):
        shares = np.exp(-energies / temperature)
        expected = shares / shares.sum()
        got = machine.probabilities(temperature).detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-4)
        start = gs.zeros(4000, 4)
        drawn = machine.gibbs(start, [temperature] * 20).detach().numpy()
        places = drawn.astype(int) @ (1 << np.arange(4))
        found = np.bincount(places, minlength=16) / 4000
        assert np.abs(found - expected).sum() / 2 < 0.06


def test_clamped_units_stay() -> None:
    machine = models.BoltzmannMachine(3)
    start = gs.tensor([[1.0, 0.0, 1.0]] * 50)
    ended = machine.gibbs(start, [1.0] * 5, gs.tensor([1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(ended[:, :2].detach().numpy(), start[:, :2].numpy())
    assert 0 < ended[:, 2].mean().item() < 1


def test_deep_machine_bound_lies_below_the_exact_likelihood() -> None:
    machine = models.DBM(4, 3, 2, steps=50)
    w = spread(machine)
    v, h, t = states(4), states(3), states(2)
    joint = (
        (v @ w["weight1"].T @ h.T + (v @ w["visible_bias"])[:, None] + h @ w["hidden_bias"])[
            ..., None
        ]
        + h @ w["weight2"].T @ t.T
        + t @ w["top_bias"]
    )
    expected = log_sum(joint.reshape(len(v), -1)) - log_sum(joint.reshape(-1))
    visible = gs.tensor(v.astype(np.float32))
    exact = machine.log_likelihood(visible).detach().numpy()
    np.testing.assert_allclose(exact, expected, rtol=1e-5, atol=1e-5)
    gap = exact - machine.lower_bound(visible).detach().numpy()
    assert gap.min() > -1e-5
    assert gap.max() < 0.5
    hidden, top = machine(visible)
    again = machine.hidden_given_both(visible, top)
    np.testing.assert_allclose(again.detach().numpy(), hidden.numpy(), atol=1e-4)


def test_belief_network_takes_over_the_machines() -> None:
    gs.manual_seed(0)
    first, second = models.RBM(6, 5), models.RBM(5, 4)
    network = models.DBN((6, 5, 4))
    network.load_rbms([first, second])
    x = gs.rand(3, 6)
    np.testing.assert_allclose(network(x).detach().numpy(), first(x).detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(
        network.decode(first(x)).detach().numpy(), first.reconstruct(x).detach().numpy(), rtol=1e-5
    )
    net = network.classifier(7)
    np.testing.assert_allclose(
        net[:4](x).detach().numpy(), second(first(x)).detach().numpy(), rtol=1e-5
    )
    assert net(x).shape == (3, 7)


def test_label_scores_are_free_energies_with_each_label() -> None:
    gs.manual_seed(0)
    network = models.DBN((6, 5, 4), num_classes=3)
    x = gs.rand(2, 6)
    scores = network.label_scores(x)
    code = network(x)
    label = gs.tensor([[0.0, 0.0, 1.0]] * 2)
    expected = -network.top.free_energy(gs.cat([code, label], 1))
    np.testing.assert_allclose(scores[:, 2].detach().numpy(), expected.detach().numpy(), rtol=1e-6)
    seen = network.sample_top(gs.zeros(9, 4))
    np.testing.assert_array_equal(seen[:, 5:].sum(1).numpy(), np.ones(9))
    assert network.dream(gs.eye(3), 2).shape == (3, 6)
    assert [each.shape[1] for each in network.sample_down(seen[:, :5])] == [6, 5]


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: models.dense_autoencoder((784, 32)), 50_992),
        (models.dense_autoencoder, 222_384),
        (models.conv_autoencoder, 11_909),
        (models.vae, 652_824),
        (lambda: models.RBM(784, 500), 784 * 500 + 784 + 500),
        (models.dbm, 784 * 500 + 500 * 1000 + 784 + 500 + 1000),
    ],
)
def test_parameter_counts(build: Callable[[], nn.Module], count: int) -> None:
    assert sum(each.numel() for each in build().parameters()) == count


def test_vae_draws_in_training_and_takes_the_mean_in_evaluation() -> None:
    gs.manual_seed(0)
    model = models.vae(3, sizes=(16, 8), image_size=(1, 4, 4))
    images = gs.rand(5, 1, 4, 4)
    first, second = model(images), model(images)
    assert not np.array_equal(first.logits.detach().numpy(), second.logits.detach().numpy())
    model.eval()
    outputs = model(images)
    rebuilt = model.decode(outputs.mu)
    np.testing.assert_allclose(
        outputs.logits.sigmoid().detach().numpy(), rebuilt.detach().numpy(), rtol=1e-6
    )
    assert model.sample(4).shape == (4, 1, 4, 4)
    assert F.elbo_loss(outputs.logits, images, outputs.mu, outputs.logvar).item() > 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.dense_autoencoder((100, 10)), "expected the first to be 784"),
        (lambda: models.dense_autoencoder((784,)), "expected two or more"),
        (lambda: models.conv_autoencoder(0), "conv_autoencoder: channels"),
        (lambda: models.vae(0), "expected two or more, each >= 1"),
        (lambda: models.VAE(nn.Flatten(), nn.Flatten(), 0, 2), "VAE: features, latent are 0, 2"),
        (lambda: models.FeatureDiscriminator(1, 30), "a side divisible by 4"),
        (lambda: models.RBM(0, 2), "RBM: visible is 0"),
        (lambda: models.RatingsRBM(3, 0, 2), "RatingsRBM: grades is 0"),
        (lambda: models.RBM(21, 21).log_partition(), "at most 20 can be"),
        (lambda: models.BoltzmannMachine(3, gs.ones(2, 2)), "expected 3 squared"),
        (lambda: models.DBN((3, 4)), "expected three sizes"),
        (lambda: models.DBN((3, 4, 5)).load_rbms([models.RBM(3, 4)]), "expected 2"),
        (lambda: models.DBM(3, 0, 2), "DBM: hidden is 0"),
    ],
)
def test_bad_sizes(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
