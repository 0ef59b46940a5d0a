# SPDX-License-Identifier: Apache-2.0
"""Whole training steps: zero_grad, forward, loss, backward and optimiser, Python included.

Both libraries run the same program on the same numbers. PyTorch chooses the best of its default and
fused optimisers and, for images, of both memory formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench import models
from bench.problem import Problem, problem_list

Arrays = tuple[np.ndarray, np.ndarray]
IMAGES = {"lenet": (1, 28, 28), "cifar": (3, 32, 32), "resnet20": (3, 32, 32), "dcgan": (1, 28, 28)}
FLAT = {"xor": 2, "mlp": 784, "autoencoder": 784}
CLASSES = {"char_lstm": 96, "transformer": 96}


def _batch(model: str, size: int, length: int) -> Arrays:
    """Return inputs and targets of one batch."""
    rng = np.random.default_rng(0)
    if model in IMAGES:
        x = rng.standard_normal((size, *IMAGES[model])).astype(np.float32)
        latent = rng.standard_normal((size, 100)).astype(np.float32)
        return (x, latent) if model == "dcgan" else (x, rng.integers(0, 10, size))
    if model in CLASSES:
        tokens = rng.integers(0, CLASSES[model], (size, length + 1))
        return tokens[:, :-1].copy(), tokens[:, 1:].reshape(-1).copy()
    x = rng.uniform(size=(size, FLAT[model])).astype(np.float32)
    if model == "xor":
        return x, ((x[:, :1] > 0.5) != (x[:, 1:] > 0.5)).astype(np.float32)
    return x, x if model == "autoencoder" else rng.integers(0, 10, size)


def _step(lib: Any, model: str, network: Any, make: Callable[[Any], Any], data: Any) -> Any:
    """Return a function that takes one training step and gives its loss."""
    x, target = data
    functional = lib.nn.functional
    if model == "dcgan":
        return _adversarial_step(lib, network, make, x, target)
    loss_of = {
        "xor": functional.binary_cross_entropy_with_logits,
        "autoencoder": functional.mse_loss,
    }.get(model, functional.cross_entropy)
    optimizer = make(network.parameters())

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(network(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _adversarial_step(lib: Any, network: Any, make: Any, images: Any, latent: Any) -> Any:
    generator, discriminator = network.generator, network.discriminator
    loss_of = lib.nn.functional.binary_cross_entropy_with_logits
    of_generator, of_discriminator = make(generator.parameters()), make(discriminator.parameters())
    real, fake = lib.ones_like(latent[:, :1]), lib.zeros_like(latent[:, :1])

    def step() -> Any:
        of_discriminator.zero_grad()
        made = generator(latent)
        loss = loss_of(discriminator(images), real)
        loss = loss + loss_of(discriminator(made.detach()), fake)
        loss.backward()
        of_discriminator.step()
        of_generator.zero_grad()
        fooled = loss_of(discriminator(made), real)
        fooled.backward()
        of_generator.step()
        return loss + fooled.detach()

    return step


def _check(model: str, optimizer: str, options: dict[str, float], arrays: Arrays) -> None:
    """Compare three steps with those that the reference kernels take in float64."""
    state = getattr(models, model)(gs).state_dict()
    losses = []
    for dtype in (gs.float32, gs.float64):
        network = getattr(models, model)(gs)
        network.load_state_dict(state)
        network.to(dtype)
        data = [gs.tensor(a if a.dtype.kind == "i" else a.astype(dtype)) for a in arrays]
        step = _step(gs, model, network, _maker(gs, optimizer, options), data)
        with gs.config.isa("reference" if dtype == gs.float64 else gs.config.get_isa()):
            losses.append([float(step().item()) for _ in range(3)])
    assert np.allclose(losses[0], losses[1], rtol=2e-4), losses


def _maker(lib: Any, name: str, options: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda parameters: getattr(lib.optim, name)(parameters, **options)


def problems(against: list[str]) -> Iterator[Problem]:
    for label, text in problem_list("training"):
        model, size, length, optimizer, rate = text.split()
        options = {"lr": float(rate)} | ({"momentum": 0.9} if optimizer == "SGD" else {})
        arrays = _batch(model, int(size), int(length))
        network = getattr(models, model)(gs)
        data = [gs.from_numpy(each) for each in arrays]
        problem = Problem(
            "training",
            label,
            ours=_step(gs, model, network, _maker(gs, optimizer, options), data),
            check=lambda _, a=(model, optimizer, options, arrays): _check(*a),
        )
        if "torch" in against:
            _add_torch(problem, model, optimizer, options, arrays)
        yield problem


def _add_torch(
    problem: Problem, model: str, optimizer: str, options: dict[str, Any], arrays: Arrays
) -> None:
    import torch

    problem.peers["torch"] = {}
    formats = ("contiguous", "channels_last") if model in IMAGES else ("contiguous",)
    for layout in formats:
        for setting, choice in {"default": {}, "fused": {"fused": True}}.items():
            network = getattr(models, model)(torch)
            data = [torch.from_numpy(each.copy()) for each in arrays]
            if layout == "channels_last":
                network = network.to(memory_format=torch.channels_last)
                data[0] = data[0].contiguous(memory_format=torch.channels_last)
            make = _maker(torch, optimizer, options | choice)
            name = f"{layout}, {setting}"
            problem.peers["torch"][name] = _step(torch, model, network, make, data)
