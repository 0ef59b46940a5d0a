# SPDX-License-Identifier: Apache-2.0
"""A critic measures how far drawn digits are from real ones, and the distance falls.

The critic raises the gap ``mean f(x) - mean f(G(z))`` under a bound on its slope, and the largest
gap is the Wasserstein distance, so unlike the loss of a plain GAN it tells how good the samples are
(Arjovsky et al., "Wasserstein GAN", 2017). ``bound=penalty`` adds ``10 (|grad f| - 1)^2`` between
real and drawn samples (WGAN-GP, Gulrajani et al. 2017); ``bound=clip`` cuts the weights to +-0.03.
"""

from __future__ import annotations

from gradsmith import nn, viz
from gradsmith.nn import functional as F
from gradsmith.nn.constraints import WeightClip, after_step
from gradsmith.optim import Optimizer
from gradsmith.optim.swa_utils import EMA
from gradsmith.recipes.gans import perceptrons
from gradsmith.recipes.gans.digits import play, scans, sheet, tell_judgement, trained_judge
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor
from gradsmith.train import AdversarialTrainer
from gradsmith.viz.canvas import predictions

OPTIONS = {"bound": "penalty"}
CRITIC_STEPS, CLIP = 3, 0.03


def penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Pull the critic's slope to 1."""
    return 10 * F.gradient_penalty(critic, real, fake)


BOUNDS = {"penalty": penalty, "clip": None}


def optimizer(net: nn.Module) -> Optimizer:
    """Return Adam without momentum, as the critic's goal moves."""
    return perceptrons.adam(net, 1e-3, momentum=0.0)


def critic_optimizer(critic: nn.Module, bound: str) -> Optimizer:
    """Return the same for the critic; with ``bound=clip`` it cuts the weights after each step."""
    made = optimizer(critic)
    if bound == "clip":
        after_step(made, WeightClip(CLIP))
    return made


def main(run: Run) -> None:
    """Train, follow the gap, and judge."""
    name = run.option("bound")
    if name not in BOUNDS:
        raise ValueError(f"option bound is {name!r}, expected one of {', '.join(BOUNDS)}")
    judge = trained_judge(run)
    images, _ = scans(run)
    generator = nn.Sequential(perceptrons.generator(), nn.Unflatten(1, (1, 8, 8))).to(run.device)
    critic = perceptrons.discriminator(dropout=0.0).to(run.device)
    trainer = AdversarialTrainer(
        *(
            generator,
            critic,
            optimizer(generator),
            critic_optimizer(critic, name),
            perceptrons.noise,
        ),
        *(F.gan_wasserstein_loss, CRITIC_STEPS, BOUNDS[name]),
    )

    average = EMA(generator, 0.99, use_buffers=True)

    def samples() -> Tensor:
        return predictions(average, perceptrons.noise(1000).to(run.device))

    def measure(epoch: int) -> None:
        real, drawn = predictions(critic, images), predictions(critic, samples())
        run.log(gap=(real.mean() - drawn.mean()).item())

    epochs = run.epochs(full=120, quick=30)
    play(run, trainer, images, epochs, batch_size=32, average=average, after=measure)
    gaps = run.history["gap"]
    run.figure("gap at the end / largest gap", gaps[-1] / max(gaps), at_most=0.4, quick=0.8)
    drawn = samples()
    tell_judgement(run, judge, drawn, share=0.75, quick=0.6)
    run.picture("samples", sheet(drawn[:64], 16), "Drawn from noise.")
    gap = viz.plot_history({"gap": gaps})
    run.picture("gap", gap, "The critic's gap by epoch: it rises while the critic learns.")
    run.model(average.module, (1, perceptrons.LATENT))
