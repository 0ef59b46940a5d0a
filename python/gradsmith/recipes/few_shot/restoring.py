# SPDX-License-Identifier: Apache-2.0
"""What colourisation, in-painting and super-resolution share: a net that gives back what was taken.

The pictures are synthetic: plain orange and striped shapes on a green ground, see
`gradsmith.recipes.gans.domains`. Each recipe takes something from them (colour, a square, pixels);
a small U-Net that sees the rest learns the mean squared error.
"""

from __future__ import annotations

from collections.abc import Callable

from gradsmith import models, nn, viz
from gradsmith.metrics import psnr
from gradsmith.ops.joining import cat
from gradsmith.optim import Adam
from gradsmith.recipes.gans.domains import SIZE, pictures
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

Damage = Callable[[Tensor], Tensor]


def restore(run: Run, damage: Damage, taken: str, gain: float, quick: float) -> None:
    """Train a U-Net to undo a damage and tell how much closer it comes than what was left.

    Args:
        run: of the recipe.
        damage: from pictures (N, 3, H, W) in [0, 1] to what is left, of the same shape.
        taken: what the damage took, for titles.
        gain: PSNR in dB by which the restored pictures have to be closer, in a full run.
        quick: the same for a quick run.
    """
    count = run.choose(640, 256)
    kinds = [
        pictures(run, count // 2, striped, 2 * run.seed + striped) for striped in (False, True)
    ]
    tests = [pictures(run, 50, striped, 10_000 + striped) for striped in (True, False)]
    goal, unseen = (cat(each, 0) / 2 + 0.5 for each in (kinds, tests))
    body = models.UNet(3, 3, run.choose(12, 8), depth=2, padding=True, batch_norm=True)
    net = nn.Residual(body).to(run.device)  # it draws what is missing
    net.compile(Adam(net.parameters(), lr=3e-3), "mse")
    epochs = run.epochs(full=40, quick=24)
    run.fit(net, damage(goal), goal, batch_size=8, epochs=epochs, verbose=0)
    left = damage(unseen)
    made = predictions(net, left).clamp(0, 1)
    run.figure("PSNR of what was left in dB", psnr(left, unseen))
    run.figure("PSNR restored in dB", psnr(made, unseen))
    won = psnr(made, unseen) - psnr(left, unseen)
    run.figure("PSNR gain in dB", won, at_least=gain, quick=quick)
    rows = [each[45:55] for each in (left, made, unseen)]
    titles = [f"without {taken}", "restored", "true"]
    run.picture("restored", viz.reconstruction_rows(*rows, titles=titles), "Unseen pictures.")
    run.picture("curves", viz.plot_history(run.history), "Mean squared error by epoch.")
    run.model(net, (1, 3, SIZE, SIZE))
