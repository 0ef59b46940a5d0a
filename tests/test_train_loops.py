# SPDX-License-Identifier: Apache-2.0
"""Transfer, layer-wise training, sequences in pieces, GANs and contrastive divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import data, nn, optim, train
from gradsmith.nn import functional as F
from tests.nn_models import Net
from tests.test_train import X, Y, regressor

RNG = np.random.default_rng(0)

# ---- frozen parts --------------------------------------------------------------------------------


def test_freeze_and_unfreeze() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(gs.tensor(X)).sum().backward()
    before = model[0].weight.detach().numpy().copy()
    assert nn.utils.freeze(model[0]) is model[0]
    optimizer.step()  # the gradient that was there is gone
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), before)
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert nn.utils.unfreeze(model) is model
    assert all(p.requires_grad for p in model.parameters())


def test_set_trainable() -> None:
    model = Net()
    assert train.set_trainable(model, "head.*") == ["head.weight"]
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["head.weight"]
    assert train.set_trainable(model, ["*.bias", "encoder.?.scale"]) == [
        "encoder.0.scale",
        "encoder.0.fc.bias",
    ]
    with pytest.raises(ValueError, match=r"'tail\.\*' matches none of encoder\.0\.scale"):
        train.set_trainable(model, ["head.*", "tail.*"])
    assert not model.head.weight.requires_grad  # nothing was changed


def test_greedy_pretraining() -> None:
    gs.manual_seed(0)
    codes = RNG.normal(size=(60, 2)).astype(np.float32)
    x = np.tanh(codes @ RNG.normal(size=(2, 6)).astype(np.float32))
    layers = nn.Sequential(
        nn.Sequential(nn.Linear(6, 4), nn.Tanh()), nn.Dropout(0.5), nn.Linear(4, 2)
    )
    before = [p.detach().numpy().copy() for p in layers.parameters()]
    histories = train.greedy_pretrain(layers, x, epochs=30, optimizer=lambda p: optim.Adam(p, 0.02))
    assert len(histories) == 2
    for history in histories:
        assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    for old, p in zip(before, layers.parameters(), strict=True):
        assert not np.array_equal(old, p.detach().numpy())


def test_greedy_pretraining_with_decoders() -> None:
    gs.manual_seed(0)
    x = RNG.normal(size=(8, 1, 6, 6)).astype(np.float32)
    seen: list[tuple[int, ...]] = []

    def decoder(layer: Any, inputs: Any) -> nn.Module:
        seen.append(inputs.shape)
        return nn.ConvTranspose2d(2, inputs.shape[1], 3)

    layers = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3)]
    train.greedy_pretrain(layers, x, decoder=decoder, epochs=1)
    assert seen == [(8, 1, 6, 6), (8, 2, 4, 4)]
    with pytest.raises(ValueError, match="give a function as decoder"):
        train.greedy_pretrain(layers, x)
    with pytest.raises(ValueError, match="no layer has parameters"):
        train.greedy_pretrain([nn.ReLU()], x)


# ---- sequences -----------------------------------------------------------------------------------


def test_truncated_backpropagation() -> None:
    gs.manual_seed(0)
    lstm = nn.LSTM(2, 3, batch_first=True)
    x, y = gs.randn(4, 10, 2), gs.randn(4, 10, 3)
    whole, (h, c) = lstm(x)
    pieces = train.truncated_bptt(x, y, length=4)
    assert len(pieces) == 3
    outputs, sizes = [], []
    for x_piece, y_piece, state in pieces:
        sizes.append(x_piece.shape[1])
        assert y_piece.shape == (4, x_piece.shape[1], 3)
        output, pieces.state = lstm(x_piece, state)
        outputs.append(output)
        if state is not None:
            assert isinstance(state, tuple)
            assert not state[0].requires_grad
        assert pieces.state[0].requires_grad
    assert sizes == [4, 4, 2]
    joined = gs.cat(outputs, 1).detach().numpy()
    np.testing.assert_allclose(joined, whole.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        pieces.state[1].detach().numpy(), c.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    ((piece, state),) = train.truncated_bptt(x, length=99, dim=0, state=h)
    assert piece.shape == x.shape
    assert not state.requires_grad


def test_truncation_refuses() -> None:
    x = gs.zeros(2, 5)
    with pytest.raises(ValueError, match="length is 0"):
        train.truncated_bptt(x, length=0)
    with pytest.raises(ValueError, match=r"have \[5, 4\] steps"):
        train.truncated_bptt(x, x[:, 1:], length=2)
    with pytest.raises(ValueError, match="got no tensors"):
        train.truncated_bptt(length=2)
    with pytest.raises(TypeError, match="got a ndarray"):
        train.truncated_bptt(X, length=2)
    with pytest.raises(IndexError, match="dim 2 is out of range"):
        train.truncated_bptt(x, length=2, dim=2)


def test_teacher_forcing() -> None:
    truth, prediction = gs.ones(1000, 2, dtype="int64"), gs.zeros(1000, 2, dtype="int64")
    gs.manual_seed(0)
    mixed = train.teacher_forcing(truth, prediction, 0.3).numpy()
    assert (mixed[:, 0] == mixed[:, 1]).all()  # a coin per sample
    assert 0.25 < mixed.mean() < 0.35
    assert train.teacher_forcing(truth, prediction, 1.0).numpy().all()
    assert not train.teacher_forcing(truth, prediction, 0.0).numpy().any()
    draws = [
        train.teacher_forcing(truth, prediction, 0.5, gs.Generator().manual_seed(s)).tolist()
        for s in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]
    soft = gs.zeros(8, 2, requires_grad=True)
    train.teacher_forcing(gs.ones(8, 2), soft, 0.5).sum().backward()
    assert set(soft.grad.numpy().reshape(-1)) == {0.0, 1.0}


def test_teacher_forcing_schedules() -> None:
    probability = train.teacher_forcing_probability
    assert probability(30, "linear", k=100) == pytest.approx(0.7)
    assert probability(300, "linear", k=100, minimum=0.1) == 0.1
    assert probability(3, "exponential", k=0.5) == 0.125
    assert probability(0, k=9.0) == pytest.approx(0.9)
    assert probability(9, k=9.0) == pytest.approx(9 / (9 + np.e))
    assert probability(10**9, k=1.0) < 1e-200
    for schedule, k in (("cosine", 1.0), ("exponential", 1.5), ("linear", 0.0), ("inverse_sigmoid", 0.5)):  # fmt: skip # noqa: E501
        with pytest.raises(ValueError, match=f"schedule is '{schedule}' with k="):
            probability(1, schedule, k)
    with pytest.raises(ValueError, match=r"probability is 1\.5"):
        train.teacher_forcing(gs.ones(1), gs.ones(1), 1.5)
    with pytest.raises(ValueError, match=r"truth has shape \(2,\)"):
        train.teacher_forcing(gs.ones(2), gs.ones(3), 0.5)
    with pytest.raises(TypeError, match="truth is int64"):
        train.teacher_forcing(gs.ones(2, dtype="int64"), gs.ones(2), 0.5)


# ---- GANs ----------------------------------------------------------------------------------------


def trainer(**options: Any) -> train.AdversarialTrainer:
    gs.manual_seed(0)
    generator = nn.Linear(2, 1)
    discriminator = nn.Sequential(nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    return train.AdversarialTrainer(
        generator,
        discriminator,
        optim.Adam(generator.parameters(), lr=0.02, betas=(0.5, 0.9)),
        optim.Adam(discriminator.parameters(), lr=0.02, betas=(0.5, 0.9)),
        noise=lambda count: gs.randn(count, 2),
        **options,
    )


REAL = (RNG.normal(size=(256, 1)) * 0.5 + 3.0).astype(np.float32)


def test_generator_learns_the_mean() -> None:
    gan = trainer()
    history = gan.fit(REAL, batch_size=64, epochs=40, seed=0, verbose=0).history
    assert set(history) == {"g_loss", "d_loss"}
    with gs.no_grad():
        fake = gan.generator(gs.randn(1000, 2)).numpy()
    assert abs(fake.mean() - 3.0) < 0.5


def test_turns() -> None:
    turns: list[str] = []
    gan = trainer(n_critic=3, loss=F.gan_wasserstein_loss, penalty=F.gradient_penalty)
    critic, maker = gan.discriminator_optimizer, gan.generator_optimizer
    for name, optimizer in (("d", critic), ("g", maker)):
        step = optimizer.step
        optimizer.step = lambda *a, n=name, s=step: (turns.append(n), s(*a))[1]
    pairs = data.DataLoader(data.TensorDataset(REAL[:56], REAL[:56]), 8)
    seen: list[Any] = []
    note = train.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(set(logs)))
    history = gan.fit(pairs, callbacks=[note], verbose=0)
    assert "".join(turns) == "dddgdddgd"
    assert seen[0] == {"d_loss"}
    assert seen[2] == {"d_loss", "g_loss"}
    assert history.epoch == [0]


def test_generator_step_leaves_the_discriminator_alone() -> None:
    gan = trainer()
    gan.discriminator_step(gs.tensor(REAL[:8]))
    grads = [p.grad.numpy().copy() for p in gan.discriminator.parameters()]
    before = [p.detach().numpy().copy() for p in gan.discriminator.parameters()]
    gan.generator_step(gs.tensor(REAL[:8]))
    for p, grad, old in zip(gan.discriminator.parameters(), grads, before, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), grad)
        np.testing.assert_array_equal(p.detach().numpy(), old)


def test_adversarial_training_stops_and_refuses() -> None:
    def stop(batch: int, logs: Any) -> None:
        gan.generator.stop_training = True

    gan = trainer()
    callback = train.LambdaCallback(on_train_batch_end=stop)
    assert len(gan.fit(REAL, epochs=5, callbacks=[callback], verbose=0).epoch) == 1
    with pytest.raises(ValueError, match="n_critic is 0"):
        trainer(n_critic=0)
    with pytest.raises(ValueError, match="x has no samples"):
        gan.fit(REAL[:0], verbose=0)


# ---- contrastive divergence ----------------------------------------------------------------------


class Machine:
    """A restricted Boltzmann machine of binary units."""

    def __init__(self) -> None:
        gs.manual_seed(0)
        self.weight = gs.randn(5, 3, requires_grad=True)
        self.visible = gs.zeros(5, requires_grad=True)
        self.hidden = gs.zeros(3, requires_grad=True)
        self.seen: list[Any] = []

    def free_energy(self, v: Any) -> Any:
        return -(v @ self.visible) - F.softplus(v @ self.weight + self.hidden).sum(1)

    def sample_hidden(self, v: Any) -> Any:
        assert not gs.is_grad_enabled()
        return gs.bernoulli((v @ self.weight + self.hidden).sigmoid())

    def sample_visible(self, h: Any) -> Any:
        self.seen.append(h)
        return gs.bernoulli((h @ self.weight.T + self.visible).sigmoid())

    def sampled(self, data: Any, **options: Any) -> Any:
        return train.contrastive_divergence(
            self.free_energy, self.sample_hidden, self.sample_visible, data, **options
        )


V = gs.tensor((RNG.uniform(size=(7, 5)) < 0.5).astype(np.float32))


@pytest.mark.parametrize("k", [1, 3])
def test_gradient_is_that_of_contrastive_divergence(k: int) -> None:
    machine = Machine()
    loss, end = machine.sampled(V, k=k)
    loss.backward()
    assert len(machine.seen) == k
    assert set(end.numpy().reshape(-1)) <= {0.0, 1.0}
    w, c = machine.weight.detach().numpy(), machine.hidden.detach().numpy()

    def statistics(v: Any) -> Any:
        return v.T @ (1 / (1 + np.exp(-(v @ w + c)))) / len(v)

    expected = statistics(end.numpy()) - statistics(V.numpy())
    np.testing.assert_allclose(machine.weight.grad.numpy(), expected, rtol=1e-4, atol=1e-6)
    expected = end.numpy().mean(0) - V.numpy().mean(0)
    np.testing.assert_allclose(machine.visible.grad.numpy(), expected, atol=1e-6)


def test_persistent_chains() -> None:
    machine = Machine()
    chain = gs.zeros(4, 5)
    loss, end = machine.sampled(V, chain=chain)
    assert end.shape == (4, 5)
    assert not end.requires_grad
    assert loss.item() == pytest.approx(
        machine.free_energy(V).mean().item() - machine.free_energy(end).mean().item(), rel=1e-5
    )
    with pytest.raises(ValueError, match="k is 0"):
        machine.sampled(V, k=0)
    with pytest.raises(ValueError, match=r"free_energy gave shape \(\), expected \(7,\)"):
        train.contrastive_divergence(
            lambda v: v.sum(), machine.sample_hidden, machine.sample_visible, V
        )


def test_frozen_layers_train_no_further_with_fit() -> None:
    model = regressor()
    nn.utils.freeze(model)
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        model.fit(X, Y, verbose=0)
