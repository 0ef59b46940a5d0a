# SPDX-License-Identifier: Apache-2.0
"""What the feed-forward recipes compute themselves equals closed forms and published numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cli, models, nn
from gradsmith.recipes.feed_forward import (
    backpropagation,
    digits,
    linear_regression,
    linear_svm,
    logistic_regression,
    penalised_regression,
    polynomial_regression,
    regression_mlp,
    two_layer_net,
)
from gradsmith.recipes.run import Run, Settings


def table(count: int = 40, size: int = 5) -> tuple[gs.Tensor, gs.Tensor]:
    random = np.random.default_rng(0)
    x = random.normal(size=(count, size))
    y = x @ np.array([3.0, -2.0, 0.0, 0.0, 0.5]) + random.normal(size=count) * 0.1
    return gs.tensor(x - x.mean(axis=0)), gs.tensor(y - y.mean())


def test_back_propagation_gives_the_published_numbers() -> None:
    w1, w2 = (
        gs.tensor(each, dtype=gs.float64) for each in (backpropagation.W1, backpropagation.W2)
    )
    first = backpropagation.by_hand(w1, w2)
    new1 = w1 - backpropagation.RATE * first.gradient1
    new2 = w2 - backpropagation.RATE * first.gradient2
    np.testing.assert_allclose(first.error.item(), 0.298371109, atol=1e-9)
    expected1 = [[0.149780716, 0.19956143], [0.24975114, 0.29950229]]
    expected2 = [[0.35891648, 0.408666186], [0.511301270, 0.561370121]]
    np.testing.assert_allclose(new1.numpy(), expected1, atol=1e-8)
    np.testing.assert_allclose(new2.numpy(), expected2, atol=1e-8)
    np.testing.assert_allclose(backpropagation.by_hand(new1, new2).error.item(), 0.291027774, 1e-8)


def test_line_through_exact_points() -> None:
    x = gs.tensor([[0.0], [1.0], [3.0]])
    exact = linear_regression.closed_form(x, 2 * x - 1)
    np.testing.assert_allclose(exact, [2.0, -1.0], atol=1e-5)
    path = linear_regression.descent(x, 2 * x - 1, 3, 200, False, seed=0)
    np.testing.assert_allclose(path[-1], exact, atol=1e-4)
    assert path.shape == (201, 2)


@pytest.mark.parametrize(("name", "ratio"), [("Lasso", 1.0), ("ElasticNet", 0.3)])
def test_penalised_weights_equal_scikit_learn(name: str, ratio: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is missing")
    x, y = table()
    options: dict[str, Any] = {} if name == "Lasso" else {"l1_ratio": ratio}
    theirs = getattr(linear_model, name)(alpha=0.2, tol=1e-12, max_iter=100_000, **options)
    theirs.fit(x.numpy(), y.numpy())
    ours = penalised_regression.fista(x, y, 0.2, ratio, steps=2000)
    np.testing.assert_allclose(ours.numpy(), theirs.coef_, atol=1e-8)
    assert penalised_regression.violation(x, y, ours, 0.2, ratio) < 1e-9
    assert penalised_regression.violation(x, y, ours + 0.1, 0.2, ratio) > 1e-2


def test_ridge_equals_descent() -> None:
    x, y = table()
    exact = penalised_regression.ridge(x, y, 0.3)
    found = penalised_regression.fista(x, y, 0.3, 0.0, steps=2000)
    np.testing.assert_allclose(found.numpy(), exact.numpy(), atol=1e-9)


def test_polynomial_finds_coefficients() -> None:
    x = gs.linspace(-1, 1, 9, dtype=gs.float64)
    y = 1 - 2 * x + 3 * x**2
    found = polynomial_regression.fit(x, y, 3)
    np.testing.assert_allclose(found.numpy(), [1, -2, 3, 0], atol=1e-10)


def test_support_vectors_of_two_points_lie_on_the_edges() -> None:
    # |w|^2 l2 / 2 + hinge of (2, 0) -> +1 and (-2, 0) -> -1: w = (1/2, 0), b = 0.
    gs.manual_seed(0)
    x, y = gs.tensor([[2.0, 0.0], [-2.0, 0.0]]), gs.tensor([1.0, -1.0])
    model, values = linear_svm.fit(x, y, l2=0.1, steps=4000)
    np.testing.assert_allclose(model.weight.detach().numpy(), [[0.5, 0.0]], atol=0.02)
    np.testing.assert_allclose(model.bias.detach().numpy(), [0.0], atol=0.05)
    assert len(values) == 80


def test_logistic_regression_is_calibrated() -> None:
    x = gs.tensor([[0.0], [0.0], [0.0], [1.0], [1.0]])
    y = gs.tensor([0.0, 0.0, 1.0, 1.0, 0.0])
    model, _ = logistic_regression.fit(x, y, l2=0.0, steps=10)
    found = model(gs.tensor([[0.0], [1.0]])).sigmoid().detach().numpy()
    np.testing.assert_allclose(found[:, 0], [1 / 3, 1 / 2], atol=1e-3)


def test_generated_data_have_their_shapes() -> None:
    x, y = two_layer_net.petals(100, seed=1)
    assert x.shape == (100, 2)
    assert y.tolist().count(1) == 50
    for make, width in ((regression_mlp.friedman, 8), (regression_mlp.wine, 11)):
        inputs, targets = make(0)
        assert inputs.shape[1] == width
        assert targets.shape == (len(inputs), 1)


def test_digits_say_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSMITH_CACHE_DIR", str(tmp_path))
    run = Run(Settings("x"), tmp_path / "run")
    rows = digits.digit_rows(run)
    assert rows.train_x.shape == (1442, 784)
    assert rows.test_x.shape == (355, 784)
    assert 0 <= rows.test_x.min().item() < rows.test_x.max().item() <= 1
    assert "enlarged" in str(run.sections[0])


def test_unknown_values_of_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    assert cli.main(["run", "xor", "--quick", "--set", "gate=nand", *out]) == 1
    assert "option gate is 'nand', expected one of xor, xnor" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"dropout": 0.5}])
def test_mlp_stacks_layers(options: dict[str, Any]) -> None:
    model = models.mlp([784, 300, 100, 10], nn.ELU, **options)
    kinds = [type(layer).__name__ for layer in model]
    assert kinds.count("Linear") == 3
    assert kinds.count("ELU") == 2
    assert kinds[-1] == "Linear"
    assert len(kinds) == (5 if not options else 7)
    weights = [each for name, each in model.named_parameters() if each.ndim == 2]
    assert sum(each.numel() for each in weights) == 784 * 300 + 300 * 100 + 100 * 10
    with pytest.raises(ValueError, match=r"mlp: sizes are \[3\]"):
        models.mlp([3])


def test_two_layers_of_an_mlp_are_a_regression() -> None:
    make = partial(models.mlp, [4, 2])
    assert [type(layer).__name__ for layer in make()] == ["Linear"]
