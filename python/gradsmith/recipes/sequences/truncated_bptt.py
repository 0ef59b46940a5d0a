# SPDX-License-Identifier: Apache-2.0
"""How far does back-propagation through time have to reach?

A stream of digits; at each step the net has to say the digit of LAG steps ago. The state goes on
from piece to piece, the gradient ends at a piece's beginning, ``h_0 = stop(h_k)`` of the piece
before, so that pieces shorter than the lag never see cause and effect together (Williams and Peng,
1990: truncated back-propagation).
"""

from __future__ import annotations

import time

import numpy as np

from gradsmith import models, optim, train
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.ops.creation import from_numpy
from gradsmith.recipes.run import Run
from gradsmith.recipes.tokens import PAD, token_accuracy, token_loss
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

DIGITS, LAG, STREAMS = 4, 5, 16
LENGTHS = (2, 4, 8, 16)


def echo(draw: np.random.Generator, length: int) -> tuple[Tensor, Tensor]:
    """Return streams of digits (STREAMS, length) and what they were LAG steps before."""
    inputs = draw.integers(1, DIGITS + 1, size=(STREAMS, length))
    targets: Array = np.full_like(inputs, PAD)
    targets[:, LAG:] = inputs[:, :-LAG]
    return from_numpy(inputs), from_numpy(targets)


def _learn(run: Run, model: models.RecurrentLanguageModel, length: int) -> None:
    """Train on one long stream after the other, a piece at a time."""
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    states = {"model": model, "optimizer": optimizer}
    rounds = run.epochs(full=12, quick=8)
    stage = f"pieces of {length}"
    for number in run.rounds(rounds, states, stage, stage=stage):
        draw = np.random.default_rng([run.seed, number])
        x, y = (each.to(run.device) for each in echo(draw, run.choose(640, 320)))
        pieces = train.truncated_bptt(x, y, length=length)
        total = 0.0
        for inputs, targets, state in pieces:
            scores, pieces.state = model.advance(inputs, state)
            if not (targets != PAD).any().item():
                continue
            optimizer.zero_grad()
            loss = token_loss(scores, targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        run.log(**{f"loss, {stage}": total / len(pieces)})


def main(run: Run) -> None:
    """Train with pieces of several lengths."""
    x, y = echo(np.random.default_rng(run.seed + 1), 400)
    found, rows = {}, []
    for length in run.choose(LENGTHS, (2, 16)):
        model = models.RecurrentLanguageModel(DIGITS + 1, 32, 8, cell="gru").to(run.device)
        began = time.perf_counter()
        _learn(run, model, length)
        with no_grad():
            found[length] = token_accuracy(model(x.to(run.device)), y)
        rows.append([length, found[length], time.perf_counter() - began])
    run.table(f"An echo of {LAG} steps", ["steps per piece", "accuracy", "seconds"], rows)
    run.figure("accuracy with pieces of 16", found[16], at_least=0.95, quick=0.5)
    run.figure("accuracy with pieces of 2 (chance 0.25)", found[2], at_most=0.6)
    axes = canvas.new_axes()
    axes.plot(list(found), list(found.values()), "o-")
    axes.axvline(LAG, linestyle=":", color="grey")
    axes.set(xlabel="steps per piece", ylabel="accuracy", xscale="log")
    axes.minorticks_off()
    axes.set_xticks(list(found), [str(length) for length in found])
    run.picture("reach", axes.figure, "Accuracy by length of the pieces; dotted: the lag.")
    run.model(model)
