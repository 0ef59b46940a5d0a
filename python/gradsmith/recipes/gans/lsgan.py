# SPDX-License-Identifier: Apache-2.0
"""The same game with squares: scores of real samples go to 1, of drawn ones to 0.

The discriminator lowers ``((D(x) - 1)^2 + D(G(z))^2) / 2``, the generator ``(D(G(z)) - 1)^2 / 2``
(Mao et al., "Least squares generative adversarial networks", 2017). So samples that fool the
discriminator but lie far from its border are still pulled in.
"""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.recipes.gans.perceptrons import train_on_digits
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and judge."""
    train_on_digits(run, F.gan_least_squares_loss)
