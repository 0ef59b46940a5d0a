# SPDX-License-Identifier: Apache-2.0
"""A Boltzmann machine solves the 4-2-4 encoder problem.

Ackley, Hinton, Sejnowski, "A learning algorithm for Boltzmann machines", 1985: one of four units is
on at the left, the same at the right, and both sides meet only through two hidden units, which have
to find a code. Weights follow ``<s_i s_j>`` with the visible units clamped minus the same running
free; both are drawn by Gibbs sampling while the temperature falls. Ten units have 1,024 states, so
what is drawn can be compared with the exact distribution.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, viz
from gradsmith.autograd import no_grad
from gradsmith.models.binary import binary_states
from gradsmith.ops.creation import eye, ones, zeros
from gradsmith.ops.joining import cat
from gradsmith.ops.random import bernoulli
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise
from gradsmith.tensor import Tensor

SIDE, HIDDEN = 4, 2
VISIBLE = 2 * SIDE
UNITS = VISIBLE + HIDDEN
ANNEALING = (4.0, 3.0, 2.0, 1.5, 1.0, 1.0)


def encoder_machine() -> models.BoltzmannMachine:
    """Return the machine: both sides are joined to the hidden units, not to each other."""
    joined = ones(UNITS, UNITS)
    joined[:SIDE, SIDE:VISIBLE] = 0
    joined[SIDE:VISIBLE, :SIDE] = 0
    return models.BoltzmannMachine(UNITS, joined)


def coins(count: int, units: int) -> Tensor:
    """Return fair coins (count, units)."""
    return bernoulli(zeros(count, units) + 0.5)


def visible_shares(machine: models.BoltzmannMachine) -> Tensor:
    """Return the exact probability of each of the 2^8 visible states."""
    # The hidden units are the last, so they are the slowest in the list of all states.
    return machine.probabilities().reshape(2**HIDDEN, 2**VISIBLE).sum(0)


def distance(machine: models.BoltzmannMachine, states: Tensor, temperature: float) -> float:
    """Return the total variation between drawn states and the exact distribution."""
    places = (states.cpu().numpy().astype(np.int64) << np.arange(UNITS)).sum(1)
    drawn = np.bincount(places, minlength=2**UNITS) / len(places)
    exact = machine.probabilities(temperature).detach().cpu().numpy()
    return float(np.abs(drawn - exact).sum() / 2)


def main(run: Run) -> None:
    """Learn the code, complete patterns, and draw at several temperatures."""
    one = eye(SIDE)
    patterns = cat([one, one], 1).repeat(run.choose(32, 16), 1).to(run.device)
    machine = encoder_machine().to(run.device)
    clamped = (Tensor(np.arange(UNITS)) < VISIBLE).float()
    optimizer = Adam(machine.parameters(), lr=0.05)
    for _ in run.rounds(run.epochs(1000, 150), {"machine": machine, "optimizer": optimizer}):
        with no_grad():
            awake = cat([patterns, coins(len(patterns), HIDDEN).to(run.device)], 1)
            awake = machine.gibbs(awake, ANNEALING, clamped)
            asleep = machine.gibbs(coins(len(patterns), UNITS).to(run.device), ANNEALING)
        minimise(optimizer, machine(awake).mean() - machine(asleep).mean())
        shares = visible_shares(machine)
        known = binary_states("patterns", VISIBLE, one)
        chosen = (known[:, :SIDE] == known[:, SIDE:]).all(1) & (known[:, :SIDE].sum(1) == 1)
        run.log(**{"share of the four patterns": shares[chosen].sum().item()})
    share = run.history["share of the four patterns"][-1]
    run.figure("share of the four patterns, of 256", share, at_least=0.85, quick=0.3)
    with no_grad():
        half = cat([patterns[:, :SIDE], coins(len(patterns), UNITS - SIDE).to(run.device)], 1)
        left = (Tensor(np.arange(UNITS)) < SIDE).float()
        completed = machine.gibbs(half, (*ANNEALING, 0.5, 0.25), left)
        right = (completed[:, :VISIBLE] == patterns).all(1).float().mean()
        run.figure("right half completed from the left", right, at_least=0.75, quick=0.4)
        _temperatures(run, machine)
    run.model(machine, (1, UNITS))


def _temperatures(run: Run, machine: models.BoltzmannMachine) -> None:
    """Draw at several temperatures; compare with the exact shares of states."""
    count, bars = run.choose(4000, 1000), []
    temperatures = (0.5, 1.0, 2.0, 8.0)
    for temperature in temperatures:
        path = [*np.geomspace(10, temperature, 15), *[temperature] * 15]
        states = machine.gibbs(coins(count, UNITS).to(run.device), path)
        # As many perfect draws from 1,024 equal states would be off by about this much.
        chance = 0.4 * np.sqrt(2**UNITS / count)
        found = distance(machine, states, temperature)
        # Cold chains rest in one pattern for longer than a run; only warm ones are judged.
        bound = chance + 0.1 if temperature >= 2 else None
        run.figure(f"distance of draws, temperature {temperature:g}", found, at_most=bound)
        shares = machine.probabilities(temperature).reshape(2**HIDDEN, -1).sum(0)
        bars.append(shares.sort(descending=True)[0][:32].cpu().numpy())
    ax = viz.canvas.new_axes()
    for temperature, values in zip(temperatures, bars, strict=True):
        ax.plot(values, label=f"T = {temperature:g}")
    ax.set_xlabel("visible states, the likeliest first")
    ax.set_ylabel("probability")
    ax.legend()
    caption = "Cold machines stay in the four patterns, hot ones go everywhere."
    run.picture("temperatures", ax.figure, caption)
