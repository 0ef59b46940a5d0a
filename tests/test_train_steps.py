# SPDX-License-Identifier: Apache-2.0
"""Weights in the loss, accumulated gradients, single batches."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import data, metrics, nn, optim
from gradsmith.nn import functional as F
from tests.test_train import CLASSES, X, Y, assert_same_weights, classifier, regressor, weights

RNG = np.random.default_rng(1)
W = RNG.uniform(0.0, 3.0, size=50).astype(np.float32)


def double_model(loss: Any = "mse") -> nn.Module:
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    model.compile(optim.Adam(model.parameters(), lr=0.01), loss)
    return model


# ---- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", nn.MSELoss(), F.mse_loss, lambda y, t: (y - t) ** 2])
def test_sample_weights(loss: Any) -> None:
    """The loss is the mean over the samples of weight times loss."""
    fitted, by_hand = double_model(loss), double_model()
    x, y, w = gs.tensor(X).double(), gs.tensor(Y).double(), gs.tensor(W).double()
    history = fitted.fit(
        x, y, batch_size=20, shuffle=False, sample_weight=W, epochs=2, verbose=0
    ).history
    for epoch in range(2):
        total = 0.0
        for start in range(0, 50, 20):
            part = slice(start, start + 20)
            by_hand.optimizer.zero_grad()
            losses = ((by_hand(x[part]) - y[part]) ** 2)[:, 0] * w[part]
            losses.mean().backward()
            by_hand.optimizer.step()
            total += losses.sum().item()
        assert history["loss"][epoch] == pytest.approx(total / 50, rel=1e-12)
    for name, value in weights(by_hand).items():
        np.testing.assert_allclose(weights(fitted)[name], value, rtol=1e-12)


def test_weights_of_ones_change_nothing() -> None:
    ones = np.ones(50, dtype=np.float32)
    plain, weighted, listed = classifier(), classifier(), classifier()
    plain.fit(X, CLASSES, seed=0, verbose=0)
    weighted.fit(X, CLASSES, seed=0, sample_weight=ones, verbose=0)
    listed.fit(X, CLASSES, seed=0, class_weight=[1.0, 1.0, 1.0], verbose=0)
    for name, value in weights(plain).items():
        np.testing.assert_allclose(weights(weighted)[name], value, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(weights(listed)[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("form", ["classes", "column", "one-hot"])
def test_class_weights_are_sample_weights(form: str) -> None:
    binary = CLASSES.clip(0, 1)
    if form == "one-hot":
        targets: Any = np.eye(3, dtype=np.float32)[CLASSES]
        model, other, labels = classifier(), classifier(), CLASSES
    elif form == "column":
        targets = binary[:, None].astype(np.float32)
        model, other = double_model("bce_with_logits"), double_model("bce_with_logits")
        labels = binary
    else:
        targets, labels = CLASSES, CLASSES
        model, other = classifier(), classifier()
    table = {0: 0.5, 1: 4.0}
    model.fit(X, targets, seed=0, class_weight=table, sample_weight=W, verbose=0)
    both = W * np.array([table.get(int(label), 1.0) for label in labels], dtype=np.float32)
    other.fit(X, targets, seed=0, sample_weight=both, verbose=0)
    assert_same_weights(model, other)


def test_weights_from_loaders_and_in_validation() -> None:
    given, loaded = regressor(), regressor()
    one = given.fit(
        X, Y, 10, shuffle=False, sample_weight=W, validation_data=(X, Y, W), verbose=0
    ).history
    triples = data.DataLoader(data.TensorDataset(X, Y, W), 10)
    other = loaded.fit(triples, validation_data=triples, verbose=0).history
    assert one == other
    assert_same_weights(given, loaded)
    split, parts = regressor(), regressor()
    one = split.fit(X, Y, sample_weight=W, validation_split=0.2, seed=0, verbose=0).history
    other = parts.fit(
        X[:40], Y[:40], sample_weight=W[:40], validation_data=(X[40:], Y[40:], W[40:]), seed=0,
        verbose=0,
    ).history  # fmt: skip
    assert one == other
    loss = given.evaluate(X, Y, sample_weight=W, verbose=0)[0]
    errors = (given.predict(X, verbose=0).numpy() - Y)[:, 0] ** 2
    assert loss == pytest.approx((errors * W).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"sample_weight": W[1:]}, ValueError, r"sample_weight has shape \(49,\)"),
        ({"sample_weight": W[:, None]}, ValueError, r"sample_weight has shape \(50, 1\)"),
        ({"class_weight": {"a": 1.0}}, TypeError, "the key 'a'"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] is -1.0"),
        ({"class_weight": {0: "x"}}, TypeError, r"class_weight\[0\] is a str"),
        ({"accumulate_grad_batches": 0}, ValueError, "accumulate_grad_batches is 0"),
        ({"accumulate_grad_batches": 1.5}, ValueError, "accumulate_grad_batches is 1.5"),
        (
            {"x": data.TensorDataset(X, CLASSES), "y": None, "sample_weight": W},
            ValueError,
            "sample_weight must be None",
        ),
    ],
)
def test_fit_refuses(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        classifier().fit(**{"x": X, "y": CLASSES, "verbose": 0, **options})


def test_weights_refuse() -> None:
    model = nn.Linear(3, 1)
    model.compile("sgd", lambda output, target: ((output - target) ** 2).mean())
    with pytest.raises(ValueError, match="need a loss with the option reduction"):
        model.fit(X, Y, sample_weight=W, verbose=0)
    with pytest.raises(ValueError, match="got fractions"):
        model.fit(X, Y, class_weight={0: 2.0}, verbose=0)
    with pytest.raises(ValueError, match=r"needs a target \(N,\)"):
        model.fit(X, Y[:, :, None], class_weight={0: 2.0}, verbose=0)
    with pytest.raises(TypeError, match="a batch is 4 entries"):
        model.fit(data.TensorDataset(X, Y, W, W), verbose=0)


# ---- accumulated gradients -----------------------------------------------------------------------


@pytest.mark.parametrize("window", [2, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_accumulated_gradients_are_those_of_one_batch(window: int, weighted: bool) -> None:
    """Also in the last window, which is short and ends with a short batch."""
    columns = (X.astype(np.float64), Y.astype(np.float64), *((W,) if weighted else ()))
    pairs = data.TensorDataset(*columns)
    small = data.BatchSampler(range(50), 8)
    starts = range(0, len(small), window)
    steps = [list(itertools.chain(*list(small)[i : i + window])) for i in starts]
    assert len(steps[-1]) < len(steps[0])
    accumulated, whole = double_model(), double_model()
    accumulated.fit(data.DataLoader(pairs, 8), epochs=2, accumulate_grad_batches=window, verbose=0)
    whole.fit(data.DataLoader(pairs, batch_sampler=steps), epochs=2, verbose=0)
    for name, value in weights(whole).items():
        np.testing.assert_allclose(weights(accumulated)[name], value, rtol=1e-12, atol=1e-14)
    assert accumulated.optimizer.state_dict()["state"][0]["step"].item() == 2 * len(steps)


def test_accumulation_over_a_stream() -> None:
    """The loop does not know which batch is the last; the step is taken after it."""

    class Stream(data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return ((X[i].astype(np.float64), Y[i].astype(np.float64)) for i in range(50))

    streamed, listed = double_model(), double_model()
    streamed.fit(data.DataLoader(Stream(), 8), accumulate_grad_batches=3, verbose=0)
    pairs = data.TensorDataset(X.astype(np.float64), Y.astype(np.float64))
    listed.fit(data.DataLoader(pairs, 8), accumulate_grad_batches=3, verbose=0)
    assert_same_weights(streamed, listed)


# ---- mixed precision -----------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2])
def test_scaled_losses_train_alike(window: int) -> None:
    plain, scaled = double_model(), double_model()
    scaler = gs.amp.GradScaler(init_scale=8.0, growth_interval=2)
    scaled.compile(scaled.optimizer, "mse", scaler=scaler)
    options: dict[str, Any] = {"shuffle": False, "accumulate_grad_batches": window, "verbose": 0}
    one = plain.fit(X, Y, 10, **options).history
    other = scaled.fit(X, Y, 10, **options).history
    np.testing.assert_allclose(other["loss"], one["loss"], rtol=1e-12)
    for name, value in weights(plain).items():
        np.testing.assert_allclose(weights(scaled)[name], value, rtol=1e-12, atol=1e-14)
    assert scaler.get_scale() == (32.0 if window == 1 else 16.0)


def test_autocast_is_used_everywhere() -> None:
    model = regressor()
    model.compile(model.optimizer, "mse", autocast=True)
    seen: list[str] = []
    model.register_forward_hook(lambda m, args, output: seen.append(str(output.dtype)))
    model.fit(X, Y, 50, validation_data=(X, Y), verbose=0)
    model.train_on_batch(X, Y)
    model.test_on_batch(X, Y)
    assert seen == ["bfloat16"] * 4
    seen.clear()
    model.compile(model.optimizer, "mse")
    with gs.amp.autocast():
        model.fit(X, Y, 50, verbose=0)
    model.fit(X, Y, 50, verbose=0)
    assert seen == ["bfloat16", "float32"]
    assert model.weight.grad.dtype == gs.float32
    with pytest.raises(TypeError, match="autocast is a int"):
        model.compile("sgd", "mse", autocast=1)
    with pytest.raises(TypeError, match=r"scaler is a float, expected an amp\.GradScaler"):
        model.compile("sgd", "mse", scaler=8.0)


# ---- optimisers that compute the loss themselves -------------------------------------------------


@pytest.mark.parametrize("kind", ["LBFGS", "BFGS", "ConjugateGradient", "Newton"])
def test_second_order(kind: str) -> None:
    gs.manual_seed(0)
    model = nn.Linear(3, 1).double()
    model.compile(getattr(optim, kind)(model.parameters()), "mse", "mae")
    before = model.evaluate(X, Y, verbose=0)
    history = model.fit(X, Y, 50, epochs=15, shuffle=False, verbose=0).history
    assert [history["loss"][0], history["mae"][0]] == pytest.approx(before)
    assert history["loss"][-1] < 1e-6  # the targets are a linear function
    np.testing.assert_allclose(model.weight.detach().numpy(), [[1.0, -2.0, 0.5]], atol=1e-3)


def test_perceptrons() -> None:
    gs.manual_seed(0)
    model = nn.Linear(3, 1)
    model.compile(optim.PerceptronRule(model.parameters()), "mse", metrics.BinaryAccuracy(0.0))
    target = (X[:, :1] > 0).astype(np.float32)
    history = model.fit(X, target, 5, epochs=20, seed=0, verbose=0).history
    assert history["binary_accuracy"][-1] == 1.0


def test_closures_refuse() -> None:
    model = nn.Linear(3, 1)
    model.compile(optim.LBFGS(model.parameters()), "mse")
    with pytest.raises(ValueError, match="LBFGS computes the loss itself"):
        model.fit(X, Y, accumulate_grad_batches=2, verbose=0)


# ---- single batches ------------------------------------------------------------------------------


def test_single_batches() -> None:
    model, fitted = classifier(), classifier()
    logs = model.train_on_batch(X, CLASSES, return_dict=True)
    history = fitted.fit(X, CLASSES, batch_size=50, shuffle=False, verbose=0).history
    assert logs == {name: values[0] for name, values in history.items()}
    assert_same_weights(model, fitted)
    assert model.test_on_batch(X, CLASSES) == pytest.approx(
        model.evaluate(X, CLASSES, batch_size=50, verbose=0)
    )
    np.testing.assert_array_equal(
        model.predict_on_batch(X).numpy(), model.predict(X, batch_size=50, verbose=0).numpy()
    )
    plain = regressor()
    plain.compile(plain.optimizer, "mse")
    before = weights(plain)
    assert isinstance(plain.test_on_batch(X, Y, W), float)
    np.testing.assert_array_equal(weights(plain)["weight"], before["weight"])
    assert plain.train_on_batch(X, Y, W) == pytest.approx(
        float((((X @ before["weight"].T + before["bias"] - Y) ** 2)[:, 0] * W).mean()), rel=1e-5
    )


def test_single_batches_keep_modes_and_refuse() -> None:
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    seen: list[bool] = []
    model[1].register_forward_hook(lambda module, args, output: seen.append(module.training))
    model.eval()
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    model.test_on_batch(X, Y)
    model.predict_on_batch(X)
    assert seen == [True, False, False]
    assert not model.training
    for function in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="x has no samples"):
            function(X[:0], Y[:0])
    with pytest.raises(RuntimeError, match="train_on_batch: this Linear is not compiled"):
        nn.Linear(3, 1).train_on_batch(X, Y)


class CountedResult(metrics.MeanSquaredError):
    results = 0

    def result(self) -> float:
        self.results += 1
        return super().result()


def test_evaluation_asks_for_a_result_once() -> None:
    """A result may sort all scores so far, so it is not made where nobody sees it."""
    model, counted = regressor(), CountedResult()
    model.compile("sgd", "mse", [counted])
    model.evaluate(X, Y, batch_size=5, verbose=0)
    assert counted.results == 1
    model.evaluate(X, Y, batch_size=5, verbose=1)
    assert counted.results == 12  # the bar shows it after each of 10 batches
