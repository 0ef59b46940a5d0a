# SPDX-License-Identifier: Apache-2.0
"""Models made of symbols: values, gradients, shared layers, names, files, errors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn


def two_inputs() -> nn.Graph:
    image, label = nn.Input((3, 6, 6), name="image"), nn.Input((4,), name="label")
    conv = nn.Conv2d(3, 3, 3, padding=1)
    x = conv(conv(image)).relu() + image
    x = nn.Lambda(lambda a, b: gs.cat([a, b], 1))(nn.Flatten()(x), label)
    return nn.Graph([image, label], nn.Linear(112, 2)(x))


def test_computes_what_its_modules_do() -> None:
    model = two_inputs()
    image, label = gs.randn(5, 3, 6, 6, requires_grad=True), gs.randn(5, 4)
    got = model(image, label)
    conv, linear = model.conv2d, model.linear
    x = (conv(conv(image)).relu() + image).flatten(1)
    want = linear(gs.cat([x, label], 1))
    assert got.tolist() == want.tolist()
    got.sum().backward()
    mine = [each.grad.tolist() for each in (image, *model.parameters())]
    image.grad = None
    model.zero_grad()
    want.sum().backward()
    assert mine == [each.grad.tolist() for each in (image, *model.parameters())]


def test_names_and_shared_layers() -> None:
    model = two_inputs()
    keys = ["conv2d.weight", "conv2d.bias", "linear.weight", "linear.bias"]
    assert list(model.state_dict()) == keys
    assert [name for name, _ in model.named_children()] == ["conv2d", "flatten", "lambda", "linear"]
    x = nn.Input((4,))
    several = nn.Graph(x, nn.Linear(4, 4)(nn.Linear(4, 4)(x)))
    assert [name for name, _ in several.named_children()] == ["linear", "linear_1"]
    assert repr(several).startswith("Graph(\n  (linear): Linear(in_features=4")


def test_outputs_keep_their_structure() -> None:
    x = nn.Input((4,))
    hidden = nn.Linear(4, 3)(x)
    y = nn.Linear(3, 2)(hidden)
    given = gs.randn(5, 4)
    named = nn.Graph(x, {"y": y, "hidden": hidden})(given)
    listed = nn.Graph(x, [y, hidden])(given)
    assert named["y"].tolist() == listed[0].tolist()
    assert named["hidden"].shape == listed[1].shape == (5, 3)
    assert isinstance(nn.Graph(x, (y, x))(given), tuple)
    features = nn.Graph(x, hidden)
    rest = nn.Graph(hidden, y)
    assert rest(features(given)).tolist() == listed[0].tolist()
    assert [name for name, _ in rest.named_children()] == ["linear"]


def test_operators() -> None:
    x = nn.Input((3,))
    y = (1 - x) * 2 + x / 4 - (-x) ** 2 + 3 / (x + 5)
    y = (y @ gs.ones(3, 3))[:, 1:] * x[:, :2].tanh() + 2 ** x[:, :2] - gs.ones(2)
    model = nn.Graph(x, y)
    a = np.random.default_rng(0).standard_normal((4, 3))
    b = (1 - a) * 2 + a / 4 - a**2 + 3 / (a + 5)
    want = (b @ np.ones((3, 3)))[:, 1:] * np.tanh(a[:, :2]) + 2 ** a[:, :2] - 1
    got = model(gs.tensor(a.astype(np.float32)))
    np.testing.assert_allclose(got.numpy(), want, atol=1e-4)
    assert list(model.state_dict()) == []
    left = nn.Graph(x, 2 * x + 1)
    assert left(gs.ones(1, 3)).tolist() == [[3.0] * 3]


def test_modules_with_several_results() -> None:
    x = nn.Input((None, 5))
    y, (h, _) = nn.LSTM(5, 6, batch_first=True)(x)
    assert y.shape == (None, 8, 6)
    model = nn.Graph(x, nn.Linear(6, 2)(h[0]) + y[:, -1, :2])
    assert model(gs.ones(3, 7, 5)).shape == (3, 2)
    assert nn.Graph(y, y * 2)(gs.ones(3, 7, 6)).shape == (3, 7, 6)
    first, second = nn.Parallel(nn.Identity(), nn.Identity())(x)
    assert nn.Graph(x, first + second)(gs.ones(1, 2, 5)).tolist() == [[[2.0] * 5] * 2]


def test_symbols_in_lists_and_keywords() -> None:
    x, y = nn.Input((3, 4)), nn.Input((3, 4))
    joined = nn.Lambda(lambda pair: gs.cat(pair, 2))([x, y])
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    z, _ = attention(query=joined, key=joined, value=joined)
    model = nn.Graph([x, y], z)
    assert [name for name, _ in model.named_children()] == ["lambda", "multiheadattention"]
    a, b = gs.randn(2, 3, 4), gs.randn(2, 3, 4)
    c = gs.cat([a, b], 2)
    assert model(a, b).tolist() == attention(c, c, c)[0].tolist()
    largest = nn.Lambda(lambda given: gs.max(given, 1))(x)
    assert nn.Graph(x, largest[0])(a).tolist() == gs.amax(a, 1).tolist()


def test_recording_changes_no_module() -> None:
    norm, drop = nn.BatchNorm1d(4), nn.Dropout(0.5)
    drop.eval()
    state = gs.random.get_rng_state()
    x = nn.Input((4,))
    model = nn.Graph(x, drop(norm(x)))
    assert norm.training
    assert not drop.training
    assert norm.num_batches_tracked.item() == 0
    assert np.array_equal(gs.random.get_rng_state(), state)
    model(gs.randn(3, 4))
    assert norm.num_batches_tracked.item() == 1
    assert model.eval()(gs.ones(1, 4)).shape == (1, 4)
    assert not norm.training


def test_ids_and_nested_models() -> None:
    ids = nn.Input((6,), dtype="int64")
    encoder = nn.Sequential(nn.Embedding(9, 4), nn.Flatten())
    inner = nn.Graph(ids, encoder(ids))
    model = nn.Graph(ids, nn.Linear(24, 2)(inner(ids)))
    assert next(iter(model.state_dict())) == "graph.sequential.0.weight"
    assert model(gs.zeros(3, 6, dtype=gs.int64)).shape == (3, 2)


def test_copies_files_and_training(tmp_path: Path) -> None:
    model = two_inputs()
    other = copy.deepcopy(model)
    inputs = gs.randn(8, 3, 6, 6), gs.randn(8, 4)
    assert other(*inputs).tolist() == model(*inputs).tolist()
    other.linear.weight.data = other.linear.weight.data * 2
    assert other(*inputs).tolist() != model(*inputs).tolist()
    gs.save(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(gs.load(tmp_path / "model.safetensors"))
    assert other(*inputs).tolist() == model(*inputs).tolist()
    model.set_submodule("linear", nn.Linear(112, 5))
    assert model(*inputs).shape == (8, 5)
    other.compile(gs.optim.SGD(other.parameters(), lr=0.01), nn.CrossEntropyLoss())
    history = other.fit(list(inputs), gs.arange(8) % 2, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    text: list[str] = []
    other.summary([(1, 3, 6, 6), (1, 4)], print_fn=text.append)
    (line,) = (each for each in text[0].splitlines() if "linear (Linear)" in each)
    assert "(1, 2)" in line


def test_shapes_of_symbols() -> None:
    x = nn.Input((3, 8, 8))
    y = nn.Conv2d(3, 5, 3)(x)
    assert x.shape == (None, 3, 8, 8)
    assert y.shape == (None, 5, 6, 6)
    assert y.ndim == 4
    assert repr(y) == "Symbol(conv2d, shape=(None, 5, 6, 6))"
    with pytest.raises(TypeError, match="gives a tuple, which has no shape"):
        _ = nn.LSTM(3, 4)(nn.Input((2, 3))).shape


A, B = nn.Input((4,), name="a"), nn.Input((3,), name="b")


def shared() -> Any:
    return nn.Linear(4, 2)(A) + nn.Linear(3, 2)(B)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Input(4), TypeError, "Input: shape is a int"),
        (lambda: nn.Input((4.0,)), TypeError, "shape holds a float"),
        (lambda: nn.Input((0,)), ValueError, r"shape is \(0,\), expected positive ints"),
        (lambda: nn.Graph(A, shared()), ValueError, r"need input 'b' \(None, 3\), which is not am"),
        (
            lambda: nn.Graph([A, B], nn.Linear(4, 2)(A)),
            ValueError,
            r"input 'b' \(None, 3\) leads to no output",
        ),
        (lambda: nn.Graph([A, A], A + 1), ValueError, "inputs holds a symbol twice"),
        (lambda: nn.Graph([], A), ValueError, "inputs holds no symbol"),
        (lambda: nn.Graph(A, gs.ones(2)), TypeError, "outputs is or holds a Tensor"),
        (lambda: nn.Linear(3, 2)(A), ValueError, "Linear 3 -> 2: input has 4 features"),
        (lambda: A + B, ValueError, "add: .*3"),
        (lambda: A * nn.Parameter(gs.ones(4)), TypeError, "a Parameter is used in a graph outside"),
        (lambda: bool(A), TypeError, "a is a symbol, whose truth is not known"),
        (lambda: list(A), TypeError, "a is a symbol; the size of its batch"),
        (lambda: A.nothing, AttributeError, "a Symbol has no attribute 'nothing'"),
        (lambda: gs.cat([A, B], 1), TypeError, "is a Symbol, expected a tensor"),
        (
            lambda: nn.Graph([A, B], shared())(gs.ones(2, 4)),
            ValueError,
            r"Graph: got 1 inputs, expected 2 \(a, b\)",
        ),
        (
            lambda: nn.Graph([A, B], shared())(gs.ones(2, 4), gs.ones(2, 4)),
            ValueError,
            r"Graph: input 'b' has shape \(2, 4\), expected \(N, 3\)",
        ),
        (
            lambda: nn.Graph([A, B], shared())(gs.ones(2, 4), gs.ones(5, 3)),
            ValueError,
            "Graph: add: ",
        ),
        (
            lambda: nn.Graph(A, nn.Linear(4, 2)(A))(gs.ones(2, 4, dtype=gs.float64)),
            TypeError,
            "linear .Linear 4 -> 2",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
