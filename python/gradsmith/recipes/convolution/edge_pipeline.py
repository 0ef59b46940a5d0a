# SPDX-License-Identifier: Apache-2.0
"""Edges by fixed kernels: a convolution layer with chosen weights is a classic filter.

Blur by a Gaussian, slopes by Sobel (1968), strength ``sqrt(g_x^2 + g_y^2)``, threshold: once with
the filters of `gradsmith.images`, once as one `nn.Sequential` of frozen convolutions. Then a layer
with random weights sees only pairs of images before and after, and finds Sobel's kernel by itself.
"""

from __future__ import annotations

import numpy as np

from gradsmith import images, nn, viz
from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.nn import functional as F
from gradsmith.ops.creation import from_numpy
from gradsmith.optim import LBFGS
from gradsmith.recipes.run import Run
from gradsmith.recipes.shapes import scenes
from gradsmith.tensor import Tensor

SIGMA, RADIUS, THRESHOLD = 1.0, 4, 0.15
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


def fixed(kernels: Array) -> nn.Conv2d:
    """Return a frozen layer with kernels (K, h, w), turned round as convolution asks for."""
    count, height, width = kernels.shape
    padding = (height // 2, width // 2)
    layer = nn.Conv2d(
        1, count, (height, width), padding=padding, bias=False, padding_mode="reflect"
    )
    with no_grad():
        layer.weight.copy_(from_numpy(np.ascontiguousarray(kernels[:, None, ::-1, ::-1])))
    layer.requires_grad_(False)
    return layer


class Edges(nn.Module):
    """Grey images (N, 1, H, W) -> strength of the edges (N, 1, H, W), by frozen convolutions."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        places = np.arange(-RADIUS, RADIUS + 1)
        bell = np.exp(-0.5 * (places / SIGMA) ** 2).astype(np.float32)
        bell /= bell.sum()
        self.blur = fixed((bell[:, None] * bell)[None])
        self.slopes = fixed(np.stack((_SOBEL, _SOBEL.T)))

    def forward(self, grey: Tensor) -> Tensor:
        """Return the lengths of the slopes."""
        slopes: Tensor = self.slopes(self.blur(grey))
        return slopes.square().sum(1, keepdim=True).sqrt()


def filtered(grey: Array) -> Array:
    """Return the strength of the edges of an image (H, W) by the filters of `gradsmith.images`."""
    blurred = images.gaussian_blur(grey, SIGMA)
    down, across = (images.convolve(blurred, kernel) for kernel in (_SOBEL.T, _SOBEL))
    return np.hypot(down, across)


def main(run: Run) -> None:
    """Compare the two ways, then learn a kernel."""
    made = scenes(run.choose(full=200, quick=60), 64, run.seed)
    grey = np.stack([images.to_grey(each.transpose(1, 2, 0)) for each in made.images])
    tensors = from_numpy(np.ascontiguousarray(grey[:, None])).to(run.device)
    with no_grad():
        strengths = Edges().to(run.device)(tensors).cpu().numpy()[:, 0]
    classic = np.stack([filtered(each) for each in grey])
    difference = abs(strengths - classic).max()
    run.figure("convolutions against filters, largest difference", difference, at_most=1e-5)
    found = strengths > THRESHOLD
    outlines = _outlines(made.masks)
    run.figure("outlines found", _share_near(outlines, found), at_least=0.9)
    run.figure("edges at outlines", _share_near(found, outlines), at_least=0.95)
    rows = [
        each[:8, None].astype(np.float32) for each in (grey, strengths / strengths.max(), found)
    ]
    canny = np.stack([images.canny(each, 0.02, 0.05) for each in grey[:8]])[:, None].astype(
        np.float32
    )
    titles = ["grey", "strength", "edges", "Canny"]
    shown = viz.reconstruction_rows(made.images[:8], *rows, canny, titles=["scene", *titles])
    run.picture("edges", shown, "Scenes and what becomes of them, step by step.")
    _learn(run, tensors)


def _outlines(masks: Array) -> Array:
    outlines = np.zeros(masks.shape, bool)
    outlines[:, 1:] |= masks[:, 1:] != masks[:, :-1]
    outlines[:, :, 1:] |= masks[:, :, 1:] != masks[:, :, :-1]
    return outlines


def _share_near(pixels: Array, others: Array) -> float:
    """Return the share of marked pixels that lie within 2 of other marked pixels."""
    near = np.stack([images.dilate(each.astype(np.float32), 5) for each in others]) > 0
    return float(near[pixels].mean())


def _learn(run: Run, grey: Tensor) -> None:
    """Learn Sobel's kernel from images and their slopes."""
    with no_grad():
        slopes = fixed(_SOBEL[None])(grey)
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect", bias=False).to(run.device)
    optimizer = LBFGS(layer.parameters(), max_iter=5, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(layer(grey), slopes)
        loss.backward()
        return loss

    for _ in run.rounds(run.epochs(full=10, quick=6), {"layer": layer, "optimizer": optimizer}):
        run.log(loss=optimizer.step(closure).item())
    learnt = layer.weight.detach().cpu().numpy()[0, 0, ::-1, ::-1]
    run.figure("learnt kernel, largest error", abs(learnt - _SOBEL).max(), at_most=0.02)
    rows = [[*(round(float(each), 3) for each in row)] for row in learnt]
    run.table("Learnt kernel (Sobel: -1 0 1, -2 0 2, -1 0 1)", ["left", "middle", "right"], rows)
    run.picture("curves", viz.plot_history(run.history), "Loss while the kernel is learnt.")
    run.model(layer, (1, 1, 64, 64))
