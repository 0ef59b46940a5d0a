# SPDX-License-Identifier: Apache-2.0
"""Recurrent modules: names, initialisation, states, unbatched input, options and errors."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from gradsmith.nn.rnn import GRU, LSTM, RNN
from gradsmith.nn.rnn_cells import GRUCell, LSTMCell, RNNCell
from gradsmith.nn.utils.rnn import pack_padded_sequence
from gradsmith.ops.rnn import GATES
from gradsmith.random import manual_seed
from gradsmith.tensor import Tensor
from tests.reference import rnn as reference

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 2, 5
MODULES: dict[str, Any] = {"rnn_tanh": RNN, "lstm": LSTM, "gru": GRU}


@pytest.mark.parametrize("cell", list(MODULES))
def test_module_names_and_initialisation(cell: str) -> None:
    manual_seed(0)
    module = MODULES[cell](INPUTS, 4, num_layers=2, bidirectional=True)
    names = [name for name, _ in module.named_parameters()]
    expected = [
        f"{kind}_l{layer}{suffix}"
        for layer in range(2)
        for suffix in ("", "_reverse")
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert names == expected
    rows = GATES[cell] * 4
    assert module.weight_ih_l0.shape == (rows, INPUTS)
    assert module.weight_ih_l1_reverse.shape == (rows, 8)
    assert module.weight_hh_l1.shape == (rows, 4)
    values = np.concatenate([each.detach().numpy().ravel() for each in module.parameters()])
    assert 0.45 < np.abs(values).max() <= 0.5
    assert abs(values.mean()) < 0.1
    assert 0.25 < values.std() < 0.33  # 0.5 / sqrt(3) of the uniform distribution


@pytest.mark.parametrize("cell", list(MODULES))
def test_module_defaults_to_zero_states(cell: str) -> None:
    module = MODULES[cell](INPUTS, 4, bias=False)
    x = Tensor(np.random.default_rng(0).standard_normal((STEPS, BATCH, INPUTS)).astype(np.float32))
    zeros = Tensor(np.zeros((1, BATCH, 4), np.float32))
    y, _ = module(x)
    same, _ = module(x, (zeros, zeros) if cell == "lstm" else zeros)
    assert np.array_equal(y.detach().numpy(), same.detach().numpy())
    assert y.shape == (STEPS, BATCH, 4)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", list(MODULES))
def test_module_takes_input_without_a_batch(cell: str, batch_first: bool) -> None:
    module = MODULES[cell](INPUTS, 4, num_layers=2, batch_first=batch_first)
    x = np.random.default_rng(0).standard_normal((STEPS, INPUTS)).astype(np.float32)
    y, last = module(Tensor(x))
    batched, batched_last = module(Tensor(x[None] if batch_first else x[:, None]))
    assert y.shape == (STEPS, 4)
    assert np.array_equal(y.detach().numpy(), batched.detach().numpy().reshape(STEPS, 4))
    pairs = zip(last, batched_last, strict=True) if cell == "lstm" else [(last, batched_last)]
    for one, other in pairs:
        assert one.shape == (2, 4)
        assert np.array_equal(one.detach().numpy(), other.detach().numpy()[:, 0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_state_can_be_carried_on(batch_first: bool) -> None:
    module = LSTM(INPUTS, 4, num_layers=2, batch_first=batch_first)
    x = np.random.default_rng(0).standard_normal((STEPS, STEPS, INPUTS)).astype(np.float32)
    whole, _ = module(Tensor(x))
    cut = (slice(None), slice(0, 2)) if batch_first else (slice(0, 2),)
    rest = (slice(None), slice(2, None)) if batch_first else (slice(2, None),)
    first, state = module(Tensor(x[cut]))
    second, _ = module(Tensor(x[rest]), state)
    axis = 1 if batch_first else 0
    both = np.concatenate([first.detach().numpy(), second.detach().numpy()], axis=axis)
    assert np.array_equal(both, whole.detach().numpy())


def test_dropout_acts_between_layers_in_training_alone() -> None:
    module = GRU(INPUTS, 8, num_layers=2, dropout=0.5)
    x = Tensor(np.random.default_rng(0).standard_normal((STEPS, BATCH, INPUTS)).astype(np.float32))
    runs = [module(x)[0].detach().numpy() for _ in range(2)]
    assert not np.array_equal(*runs)
    module.eval()
    runs = [module(x)[0].detach().numpy() for _ in range(2)]
    assert np.array_equal(*runs)


@pytest.mark.parametrize(
    ("module", "cell"),
    [(RNNCell, "rnn_tanh"), (LSTMCell, "lstm"), (GRUCell, "gru")],
)
def test_cell_modules(module: Any, cell: str) -> None:
    instance = module(INPUTS, HIDDEN)
    assert [name for name, _ in instance.named_parameters()] == [
        "weight_ih",
        "weight_hh",
        "bias_ih",
        "bias_hh",
    ]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, INPUTS)).astype(np.float32)
    states = [rng.standard_normal((BATCH, HIDDEN)).astype(np.float32) for _ in range(2)]
    hx = tuple(map(Tensor, states)) if cell == "lstm" else Tensor(states[0])
    got = instance(Tensor(x), hx)
    got = got[0] if cell == "lstm" else got
    weights = [each.detach().numpy().astype(np.float64) for each in instance.parameters()]
    operand = [x[None], *states[: 2 if cell == "lstm" else 1], *weights]
    want = getattr(reference, cell)(*operand)[1]
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-6)
    single = instance(Tensor(x[0]))
    zero = instance(Tensor(x[:1]))
    if cell == "lstm":
        single, zero = single[0], zero[0]
    assert np.array_equal(single.detach().numpy(), zero.detach().numpy()[0])


def test_relu_modules() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((STEPS, BATCH, INPUTS)).astype(np.float32))
    assert (RNN(INPUTS, 4, nonlinearity="relu")(x)[0].detach().numpy() >= 0).all()
    assert (RNNCell(INPUTS, 4, nonlinearity="relu")(x[0]).detach().numpy() >= 0).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LSTM(0, 4), ValueError, "input_size is 0"),
        (lambda: LSTM(2, 0), ValueError, "hidden_size is 0"),
        (lambda: GRU(2, 4, num_layers=0), ValueError, "num_layers is 0"),
        (lambda: GRU(2, 4.0), TypeError, "hidden_size is a float"),
        (lambda: GRU(2, 4, 2, dropout=1.5), ValueError, "dropout is 1.5"),
        (lambda: RNN(2, 4, nonlinearity="gelu"), ValueError, "nonlinearity is 'gelu'"),
        (lambda: RNNCell(2, 4, nonlinearity="gelu"), ValueError, "nonlinearity is 'gelu'"),
    ],
)
def test_wrong_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_dropout_without_layers_to_act_between() -> None:
    with pytest.warns(UserWarning, match="GRU: dropout is 0.5, but it acts between layers"):
        GRU(2, 4, dropout=0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda: (Tensor(np.ones((3, 2, 5), np.float32)),), ValueError, "input has 5 features"),
        (lambda: (Tensor(np.ones(2, np.float32)),), ValueError, "expected 2 or 3 dimensions"),
        (lambda: ([1.0, 2.0],), TypeError, "input is a list"),
        (
            lambda: (Tensor(np.ones((3, 2, 2), np.float32)), Tensor(np.ones(3, np.float32))),
            TypeError,
            "expected a pair",
        ),
        (
            lambda: (
                Tensor(np.ones((3, 2, 2), np.float32)),
                (Tensor(np.ones((1, 2, 4), np.float32)), Tensor(np.ones((1, 3, 4), np.float32))),
            ),
            ValueError,
            r"c_0 has shape \(1, 3, 4\), expected \(1, 2, 4\)",
        ),
        (
            lambda: (
                Tensor(np.ones((3, 2), np.float32)),
                (Tensor(np.ones((1, 1, 4), np.float32)), Tensor(np.ones((1, 4), np.float32))),
            ),
            ValueError,
            "h_0 has shape .*expected 2 dimensions",
        ),
    ],
)
def test_wrong_module_inputs(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LSTM(2, 4)(*arguments())


def test_training_leaves_no_cycles() -> None:
    module = LSTM(INPUTS, 4)
    gc.disable()
    try:
        x = Tensor(np.ones((STEPS, BATCH, INPUTS), np.float32))
        y, _ = module(x)
        reference_to_y = weakref.ref(y)
        y.sum().backward()
        del y
        assert reference_to_y() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("cell", list(MODULES))
@pytest.mark.parametrize("is_packed", [False, True])
def test_last_states_share_no_memory_with_outputs_or_first_states(
    cell: str, is_packed: bool
) -> None:
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((STEPS, BATCH, INPUTS)).astype(np.float32))
    first = [Tensor(np.ones((1, BATCH, HIDDEN), np.float32)) for _ in range(2)]
    given = tuple(first) if cell == "lstm" else first[0]
    data = pack_padded_sequence(x, [STEPS] * BATCH) if is_packed else x
    y, last = MODULES[cell](INPUTS, HIDDEN)(data, given)
    arrays = [each.detach().numpy() for each in (last if cell == "lstm" else (last,))]
    outputs = (y.data if is_packed else y).detach().numpy()
    for array in arrays:
        assert array.shape == (1, BATCH, HIDDEN)
        for other in (outputs, *(each.numpy() for each in first)):
            assert not np.shares_memory(array, other)
    np.testing.assert_array_equal(arrays[0][0], outputs.reshape(STEPS, BATCH, HIDDEN)[-1])


@pytest.mark.torch
@pytest.mark.parametrize("cell", list(MODULES))
def test_weights_of_torch_give_its_outputs_and_gradients(cell: str) -> None:
    import torch

    options = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    theirs = getattr(torch.nn, MODULES[cell].__name__)(INPUTS, HIDDEN, **options)
    ours = MODULES[cell](INPUTS, HIDDEN, **options)
    ours.load_state_dict({k: Tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, STEPS, INPUTS)).astype(np.float32)
    dy = rng.standard_normal((BATCH, STEPS, 2 * HIDDEN)).astype(np.float32)
    want, _ = theirs(torch.tensor(x))
    want.backward(torch.tensor(dy))
    got, _ = ours(Tensor(x))
    got.backward(Tensor(dy))
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=1e-6)
    for name, parameter in ours.named_parameters():
        expected = theirs.get_parameter(name).grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), expected, atol=1e-5, err_msg=name)
