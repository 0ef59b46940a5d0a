# SPDX-License-Identifier: Apache-2.0
"""A generator learns to draw digits from a discriminator that tells drawn from real ones.

The discriminator D raises ``log D(x) + log(1 - D(G(z)))``; the generator G raises ``log D(G(z))``
(``loss=non_saturating``) or lowers ``log(1 - D(G(z)))`` (``loss=minimax``, whose gradient fades
where D wins). At the end of the game G draws as if from the data, and D can only guess (Goodfellow
et al., "Generative adversarial nets", 2014).
"""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.recipes.gans.perceptrons import train_on_digits
from gradsmith.recipes.run import Run

OPTIONS = {"loss": "non_saturating"}
LOSSES = {
    "non_saturating": F.gan_non_saturating_loss,
    "minimax": F.gan_minimax_loss,
    "hinge": F.gan_hinge_loss,
}


def main(run: Run) -> None:
    """Train and judge."""
    name = run.option("loss")
    if name not in LOSSES:
        raise ValueError(f"option loss is {name!r}, expected one of {', '.join(LOSSES)}")
    train_on_digits(run, LOSSES[name])
