# SPDX-License-Identifier: Apache-2.0
"""Averages of parameters: SWA, EMA, statistics of batch norms, the schedule."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim
from gradsmith.optim import swa_utils
from gradsmith.tensor import Tensor

VALUES = [1.0, 4.0, -2.0, 7.0, 3.0]


def one_weight(value: float = 0.0) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False).double()
    return set_weight(model, value)


def set_weight(model: nn.Linear, value: float) -> nn.Linear:
    with gs.no_grad():
        model.weight.fill_(value)
    return model


def followed(make: Any) -> list[float]:
    """Return the averaged weight after each of VALUES."""
    model = one_weight()
    averages = make(model)
    seen = []
    for value in VALUES:
        averages.update_parameters(set_weight(model, value))
        seen.append(averages.module.weight.item())
    assert averages.n_averaged.item() == len(VALUES)
    assert model.weight.item() == VALUES[-1]
    return seen


def exponential(rate: Any) -> list[float]:
    result = [VALUES[0]]
    for count, value in enumerate(VALUES[1:], 1):
        share = rate(count)
        result.append(share * result[-1] + (1 - share) * value)
    return result


MEANS = [float(np.mean(VALUES[: i + 1])) for i in range(len(VALUES))]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda m: swa_utils.AveragedModel(m), MEANS),
        (lambda m: swa_utils.AveragedModel(m, avg_fn=swa_utils.get_swa_avg_fn()), MEANS),
        (
            lambda m: swa_utils.AveragedModel(m, multi_avg_fn=swa_utils.get_swa_multi_avg_fn()),
            MEANS,
        ),
        (
            lambda m: swa_utils.AveragedModel(m, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)),
            exponential(lambda n: 0.9),
        ),
        (
            lambda m: swa_utils.AveragedModel(m, avg_fn=swa_utils.get_ema_avg_fn(0.9)),
            exponential(lambda n: 0.9),
        ),
        (lambda m: swa_utils.EMA(m, 0.25, warmup=False), exponential(lambda n: 0.25)),
        (lambda m: swa_utils.EMA(m, 0.3), exponential(lambda n: min(0.3, (1 + n) / (10 + n)))),
        (lambda m: swa_utils.AveragedModel(m, avg_fn=lambda a, c, n: a + c * n), [1, 5, 1, 22, 34]),
    ],
)
def test_averages(make: Any, expected: list[float]) -> None:
    np.testing.assert_allclose(followed(make), expected, rtol=1e-12)


@pytest.mark.parametrize("use_buffers", [False, True])
def test_buffers_are_copied_or_averaged(use_buffers: bool) -> None:
    model = nn.BatchNorm1d(1)
    averages = swa_utils.AveragedModel(model, use_buffers=use_buffers)
    for value in (2.0, 4.0):
        model.running_mean.fill_(value)
        model.num_batches_tracked.fill_(int(value))
        averages.update_parameters(model)
    assert averages.module.running_mean.item() == (3.0 if use_buffers else 4.0)
    assert averages.module.num_batches_tracked.item() == 4


def test_an_average_is_a_module_with_a_state() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    averages = swa_utils.AveragedModel(model)
    averages.update_parameters(model)
    x = gs.ones(4, 2)
    assert averages(x).tolist() == model(x).tolist()
    assert list(averages.state_dict()) == ["n_averaged", "module.0.weight", "module.0.bias"]
    other = swa_utils.AveragedModel(nn.Sequential(nn.Linear(2, 3), nn.Tanh()))
    other.load_state_dict(averages.state_dict())
    assert other(x).tolist() == model(x).tolist()
    assert other.n_averaged.item() == 1


def test_a_model_borrows_the_averages() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    ema = swa_utils.EMA(model, 0.5, warmup=False, use_buffers=True)
    for value in (1.0, 3.0):
        with gs.no_grad():
            model[0].weight.fill_(value)
            model[1].running_mean.fill_(value)
        ema.update_parameters(model)

    def fail() -> None:
        with ema.average_parameters(model):
            assert (model[0].weight.item(), model[1].running_mean.item()) == (2.0, 2.0)
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fail()
    assert (model[0].weight.item(), model[1].running_mean.item()) == (3.0, 3.0)


def test_statistics_of_batch_norms() -> None:
    rng = np.random.default_rng(0)
    batches = [gs.tensor(rng.standard_normal((8, 3)).astype(np.float32) * 3 + 1) for _ in range(3)]
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    model.eval()
    model[0].running_mean.fill_(50.0)
    swa_utils.update_bn([(x, 0) for x in batches], model)
    means = np.mean([x.numpy().mean(0) for x in batches], axis=0)
    variances = np.mean([x.numpy().var(0, ddof=1) for x in batches], axis=0)
    np.testing.assert_allclose(model[0].running_mean.numpy(), means, rtol=1e-5)
    np.testing.assert_allclose(model[0].running_var.numpy(), variances, rtol=1e-5)
    assert model[0].momentum == 0.1
    assert not any(module.training for module in model.modules())
    with pytest.raises(ValueError, match="expected"):
        swa_utils.update_bn([gs.ones(8, 4)], model)
    assert model[0].momentum == 0.1
    swa_utils.update_bn([], nn.Linear(2, 2))


def test_swalr_anneals_to_its_rate() -> None:
    params = [Tensor(np.zeros(2), requires_grad=True) for _ in range(2)]
    optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 1.0}], lr=0.5)
    schedule = swa_utils.SWALR(optimizer, [0.1, 0.2], anneal_epochs=4, anneal_strategy="linear")
    seen = []
    for _ in range(6):
        seen.append(schedule.get_last_lr())
        schedule.step()
    shares = np.minimum(np.arange(6) / 4, 1)[:, None]
    np.testing.assert_allclose(seen, [[0.5, 1.0]] + shares * [[-0.4, -0.8]], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: swa_utils.AveragedModel(3), TypeError, "model is a int"),
        (
            lambda: swa_utils.AveragedModel(one_weight(), None, max, max),
            ValueError,
            "one at most",
        ),
        (lambda: swa_utils.EMA(one_weight(), 1.5), ValueError, "EMA: decay is 1.5"),
        (lambda: swa_utils.get_ema_multi_avg_fn(-0.1), ValueError, "decay is -0.1"),
        (
            lambda: swa_utils.AveragedModel(one_weight()).update_parameters(nn.Linear(1, 1)),
            ValueError,
            "2 parameters and buffers, expected 1",
        ),
        (lambda: swa_utils.SWALR(optim.SGD(one_weight().parameters()), "a"), TypeError, "swa_lr"),
        (
            lambda: swa_utils.SWALR(optim.SGD(one_weight().parameters()), 0.1, 2.5),
            TypeError,
            "anneal_epochs is a float",
        ),
        (
            lambda: swa_utils.SWALR(optim.SGD(one_weight().parameters()), 0.1, 2, "x"),
            ValueError,
            "anneal_strategy is 'x'",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_swalr_equals_pytorch_s(strategy: str, epochs: int) -> None:
    """After and beside a schedule of its own, which goes on changing the rate."""
    import torch

    both = []
    for library, param in (
        (optim, Tensor(np.zeros(2), requires_grad=True)),
        (torch.optim, torch.zeros(2, requires_grad=True)),
    ):
        kind: Any = library
        optimizer = kind.SGD([param], lr=0.5)
        other = kind.lr_scheduler.ExponentialLR(optimizer, 0.9)
        swa = kind.swa_utils.SWALR(optimizer, 0.05, epochs, strategy)
        both.append((optimizer, other, swa))
    for step in range(15):
        for _, other, swa in both:
            (other if step < 4 else swa).step()
        np.testing.assert_allclose(
            both[0][0].param_groups[0]["lr"], both[1][0].param_groups[0]["lr"], rtol=1e-12
        )
    both[0][2].load_state_dict(copy.deepcopy(both[1][2].state_dict()))
