# SPDX-License-Identifier: Apache-2.0
"""Back-propagation by hand in a 2-2-2 network, every number beside what autograd finds.

Forward: ``h = s(W1 x + b1)``, ``o = s(W2 h + b2)``, ``E = sum (t - o)^2 / 2`` with the sigmoid s.
Backward: ``d2 = (o - t) o (1 - o)``, ``dE/dW2 = d2 h'``, ``d1 = (W2' d2) h (1 - h)``,
``dE/dW1 = d1 x'``; then ``W -= rate dE/dW`` (Rumelhart, Hinton and Williams 1986). The numbers are
those of M. Mazur's step-by-step example (2015), which leaves the biases as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import gradsmith as gs
from gradsmith import viz
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

X, TARGET = [0.05, 0.10], [0.01, 0.99]
W1, B1 = [[0.15, 0.20], [0.25, 0.30]], 0.35
W2, B2 = [[0.40, 0.45], [0.50, 0.55]], 0.60
RATE = 0.5


class Pass(NamedTuple):
    """The numbers of one pass forward and back."""

    hidden: Tensor
    output: Tensor
    error: Tensor
    output_delta: Tensor
    hidden_delta: Tensor
    gradient2: Tensor
    gradient1: Tensor


def forward(w1: Tensor, w2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the hidden layer (2,), the output (2,) and the error ()."""
    x, target = (gs.tensor(each, dtype=gs.float64, device=w1.device) for each in (X, TARGET))
    hidden = gs.sigmoid(w1 @ x + B1)
    output = gs.sigmoid(w2 @ hidden + B2)
    return hidden, output, (target - output).square().sum() / 2


def by_hand(w1: Tensor, w2: Tensor) -> Pass:
    """Return one pass by the formulas."""
    x, target = (gs.tensor(each, dtype=gs.float64, device=w1.device) for each in (X, TARGET))
    hidden, output, error = forward(w1, w2)
    output_delta = (output - target) * output * (1 - output)
    hidden_delta = (w2.T @ output_delta) * hidden * (1 - hidden)
    gradients = gs.outer(output_delta, hidden), gs.outer(hidden_delta, x)
    return Pass(hidden, output, error, output_delta, hidden_delta, *gradients)


def main(run: Run) -> None:
    """Show the first step, check it against autograd, and go on."""
    w1, w2 = (gs.tensor(each, dtype=gs.float64, device=run.device) for each in (W1, W2))
    first = by_hand(w1, w2)
    leaves = [each.clone().requires_grad_() for each in (w1, w2)]
    forward(*leaves)[2].backward()
    pairs = zip((first.gradient1, first.gradient2), leaves, strict=True)
    apart = max(
        (mine - leaf.grad).abs().max().item() for mine, leaf in pairs if leaf.grad is not None
    )
    new1, new2 = w1 - RATE * first.gradient1, w2 - RATE * first.gradient2
    rows = [[name, *_numbers(value)] for name, value in first._asdict().items()]
    rows += [["w1 after the step", *_numbers(new1)], ["w2 after the step", *_numbers(new2)]]
    run.table("The first pass", ["what", "", "", "", ""], rows)
    run.figure("difference from autograd", apart, at_most=1e-12)
    run.figure("error at first", first.error.item(), at_least=0.298371, at_most=0.298372)
    steps = run.epochs(full=10_000, quick=1000)
    for _ in run.progress(range(steps), "step"):
        now = by_hand(w1, w2)
        run.log(error=now.error.item())
        w1, w2 = w1 - RATE * now.gradient1, w2 - RATE * now.gradient2
    last = by_hand(w1, w2)
    run.figure(f"error after {steps} steps", last.error.item(), at_most=3.52e-5, quick=1.2e-3)
    run.table(
        "Outputs",
        ["wanted", "reached"],
        [[t, o] for t, o in zip(TARGET, last.output.tolist(), strict=True)],
    )
    curve = viz.plot_curves(run.history, xlabel="step", ylabel="error", xscale="log", yscale="log")
    run.picture("error", curve, "The error falls over four powers of ten.")


def _numbers(value: Tensor) -> list[str]:
    texts = [f"{number:.9f}" for number in value.reshape(-1).tolist()]
    return texts + [""] * (4 - len(texts))
