# SPDX-License-Identifier: Apache-2.0
"""Compression: scans as codes of a few bits.

The code has 8 values; rounding each to one of 16 levels between its extremes, ``low + (high - low)
k / 15``, leaves 32 bits of the 256 that a scan of 8x8 pixels takes. As many principal components,
rounded the same way, are what it has to beat. Cottrell, Munro and Zipser ("Image compression by
back-propagation", 1987) did it first.
"""

from __future__ import annotations

from gradsmith import metrics, models
from gradsmith.optim import Adam
from gradsmith.recipes.autoencoders.principal import principal_plane
from gradsmith.recipes.autoencoders.scans import scans, show_rows
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

OPTIONS = {"values": 8, "bits": 4}


def rounded(codes: Tensor, known: Tensor, bits: int) -> Tensor:
    """Return codes (N, K) at the nearest of 2^bits levels between the extremes of known codes."""
    low, high = known.min(0)[0], known.max(0)[0]
    steps = (high - low) / (2**bits - 1)
    levels = ((codes.clamp(low, high) - low) / steps).round()
    result: Tensor = levels * steps + low
    return result


def principal_compression(training: Tensor, images: Tensor, values: int, bits: int) -> Tensor:
    """Return images from that many rounded principal components of the training images."""
    plane = principal_plane(training, values)
    known, codes = (plane.encode(each) for each in (training, images))
    return plane.decode(rounded(codes, known, bits), images)


def main(run: Run) -> None:
    """Train, then round the codes."""
    training, _ = scans(run, "train")
    testing, labels = scans(run, "test")
    values, bits = run.option("values"), run.option("bits")
    model = models.dense_autoencoder((784, 256, values)).to(run.device)
    model.compile(Adam(model.parameters(), lr=2e-3), "mse")
    run.fit(model, training, training, epochs=run.epochs(full=150, quick=10), seed=run.seed)
    known, codes = (model.encode(each).detach() for each in (training, testing))
    restored = model.decode(rounded(codes, known, bits)).detach()
    plane = principal_compression(training, testing, values, bits)
    quality = [metrics.psnr(each, testing) for each in (plane, restored)]
    run.figure("bits of a scan", values * bits)
    run.figure("PSNR of principal components, dB", quality[0])
    run.figure("PSNR of the auto-encoder, dB", quality[1], at_least=20, quick=17)
    run.figure("gain, dB", quality[1] - quality[0], at_least=1, quick=-2)
    show_rows(run, labels, original=testing, principal_components=plane, auto_encoder=restored)
    run.model(model, (1, 1, 28, 28))
