# SPDX-License-Identifier: Apache-2.0
"""A convolutional net in time tells wave forms apart.

Sines, squares, sawtooths and chirps of random pitch, phase and loudness under noise: no sample
means anything by itself, so what is learnt are short patterns, ``y_t = sum_k w_k x_(t+k)``, that
may stand anywhere. Batch norm keeps loudness from mattering (Ioffe and Szegedy, 2015).
"""

from __future__ import annotations

import numpy as np

from gradsmith import nn
from gradsmith.backend import Array
from gradsmith.data import TensorDataset
from gradsmith.recipes.convolution.classify import fit_classifier, tell_classifier
from gradsmith.recipes.run import Run
from gradsmith.viz.canvas import new_axes

KINDS = ("sine", "square", "sawtooth", "chirp")
STEPS, SPANS = 128, 4


def wave(kind: int, turns: Array) -> Array:
    """Return a wave at phases given in turns, between -1 and 1."""
    if KINDS[kind] == "square":
        return np.sign(np.sin(2 * np.pi * turns))
    if KINDS[kind] == "sawtooth":
        return np.asarray(2 * (turns % 1) - 1)
    return np.sin(2 * np.pi * turns)


def waves(count: int, seed: int, noise: float = 0.3) -> TensorDataset:
    """Return signals (1, 128) and their kinds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(KINDS), count)
    time = np.arange(STEPS) / STEPS
    signals = np.zeros((count, 1, STEPS), np.float32)
    for signal, label in zip(signals, labels, strict=True):
        pitch, phase, loudness = rng.uniform(3, 10), rng.uniform(), rng.uniform(0.5, 2)
        # A chirp's pitch doubles or halves from its begin to its end.
        bend = 0.0 if KINDS[label] != "chirp" else pitch * rng.choice([-0.25, 0.5])
        clean = loudness * wave(int(label), pitch * time + bend * time**2 + phase)
        signal[0] = clean + noise * rng.standard_normal(STEPS)
    return TensorDataset(signals, labels)


def network() -> nn.Sequential:
    """Return three convolutions in time with batch norm, and means of four spans: (N, 1, T)."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32), (32, 32)):
        convolution = nn.Conv1d(inputs, outputs, 7, padding=3, bias=False)
        layers += [convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(2)]
    # One mean over all of the time could not tell a chirp, whose pitch changes, from a sine.
    layers += [nn.AdaptiveAvgPool1d(SPANS), nn.Flatten(), nn.Linear(32 * SPANS, 64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, len(KINDS)))


def main(run: Run) -> None:
    """Train and measure."""
    counts = run.choose(full=(4000, 800), quick=(1600, 300))
    training, testing = (waves(n, 1000 * run.seed + k) for k, n in enumerate(counts))
    model = network().to(run.device)
    fit_classifier(run, model, training, epochs=run.epochs(full=12, quick=3), rate=5e-3)
    ax = new_axes(size=(8.0, 4.0))
    signals, labels = (each.numpy() for each in testing.tensors)
    for kind, name in enumerate(KINDS):
        first = signals[labels == kind][0, 0]
        ax.plot(first - 5 * kind, label=name)
    ax.legend(loc="upper right")
    run.picture("signals", ax.figure, "One signal of each kind, as the network gets it.")
    tell_classifier(run, model, testing, at_least=0.95, quick=0.7)
