# SPDX-License-Identifier: Apache-2.0
"""compile, fit, evaluate and predict on any module."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import data, metrics, nn, optim, train
from gradsmith.tensor import Tensor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3).astype(np.float32)
CLASSES = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)


def regressor(seed: int = 0) -> nn.Module:
    gs.manual_seed(seed)
    model = nn.Linear(3, 1)
    model.compile(optim.SGD(model.parameters(), lr=0.05), "mse", ["mae"])
    return model


def classifier(seed: int = 0, **options: Any) -> nn.Module:
    gs.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
    model.compile(
        **{"optimizer": "adam", "loss": "cross_entropy", "metrics": "accuracy", **options}
    )
    return model


def weights(model: nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, weights(other)[name])


# ---- fit -----------------------------------------------------------------------------------------


def test_fit_equals_the_loop_written_by_hand() -> None:
    fitted, by_hand = regressor(), regressor()
    history = fitted.fit(X, Y, batch_size=16, epochs=3, seed=7, verbose=0)
    loader = data.DataLoader(data.TensorDataset(X, Y), 16, shuffle=True, seed=7)
    optimizer = optim.SGD(by_hand.parameters(), lr=0.05)
    loss_of = nn.MSELoss()
    epochs = []
    for _ in range(3):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_of(by_hand(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        epochs.append(total / len(X))
    assert_same_weights(fitted, by_hand)
    np.testing.assert_allclose(history.history["loss"], epochs, rtol=1e-12)
    assert isinstance(history, train.History)
    assert history.epoch == [0, 1, 2]
    assert set(history.history) == {"loss", "mae"}


def test_fit_learns_classes() -> None:
    model = classifier(optimizer=lambda parameters: optim.Adam(parameters, lr=0.05))
    history = model.fit(X, CLASSES, epochs=30, seed=0, verbose=0)
    assert history.history["accuracy"][-1] > 0.95
    assert model.evaluate(X, CLASSES, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_every_kind_of_data_gives_the_same_training() -> None:
    pairs = data.TensorDataset(X, CLASSES)
    reference = classifier()
    reference.fit(X, CLASSES, batch_size=20, shuffle=False, verbose=0)
    for x, y in [
        (gs.tensor(X), gs.tensor(CLASSES)),
        (X.astype(np.float64), CLASSES.astype(np.int32)),
        (X.tolist(), CLASSES.tolist()),
        (pairs, None),
        (data.DataLoader(pairs, 20), None),
        (data.DataLoader(pairs, 20, num_workers=2), None),
        (data.Subset(pairs, range(50)), None),
    ]:
        model = classifier()
        model.fit(x, y, batch_size=20, shuffle=False, verbose=0)
        assert_same_weights(model, reference)


def test_seed_and_resume() -> None:
    whole, parts, other = regressor(), regressor(), regressor()
    whole.fit(X, Y, epochs=4, seed=3, verbose=0)
    parts.fit(X, Y, epochs=2, seed=3, verbose=0)
    history = parts.fit(X, Y, epochs=4, initial_epoch=2, seed=3, verbose=0)
    assert history.epoch == [2, 3]
    assert_same_weights(whole, parts)
    other.fit(X, Y, epochs=4, seed=4, verbose=0)
    assert not np.array_equal(weights(other)["weight"], weights(whole)["weight"])


def test_library_seed_decides_without_one() -> None:
    first, second = regressor(), regressor()
    gs.manual_seed(1)
    first.fit(X, Y, epochs=2, verbose=0)
    gs.manual_seed(1)
    second.fit(X, Y, epochs=2, verbose=0)
    assert_same_weights(first, second)


def test_validation_split_takes_the_last_part() -> None:
    split, given = regressor(), regressor()
    one = split.fit(X, Y, validation_split=0.2, epochs=2, seed=0, verbose=0).history
    other = given.fit(
        X[:40], Y[:40], validation_data=(X[40:], Y[40:]), epochs=2, seed=0, verbose=0
    ).history
    assert one == other
    assert set(one) == {"loss", "mae", "val_loss", "val_mae"}
    of_dataset = regressor()
    pairs = data.TensorDataset(X, Y)
    third = of_dataset.fit(pairs, validation_split=0.2, epochs=2, seed=0, verbose=0).history
    assert third == one
    after = given.evaluate(X[40:], Y[40:], batch_size=3, verbose=0, return_dict=True)
    assert after["loss"] == pytest.approx(one["val_loss"][-1])


@pytest.mark.parametrize("kind", ["dataset", "loader"])
def test_validation_data_of_other_kinds(kind: str) -> None:
    held_out: Any = data.TensorDataset(X[40:], Y[40:])
    if kind == "loader":
        held_out = data.DataLoader(held_out, 4)
    expected = regressor().fit(X, Y, validation_data=(X[40:], Y[40:]), seed=0, verbose=0).history
    result = regressor().fit(X, Y, validation_data=held_out, seed=0, verbose=0).history
    assert result["val_loss"] == pytest.approx(expected["val_loss"])


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, a: Tensor, b: Tensor) -> Any:
        return self.fc(a + b)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_several_inputs(form: str) -> None:
    model = TwoInputs()
    model.compile("sgd", "mse")
    inputs: Any = [X, X] if form == "list" else {"a": X, "b": X}
    model.fit(inputs, Y, epochs=2, validation_split=0.1, verbose=0)
    assert model.predict(inputs, batch_size=7, verbose=0).shape == (50, 1)
    with pytest.raises(ValueError, match="has 49 samples, but x has 50"):
        model.fit([X, X[1:]] if form == "list" else {"a": X, "b": X[1:]}, Y)


def test_modes_are_given_back() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    seen = []
    model[1].register_forward_hook(lambda module, args, output: seen.append(module.training))
    model[0].eval()
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=50, validation_data=(X, Y), verbose=0)
    assert seen == [True, False]
    assert [module.training for module in model] == [False, True, True]
    with gs.no_grad():
        expected = model.eval()(gs.tensor(X)).numpy()
    model.train()
    np.testing.assert_allclose(model.predict(X, verbose=0).numpy(), expected, rtol=1e-6)
    assert model.training


def test_predict() -> None:
    model = classifier()
    whole = model.predict(X, batch_size=50, verbose=0)
    assert not whole.requires_grad
    np.testing.assert_allclose(
        model.predict(X, batch_size=7, verbose=0).numpy(), whole.numpy(), rtol=1e-5, atol=1e-6
    )
    pairs = data.TensorDataset(X, CLASSES)
    assert model.predict(data.DataLoader(pairs, 9), verbose=0).shape == (50, 3)
    assert model.predict(data.TensorDataset(X), verbose=0).shape == (50, 3)
    with pytest.raises(ValueError, match="x has no samples"):
        model.predict(X[:0], verbose=0)

    class Two(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return x, {"double": x * 2.0}

    first, second = Two().predict(X, batch_size=8, verbose=0)
    np.testing.assert_array_equal(first.numpy(), X)
    np.testing.assert_array_equal(second["double"].numpy(), X * 2)


def test_evaluate() -> None:
    model = classifier()
    loss, accuracy = model.evaluate(X, CLASSES, batch_size=7, verbose=0)
    scores = model.predict(X, verbose=0).numpy().astype(np.float64)
    shifted = scores - scores.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    assert loss == pytest.approx(-log_p[np.arange(50), CLASSES].mean(), rel=1e-5)
    assert accuracy == pytest.approx(np.mean(scores.argmax(1) == CLASSES))
    plain = nn.Linear(3, 1)
    plain.compile("sgd", nn.MSELoss())
    assert isinstance(plain.evaluate(X, Y, verbose=0), float)


def test_fit_leaves_no_garbage() -> None:
    model = regressor()
    model.fit(X, Y, verbose=0)
    gc.collect()
    gc.disable()
    try:
        model.fit(X, Y, epochs=3, validation_split=0.2, verbose=0)
        model.predict(X, verbose=0)
        assert gc.collect() < 20
    finally:
        gc.enable()


# ---- compile -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"optimizer": "adm"}, ValueError, "optimizer 'adm' is unknown; did you mean 'adam'"),
        ({"loss": "crossentropy"}, ValueError, "did you mean 'cross_entropy'"),
        ({"loss": "categorical_crossentropy"}, ValueError, "before softmax"),
        ({"metrics": ["acuracy"]}, ValueError, "did you mean 'accuracy'"),
        ({"metrics": ["accuracy", metrics.Accuracy()]}, ValueError, "two metrics are called"),
        ({"metrics": 3}, TypeError, "a metric is a int"),
        ({"loss": None}, TypeError, "loss is missing"),
        ({"loss": 3}, TypeError, "loss is a int"),
        ({"optimizer": 3}, TypeError, "optimizer is a int"),
        ({"optimizer": list}, TypeError, "optimizer is a type"),
    ],
)
def test_compile_refuses(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        classifier(**options)


def test_compile_takes_objects() -> None:
    def largest_error(output: Any, target: Any) -> float:
        return float((output - target).abs().max().item())

    model = nn.Linear(3, 1)
    model.compile(optim.Adam, nn.L1Loss(), [metrics.MeanSquaredError, largest_error])
    logs = model.evaluate(X, Y, batch_size=50, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "mean_squared_error", "largest_error"]
    assert list(model.state_dict()) == ["weight", "bias"]
    errors = model.predict(X, verbose=0).numpy() - Y
    assert logs["largest_error"] == pytest.approx(np.abs(errors).max(), rel=1e-6)


def test_accuracy_of_binary_losses() -> None:
    target = (X[:, :1] > 0).astype(np.float32)
    for loss, last in (("bce_with_logits", nn.Identity()), ("bce", nn.Sigmoid())):
        gs.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 1), last)
        model.compile("sgd", loss, ["accuracy"])
        logits = model[0](gs.tensor(X)).detach().numpy()
        expected = np.mean((logits > 0) == (target > 0))
        assert model.evaluate(X, target, verbose=0)[1] == pytest.approx(expected)


def test_not_compiled() -> None:
    model = nn.Linear(3, 1)
    with pytest.raises(RuntimeError, match="this Linear is not compiled"):
        model.fit(X, Y)
    with pytest.raises(RuntimeError, match="evaluate: this Linear"):
        model.evaluate(X, Y)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"x": X, "y": Y[1:]}, ValueError, "y has 49 samples, but x has 50"),
        ({"x": X}, TypeError, r"expected the pair \(inputs, targets\)"),
        ({"x": X[:0], "y": Y[:0]}, ValueError, "x has no samples"),
        ({"x": 3.0, "y": 2.0}, ValueError, "x is a single number"),
        ({"x": data.TensorDataset(X, Y), "y": Y}, ValueError, "y must be None"),
        ({"x": X, "y": Y, "epochs": -1}, ValueError, "epochs is -1"),
        ({"x": X, "y": Y, "epochs": 1.5}, ValueError, "epochs is 1.5"),
        ({"x": X, "y": Y, "batch_size": 0}, ValueError, "batch_size is 0"),
        ({"x": X, "y": Y, "verbose": 3}, ValueError, "verbose is 3"),
        ({"x": X, "y": Y, "validation_split": 1.0}, ValueError, "validation_split is 1.0"),
        ({"x": X, "y": Y, "validation_split": 0.999}, ValueError, "leaves a part empty"),
        ({"x": X, "y": Y, "validation_data": X}, TypeError, "validation_data is a ndarray"),
        ({"x": X, "y": Y, "callbacks": [print]}, TypeError, "expected Callback objects"),
        ({"x": X, "y": Y[:, 0]}, ValueError, "shape"),
        ({"x": X[:, :2], "y": Y}, ValueError, "2 features"),
        (
            {"x": X, "y": Y, "validation_split": 0.1, "validation_data": (X, Y)},
            ValueError,
            "exclude each other",
        ),
        (
            {"x": data.DataLoader(data.TensorDataset(X, Y)), "y": None, "validation_split": 0.1},
            ValueError,
            "validation_split needs arrays",
        ),
        (
            {"x": data.TensorDataset(X, Y), "y": Y, "validation_split": 0.1},
            ValueError,
            "y and sample_weight must be None",
        ),
    ],
)
def test_fit_refuses(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    model = regressor()
    before = weights(model)
    with pytest.raises(kind, match=message):
        model.fit(**{"verbose": 0, **arguments})
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_loss_must_be_one_number() -> None:
    model = nn.Linear(3, 1)
    model.compile("sgd", nn.MSELoss(reduction="none"))
    with pytest.raises(ValueError, match=r"the loss gave shape \(32, 1\)"):
        model.fit(X, Y, verbose=0)
    model.compile("sgd", "mse", [metrics.ConfusionMatrix(2)])
    with pytest.raises((TypeError, ValueError)):
        model.fit(X, Y, verbose=0)
    matrix = classifier(metrics=[metrics.ConfusionMatrix(3)])
    with pytest.raises(TypeError, match="'confusion_matrix' is no single number"):
        matrix.fit(X, CLASSES, verbose=0)
