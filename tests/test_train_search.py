# SPDX-License-Identifier: Apache-2.0
"""Cross-validation and searches over a builder's options."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, optim, train
from tests.test_train import CLASSES, X, Y, classifier, regressor


class Halves:
    """Two folds, as scikit-learn's splitters give them."""

    def split(self, samples: Any, labels: Any = None) -> Any:
        self.seen = (len(samples), labels)
        middle = np.arange(25), np.arange(25, 50)
        yield middle
        yield middle[::-1]


def test_cross_validation_equals_the_loop_by_hand() -> None:
    cv = Halves()
    built = []

    def build() -> nn.Module:
        built.append(classifier(seed=len(built)))
        return built[-1]

    gs.manual_seed(3)
    results = train.cross_validate(build, X, CLASSES, cv, epochs=2, shuffle=False)
    assert cv.seen[0] == 50
    np.testing.assert_array_equal(cv.seen[1], CLASSES)
    assert len(built) == 2
    for number, (kept, held_out) in enumerate(Halves().split(X)):
        model = classifier(seed=number)
        model.fit(X[kept], CLASSES[kept], epochs=2, shuffle=False, verbose=0)
        logs = model.evaluate(X[held_out], CLASSES[held_out], verbose=0, return_dict=True)
        assert results["loss"][number] == pytest.approx(logs["loss"], rel=1e-6)
        assert results["accuracy"][number] == logs["accuracy"]


def test_cross_validation_with_scikit_learn() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    cv = selection.StratifiedKFold(4)
    results = train.cross_validate(classifier, gs.tensor(X), gs.tensor(CLASSES), cv)
    assert [len(values) for values in results.values()] == [4, 4]


def test_cross_validation_refuses() -> None:
    with pytest.raises(TypeError, match="cv is a int, expected an object with split"):
        train.cross_validate(classifier, X, CLASSES, 5)

    class Nothing:
        def split(self, samples: Any, labels: Any = None) -> Any:
            return iter(())

    with pytest.raises(ValueError, match="cv gave no split"):
        train.cross_validate(classifier, X, CLASSES, Nothing())


# ---- searches ------------------------------------------------------------------------------------


def build(lr: float, kind: str = "sgd") -> nn.Module:
    gs.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizers = {"sgd": optim.SGD, "adam": optim.Adam}
    model.compile(optimizers[kind](model.parameters(), lr=lr), "mse")
    return model


OPTIONS: dict[str, Any] = {"validation_split": 0.2, "epochs": 2, "shuffle": False}


def test_grid() -> None:
    space = {"lr": [1e-4, 0.1, 1e3], "kind": ["sgd", "adam"]}
    result = train.grid_search(build, space, X, Y, **OPTIONS)
    assert [params for params, _ in result.trials] == [
        {"lr": lr, "kind": kind} for lr in space["lr"] for kind in space["kind"]
    ]
    assert result.best_params == {"lr": 0.1, "kind": "sgd"}
    assert result.best_value == min(value for _, value in result.trials)
    history = build(0.1).fit(X, Y, verbose=0, **OPTIONS).history
    assert result.best_value == min(history["val_loss"])
    assert result.best_model.evaluate(X[40:], Y[40:], verbose=0) == pytest.approx(
        history["val_loss"][-1]
    )


def test_values_that_are_not_finite_never_win() -> None:
    result = train.grid_search(build, {"lr": [1e30, 0.1]}, X, Y, **OPTIONS)
    assert result.best_params == {"lr": 0.1}
    only = train.grid_search(build, {"lr": [1e30]}, X, Y, **OPTIONS)
    assert only.trials[0][1] > 1e10


def test_random() -> None:
    space = {"lr": train.Range(1e-4, 1.0, log=True), "kind": ["sgd", "adam"]}
    one = train.random_search(build, space, X, Y, trials=6, seed=1, **OPTIONS)
    two = train.random_search(build, space, X, Y, trials=6, seed=1, **OPTIONS)
    other = train.random_search(build, space, X, Y, trials=6, seed=2, **OPTIONS)
    assert one.trials == two.trials
    assert one.trials != other.trials
    assert len({params["lr"] for params, _ in one.trials}) == 6
    assert all(1e-4 <= params["lr"] <= 1.0 for params, _ in one.trials)
    assert one.best_value == min(value for _, value in one.trials)


def test_largest_value_wins_where_it_is_better() -> None:
    def make(units: int) -> nn.Module:
        gs.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, units), nn.ReLU(), nn.Linear(units, 3))
        model.compile(optim.Adam(model.parameters(), lr=0.05), "cross_entropy", "accuracy")
        return model

    options = {**OPTIONS, "monitor": "val_accuracy", "epochs": 4}
    result = train.grid_search(make, {"units": [1, 16]}, X, CLASSES, **options)
    assert result.best_value == max(value for _, value in result.trials)
    result = train.random_search(make, {"units": train.Range(2, 9)}, X, CLASSES, **options)
    assert {type(params["units"]) for params, _ in result.trials} == {int}


def test_bayesian() -> None:
    pytest.importorskip("optuna")
    space = {"lr": train.Range(1e-5, 1.0, log=True), "kind": ["sgd", "adam"]}
    one = train.bayesian_search(build, space, X, Y, trials=15, seed=0, **OPTIONS)
    two = train.bayesian_search(build, space, X, Y, trials=15, seed=0, **OPTIONS)
    assert one.trials == two.trials
    assert one.best_value == min(value for _, value in one.trials)
    firsts = np.median([value for _, value in one.trials[:8]])
    lasts = np.median([value for _, value in one.trials[10:]])
    assert lasts < firsts


def test_missing_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'gradsmith\[search\]'"):
        train.bayesian_search(build, {"lr": [0.1]}, X, Y, **OPTIONS)


def test_ranges() -> None:
    generator = np.random.default_rng(0)
    draws = [train.Range(1, 3).draw(generator) for _ in range(50)]
    assert set(draws) == {1, 2, 3}
    draws = [train.Range(1, 1000, log=True).draw(generator) for _ in range(200)]
    assert 0.3 < np.mean([draw <= 31 for draw in draws]) < 0.7
    assert all(isinstance(draw, int) for draw in draws)
    draws = [train.Range(0.5, 1.5).draw(generator) for _ in range(50)]
    assert min(draws) >= 0.5
    assert max(draws) <= 1.5
    with pytest.raises(ValueError, match="expected low <= high"):
        train.Range(2, 1)
    with pytest.raises(ValueError, match="expected a positive number with log"):
        train.Range(0, 1, log=True)


@pytest.mark.parametrize(
    ("search", "space", "options", "kind", "message"),
    [
        (train.grid_search, {}, {}, TypeError, "expected a dict"),
        (train.grid_search, {"lr": 0.1}, {}, TypeError, "lr is a float"),
        (train.grid_search, {"lr": []}, {}, TypeError, "lr is a list"),
        (train.grid_search, {"lr": train.Range(0.1, 1)}, {}, TypeError, "lr is a Range"),
        (train.random_search, {"lr": "abc"}, {}, TypeError, "lr is a str, .* or a Range"),
        (train.random_search, {"lr": [0.1]}, {"trials": 0}, ValueError, "trials is 0"),
        (train.grid_search, {"lr": [0.1]}, {"monitor": "acc"}, ValueError, "'acc' is not in"),
        (train.grid_search, {"lr": [0.1]}, {"mode": "up"}, ValueError, "mode is 'up'"),
    ],
)
def test_searches_refuse(
    search: Any, space: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        search(build, space, X, Y, **{**OPTIONS, **options})


def test_builders_need_no_options() -> None:
    result = train.grid_search(lambda unused: regressor(), {"unused": [1, 2]}, X, Y, **OPTIONS)
    assert result.trials[0][1] == result.trials[1][1]
    assert result.best_params == {"unused": 1}
