# SPDX-License-Identifier: Apache-2.0
"""Training a restricted Boltzmann machine, alone or as a layer of a deep model."""

from __future__ import annotations

from itertools import pairwise

from gradsmith import nn
from gradsmith.models import RBM
from gradsmith.nn import functional as F
from gradsmith.ops.random import bernoulli
from gradsmith.optim import SGD
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.train import contrastive_divergence

BATCH = 32


class Chains(nn.Module):
    """The states of Markov chains that go on from step to step; saved with the run."""

    states: Tensor

    def __init__(self, count: int, units: int) -> None:
        """Begin with fair coins (count, units)."""
        super().__init__()
        self.register_buffer("states", bernoulli(Tensor([[0.5]]).expand(count, units).contiguous()))


def train_rbm(
    run: Run,
    machine: RBM,
    data: Tensor,
    *,
    epochs: int,
    stage: str = "",
    k: int = 1,
    persistent: bool = False,
    lr: float = 0.5,
) -> None:
    """Train by contrastive divergence of k steps, from the data or from chains that persist."""
    optimizer = SGD(machine.parameters(), lr=lr, momentum=0.5, weight_decay=2e-4)
    chains = Chains(BATCH, len(machine.visible_bias)).to(run.device)

    def step(batch: Tensor) -> dict[str, float]:
        loss, end = contrastive_divergence(
            machine.free_energy,
            machine.sample_hidden,
            machine.sample_visible,
            batch,
            k,
            chains.states if persistent else None,
        )
        minimise(optimizer, loss)
        if persistent:
            chains.states = end
        return {"reconstruction error": F.mse_loss(machine.reconstruct(batch), batch).item()}

    states = {"machine": machine, "optimizer": optimizer, "chains": chains}
    train(run, step, [data], states, epochs=epochs, batch_size=BATCH, stage=stage)


def train_greedily(
    run: Run, sizes: tuple[int, ...], data: Tensor, *, epochs: int
) -> tuple[list[RBM], Tensor]:
    """Train a machine on the data, the next on its hidden probabilities, and so on.

    Returns:
        The machines, and what the last one makes of the data.
    """
    machines: list[RBM] = []
    for visible, hidden in pairwise(sizes):
        machine = RBM(visible, hidden).to(run.device)
        train_rbm(run, machine, data, epochs=epochs, stage=f"machine-{len(machines) + 1}")
        data = machine(data).detach()
        machines.append(machine)
    return machines, data
