# SPDX-License-Identifier: Apache-2.0
"""The softmax over many classes: it is a distribution, its parts, PyTorch, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from tests.cases import HAS_SIMULATOR, to_array

X = gs.tensor(np.random.default_rng(0).standard_normal((7, 8)).astype(np.float32))
CLASSES = gs.tensor([0, 3, 4, 9, 10, 19, 2])


def layer(**options: Any) -> nn.AdaptiveLogSoftmaxWithLoss:
    gs.manual_seed(0)
    return nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0, **options)


@pytest.mark.parametrize("head_bias", [False, True])
def test_targets_get_their_share_of_all(head_bias: bool) -> None:
    module = layer(head_bias=head_bias)
    shares = module.log_prob(X)
    assert shares.shape == (7, 20)
    np.testing.assert_allclose(shares.exp().sum(1).detach().numpy(), 1, rtol=1e-5)
    output, loss = module(X, CLASSES)
    expected = shares[gs.arange(7), CLASSES]
    np.testing.assert_allclose(output.detach().numpy(), expected.detach().numpy(), rtol=1e-5)
    assert loss.item() == pytest.approx(-expected.mean().item(), rel=1e-5)
    assert module.predict(X).tolist() == shares.argmax(1).tolist()
    assert len(list(module.parameters())) == (6 if head_bias else 5)


def test_groups_of_classes_have_fewer_features() -> None:
    module = layer()
    assert module.head.weight.shape == (6, 8)
    sizes = [[each.weight.shape for each in group] for group in module.tail]
    assert sizes == [[(4, 8), (6, 4)], [(2, 8), (10, 2)]]
    before = module.tail[0][0].weight.detach().clone()
    module.reset_parameters()
    assert not gs.equal(module.tail[0][0].weight, before)


def test_a_single_sample_and_an_empty_batch() -> None:
    module = layer()
    output, loss = module(X[1], CLASSES[1])
    assert output.shape == ()
    assert loss.item() == pytest.approx(-output.item())
    assert module(X[:0], CLASSES[:0]).output.shape == (0,)


def test_it_learns() -> None:
    module = layer()
    optimizer = gs.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = module(X, CLASSES).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert module.predict(X).tolist() == CLASSES.tolist()


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator")
def test_on_the_simulator() -> None:
    module = layer()
    expected = module(X, CLASSES).output.detach().numpy()
    got = module.to("cudasim")(X.to("cudasim"), CLASSES.to("cudasim")).output
    np.testing.assert_allclose(to_array(got), expected, rtol=1e-5)


@pytest.mark.torch
def test_values_and_gradients_are_those_of_pytorch() -> None:
    import torch

    mine = layer(head_bias=True).double()
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, True).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    x, peer = X.double().requires_grad_(), torch.tensor(X.double().numpy(), requires_grad=True)
    (output, loss), expected = mine(x, CLASSES), theirs(peer, torch.tensor(CLASSES.numpy()))
    np.testing.assert_allclose(output.detach().numpy(), expected.output.detach())
    loss.backward()
    expected.loss.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), peer.grad)


Layer = nn.AdaptiveLogSoftmaxWithLoss


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Layer(8, 20, []), ValueError, r"cutoffs is \[\]"),
        (lambda: Layer(8, 20, [4, 4]), ValueError, r"cutoffs is \[4, 4\], expected rising"),
        (lambda: Layer(8, 20, [20]), ValueError, r"cutoffs is \[20\]"),
        (lambda: Layer(8, 20, [1.5]), TypeError, "cutoffs is a float"),
        (lambda: Layer(8, 20, [4], div_value=0), ValueError, "div_value is 0"),
        (lambda: Layer(8, 20, [4], head_bias=1), TypeError, "head_bias is a int"),
        (lambda: layer()(X, CLASSES[:3]), ValueError, r"input has shape \(7, 8\) and target \(3,"),
        (lambda: layer()(X, CLASSES.float()), TypeError, "target is float32, expected integers"),
        (lambda: layer()(X, CLASSES + 1), IndexError, "not among 0 to 19"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
