# SPDX-License-Identifier: Apache-2.0
"""doctor: one test per finding, and models without any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models, nn, optim, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 4)).astype(np.float32)
Y = RNG.normal(size=(16, 1)).astype(np.float32)
LABELS = RNG.integers(0, 3, size=16)


def net(*last: nn.Module, outputs: int = 3) -> nn.Sequential:
    gs.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs), *last)


def findings(model: nn.Module, batch: Any, loss: Any = "cross_entropy", **options: Any) -> Any:
    optimizer = options.get("optimizer") or optim.Adam(model.parameters())
    return train.doctor(model, optimizer, batch, loss)


def assert_found(report: Any, what: str, where: str = "", severity: str = "error") -> None:
    found = [f for f in report.findings if what in f.what and where in f.where]
    assert len(found) == 1, str(report)
    assert found[0].severity == severity
    assert found[0].fix
    assert what in str(report)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


# ---- healthy -------------------------------------------------------------------------------------


def test_healthy_models() -> None:
    gs.manual_seed(0)
    images = RNG.uniform(size=(16, 1, 32, 32)).astype(np.float32)
    series = RNG.normal(size=(16, 6, 4)).astype(np.float32)
    norm = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)
    )
    for model, x in ((models.lenet5(), images), (Recurrent(), series), (net(), X), (norm, X)):
        for optimizer in (optim.Adam(model.parameters()), optim.SGD(model.parameters(), lr=0.01)):
            report = train.doctor(model, optimizer, (x, LABELS), "cross_entropy")
            assert report.is_healthy, str(report)
            assert str(report) == "doctor: nothing found"
    for last, loss in ((nn.Sigmoid(), "bce"), (nn.Identity(), "mse")):
        target = (Y > 0).astype(np.float32)
        assert findings(net(last, outputs=1), (X, target), loss).is_healthy
    assert findings(net(nn.LogSoftmax(1)), (X, LABELS), nn.NLLLoss()).is_healthy
    assert findings(net(), X, None).is_healthy


@pytest.mark.parametrize(
    "kind", ["SGD", "RMSprop", "Adagrad", "AdamW", "Rprop", "LAMB", "Lion", "LBFGS", "Newton"]
)
def test_optimisers_with_their_defaults(kind: str) -> None:
    model = net()
    report = findings(model, (X, LABELS), optimizer=getattr(optim, kind)(model.parameters()))
    assert report.is_healthy, str(report)


def test_nothing_is_changed() -> None:
    gs.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )
    model[1].eval()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    loss = nn.CrossEntropyLoss()
    for _ in range(2):
        loss(model(gs.tensor(X)), gs.tensor(LABELS)).backward()
        optimizer.step()
    graph = model[0](gs.tensor(X)).square().sum()  # its saved values must stay usable
    state = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    grads = [(p.grad, p.grad.numpy().copy()) for p in model.parameters()]
    inner = [
        {k: v.numpy().copy() for k, v in optimizer.state[p].items() if v is not None}
        for p in model.parameters()
    ]
    groups, place = optimizer.param_groups[0], gs.get_rng_state().tolist()
    modes = [module.training for module in model.modules()]
    findings(model, (X, LABELS), optimizer=optimizer)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])
    for p, (grad, values), entries in zip(model.parameters(), grads, inner, strict=True):
        assert p.grad is grad
        np.testing.assert_array_equal(grad.numpy(), values)
        for key, value in entries.items():
            np.testing.assert_array_equal(optimizer.state[p][key].numpy(), value)
    assert optimizer.param_groups[0] is groups
    assert groups["lr"] == 0.1
    assert gs.get_rng_state().tolist() == place
    assert [module.training for module in model.modules()] == modes
    graph.backward()
    optimizer.step()


# ---- parts ---------------------------------------------------------------------------------------


def test_parameters_and_optimiser() -> None:
    model = net()
    partial = optim.Adam(model[0].parameters())
    assert_found(
        findings(model, (X, LABELS), optimizer=partial), "not in the optimiser", "2.weight"
    )
    foreign = optim.Adam([*model.parameters(), nn.Linear(2, 2).weight])
    report = findings(model, (X, LABELS), optimizer=foreign)
    assert_found(report, "not in the model", "shape (2, 2)", "warning")
    twice = optim.Adam(model.parameters())
    twice.param_groups[0]["params"].append(model[0].bias)
    assert_found(findings(model, (X, LABELS), optimizer=twice), "stand twice", "0.bias")
    still = optim.SGD(model.parameters(), lr=0.0)
    assert_found(findings(model, (X, LABELS), optimizer=still), "the learning rate is 0")


def test_frozen() -> None:
    model = net()
    optimizer = optim.Adam(model.parameters())
    model.requires_grad_(False)
    report = findings(model, (X, LABELS), optimizer=optimizer)
    assert_found(report, "every parameter is frozen")
    assert_found(report, "the loss requires no gradient", "loss")


def test_gradients_left_over() -> None:
    model = net()
    model(gs.tensor(X)).sum().backward()
    assert_found(findings(model, (X, LABELS)), "earlier pass", "0.weight", "warning")
    model.zero_grad()
    assert findings(model, (X, LABELS)).is_healthy


def test_modes() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
    model.eval()
    assert_found(findings(model, (X, LABELS)), "evaluation mode: dropout", "1, 2", "warning")
    model.train()
    model[2].eval()
    assert_found(findings(model, (X, LABELS)), "layers are in evaluation mode", "2", "warning")
    assert findings(net().eval(), (X, LABELS)).is_healthy


def test_one_sample_with_batch_norm() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    assert_found(findings(model, (X[:1], LABELS[:1])), "no variance for batch norm", "1")


@pytest.mark.parametrize(
    ("x", "what", "severity"),
    [
        (np.where(X > 1, np.nan, X), "are NaN or Inf", "error"),
        (np.where(X > 1, np.inf, X), "are NaN or Inf", "error"),
        (np.abs(X) * 70, "as bytes do", "warning"),
        (X * 300 - 50, "far from 0 and 1", "warning"),
        (X * 1e-4, "far from 0 and 1", "warning"),
        (np.ones_like(X), "all numbers are equal", "warning"),
        (X * np.array([1, 1, 1, 1e-4], dtype=np.float32), "deviations of the features", "warning"),
    ],
)
def test_inputs(x: Any, what: str, severity: str) -> None:
    assert_found(findings(net(), (x, LABELS)), what, "inputs", severity)


# ---- loss ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "target", "loss", "what", "where"),
    [
        (net(nn.Softmax(1)), LABELS, "cross_entropy", "softmax stands before cross_entropy", ""),
        (net(nn.Sigmoid()), LABELS, "cross_entropy", "sigmoid stands before cross_entropy", ""),
        (
            net(nn.Sigmoid(), outputs=1),
            (Y > 0).astype(np.float32),
            "bce_with_logits",
            "sigmoid stands before bce_with_logits",
            "output",
        ),
        (net(outputs=1), (Y > 0).astype(np.float32), "bce", "outputs lie outside of [0, 1]", ""),
        (net(), LABELS, nn.NLLLoss(), "but the outputs are none", "output"),
        (net(outputs=1), Y[:, 0], "mse", "output has shape (16, 1), target (16,)", "loss"),
        (net(outputs=1), Y[:, 0], nn.functional.l1_loss, "output has shape (16, 1)", "loss"),
        (net(outputs=1), (Y > 0).astype(np.int64), "mse", "target of a regression is int64", ""),
        (net(), LABELS + 1, "cross_entropy", "classes go from 1 to 3, but there are scores", ""),
        (net(), LABELS - 1, "cross_entropy", "classes go from -1 to 1", "target"),
        (net(), LABELS[:, None], "cross_entropy", "classes have shape (16, 1)", "target"),
        (net(), LABELS, nn.CrossEntropyLoss(reduction="none"), "not one number", "loss"),
        (net(), LABELS, lambda y, t: y.sum() * float("nan"), "the loss is nan", "loss"),
        (net(), LABELS, lambda y, t: y.sum().detach(), "requires no gradient", "loss"),
        (net(), LABELS, lambda y, t: y.foo, "the loss fails", "loss"),
    ],
)
def test_losses(model: Any, target: Any, loss: Any, what: str, where: str) -> None:
    if "fails" in what:

        def loss(y: Any, t: Any) -> Any:
            raise ValueError("no such thing")

    assert_found(findings(model, (X, target), loss), what, where)


def test_ignored_classes_are_no_finding() -> None:
    labels = LABELS.copy()
    labels[:3] = -100
    assert findings(net(), (X, labels)).is_healthy


# ---- what happens --------------------------------------------------------------------------------


def test_forward_fails() -> None:
    assert_found(findings(nn.Linear(5, 3), (X, LABELS)), "the forward pass fails: Linear", "model")


def test_dead_units() -> None:
    model = net()
    model[0].bias.data[:6] = -100.0
    assert_found(findings(model, (X, LABELS)), "75% of the ReLU units", "1", "warning")

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, (1, 3))
            self.head = nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.head(nn.functional.relu(self.conv(x)).flatten(1))

    other = Functional()
    other.conv.bias.data[1:] = -100.0
    report = findings(other, (X[:, None, None], LABELS))
    assert_found(report, "75% of the ReLU units", "Functional", "warning")


@pytest.mark.parametrize("layer", [nn.Sigmoid(), nn.Tanh()])
def test_saturated(layer: nn.Module) -> None:
    gs.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), layer, nn.Linear(8, 3))
    model[0].weight.data[:] *= 100.0
    assert_found(findings(model, (X, LABELS)), "are saturated", "1", "warning")


def test_not_finite_within() -> None:
    model = net()
    model[2].weight.data[0, 0] = float("nan")
    report = findings(model, (X, LABELS))
    assert_found(report, "linear gives NaN", "2")
    assert_found(report, "the output has NaN or Inf", "output")


def test_constant_output() -> None:
    model = net()
    model[2].weight.data[:] = 0.0
    assert_found(findings(model, (X, LABELS)), "the same for every sample", "output", "warning")


class Chain(nn.Module):
    """Layers whose weights are scaled by a factor; one is not used."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        gs.manual_seed(0)
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(6)))
        self.head = nn.Linear(4, 3)
        self.unused = nn.Linear(2, 2)
        for layer in self.layers:
            layer.weight.data[:] *= factor

    def forward(self, x: Any) -> Any:
        return self.head(self.layers(x))


def test_gradients() -> None:
    report = findings(Chain(0.05), (X, LABELS))
    assert_found(report, "the loss does not depend on them", "unused.weight")
    assert_found(report, "they vanish", "layers.0.weight", "warning")
    assert_found(findings(Chain(15.0), (X, LABELS)), "they explode", "layers", "warning")
    dead = net()
    dead[0].bias.data[:] = -100.0
    assert_found(findings(dead, (X, LABELS)), "gradients of 0", "0.weight", "warning")
    bad = findings(net(), (X, LABELS), lambda y, t: (y * 0).sqrt().sum())
    assert_found(bad, "gradients with NaN or Inf", "0.weight")


@pytest.mark.parametrize(("lr", "what"), [(3.0, "one step changes weights by"), (1e-9, "e-")])
def test_learning_rates(lr: float, what: str) -> None:
    model = net()
    report = findings(model, (X, LABELS), optimizer=optim.Adam(model.parameters(), lr=lr))
    assert_found(report, what, f"lr {lr:g}", "warning")


def test_step_fails() -> None:
    model = net()
    optimizer = optim.Adam(model.parameters())
    model.double()
    optimizer.param_groups[0]["eps"] = "small"
    assert_found(findings(model, (X, LABELS), optimizer=optimizer), "a step fails", "optimizer")


# ---- the call ------------------------------------------------------------------------------------


def test_compiled_models_bring_optimiser_and_loss() -> None:
    model = net(nn.Softmax(1))
    model.compile("adam", "cross_entropy")
    report = gs.doctor(model, batch=(gs.tensor(X), gs.tensor(LABELS)))
    assert_found(report, "softmax stands before", "output")
    assert [each.severity for each in report.errors] == ["error"]
    assert gs.doctor(net(), batch=X).is_healthy
    with pytest.raises(TypeError, match="batch is missing"):
        gs.doctor(model)
    with pytest.raises(ValueError, match="did you mean 'mse'"):
        gs.doctor(net(), batch=(X, Y), loss="msee")
    with pytest.raises(ValueError, match="y has 3 samples, but x has 16"):
        gs.doctor(net(), batch=(X, Y[:3]), loss="mse")


def test_gradient_report() -> None:
    model = Chain(0.05)
    with pytest.raises(ValueError, match="no parameter has a gradient"):
        train.gradient_report(model)
    nn.CrossEntropyLoss()(model(gs.tensor(X)), gs.tensor(LABELS)).backward()
    report = train.gradient_report(model)
    rows = {row.name: row for row in report.rows}
    weight = model.head.weight
    norm = float(np.linalg.norm(weight.grad.numpy()))
    assert rows["head.weight"].norm == pytest.approx(norm, rel=1e-6)
    assert rows["head.weight"].rms == pytest.approx(norm / 12**0.5, rel=1e-6)
    expected = norm / float(np.linalg.norm(weight.detach().numpy()))
    assert rows["head.weight"].ratio == pytest.approx(expected, rel=1e-6)
    assert rows["head.weight"].verdict == "ok"
    assert rows["layers.0.weight"].verdict == "vanishing"
    assert rows["unused.bias"].verdict == "missing"
    assert not report.is_healthy
    assert "vanishing" in str(report)
    weight.grad.mul_(float("inf"))
    assert {row.name: row.verdict for row in train.gradient_report(model).rows}[
        "head.weight"
    ] == "not finite"
