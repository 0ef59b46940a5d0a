# SPDX-License-Identifier: Apache-2.0
"""WaveNet continues sounds sample by sample.

Causal convolutions of dilation 1, 2, 4, ... look far back at few layers; gated blocks
``tanh(W x) * sigmoid(V x)`` add to the next and to the output; samples are classes on a mu-law
scale (van den Oord et al., 2016). Synthetic sounds: two sines of random pitch, and noise.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, text, viz
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import Adam
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz import canvas

LEVELS, LENGTH, KNOWN, MU = 32, 160, 96, 31.0


def to_levels(sound: Array) -> Array:
    """Return sound in [-1, 1] as classes: ``sign(x) log(1 + mu |x|) / log(1 + mu)``, cut even."""
    squeezed = np.sign(sound) * np.log1p(MU * np.abs(sound)) / np.log1p(MU)
    levels = np.rint((squeezed + 1) / 2 * (LEVELS - 1))
    return np.asarray(np.clip(levels, 0, LEVELS - 1), dtype=np.int64)


def to_sound(levels: Array) -> Array:
    """Return classes as sound, the inverse of `to_levels`."""
    squeezed = 2 * levels / (LEVELS - 1) - 1
    return np.asarray(np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log1p(MU)) / MU)


def sounds(count: int, seed: int) -> Array:
    """Return sounds (count, LENGTH) in [-1, 1]."""
    draw = np.random.default_rng(seed)
    time = np.arange(LENGTH)
    pitch = draw.uniform(0.02, 0.12, (2, count, 1))
    phase = draw.uniform(0, 2 * np.pi, (2, count, 1))
    waves = np.sin(2 * np.pi * pitch * time + phase) * np.array([0.6, 0.3]).reshape(2, 1, 1)
    return np.asarray(waves.sum(axis=0) + draw.normal(0, 0.01, (count, LENGTH)))


def _loss(scores: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(scores.reshape(-1, LEVELS), targets.reshape(-1))


def main(run: Run) -> None:
    """Train, measure the next sample's error, and continue a sound."""
    levels = to_levels(sounds(run.choose(600, 120), 2 * run.seed))
    test = to_levels(sounds(50, 2 * run.seed + 1))
    model = models.WaveNet(LEVELS, *run.choose((24, 48, 6), (16, 32, 4))).to(run.device)
    model.compile(Adam(model.parameters(), lr=run.choose(3e-3, 1e-2)), _loss)
    epochs = run.epochs(full=30, quick=4)
    run.fit(model, levels[:, :-1], levels[:, 1:], batch_size=16, epochs=epochs)
    scores = model.predict(test[:, :-1], verbose=0)
    perplexity = float(np.exp(_loss(scores, from_numpy(test[:, 1:])).item()))
    run.figure("perplexity of the next of 32 levels", perplexity, at_most=3.5, quick=16.0)
    guess = to_sound(scores.numpy().argmax(axis=-1))
    truth, last = to_sound(test[:, 1:]), to_sound(test[:, :-1])
    error, naive = (float(np.abs(each - truth).mean()) for each in (guess, last))
    run.figure("error over that of the last sample", error / naive, at_most=0.5, quick=1.0)
    model.eval()
    known = from_numpy(test[:1, :KNOWN]).to(run.device)
    written = text.generate(model.next_scores, known, run.choose(LENGTH - KNOWN, 16), 0)
    axes = canvas.new_axes(size=(8.0, 3.0))
    axes.plot(to_sound(test[0]), label="sound")
    axes.plot(range(KNOWN, written.shape[1]), to_sound(written.numpy()[0, KNOWN:]), label="WaveNet")
    axes.legend()
    run.picture("sound", axes.figure, f"WaveNet goes on after {KNOWN} samples.")
    run.picture("curves", viz.plot_history(run.history), "Cross-entropy per sample.")
    run.model(model)
