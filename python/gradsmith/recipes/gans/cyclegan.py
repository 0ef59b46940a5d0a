# SPDX-License-Identifier: Apache-2.0
"""Two kinds of pictures, no pairs, and a translator each way.

Each translator has to fool the judge of the kind it paints (least squares), and both in turn have
to give back what went in: ``|F(G(x)) - x| + |G(F(y)) - y|``, times 10 (Zhu et al. 2017). The judges
also see earlier translations from a pool, so that they do not run after the last ones. The kinds
are synthetic, orange and striped shapes; a classifier that tells real ones apart is to be fooled.
"""

from __future__ import annotations

import numpy as np

from gradsmith import models, nn, viz
from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.ops.creation import ones, zeros
from gradsmith.ops.joining import cat, stack
from gradsmith.optim import Adam
from gradsmith.recipes.gans.domains import SIZE, pictures
from gradsmith.recipes.gans.perceptrons import adam
from gradsmith.recipes.run import Run
from gradsmith.recipes.training import minimise, train
from gradsmith.tensor import Tensor
from gradsmith.viz.canvas import predictions

CYCLE, IDENTITY = 10.0, 2.0


class ImagePool:
    """Keeps up to ``size`` translations; each query may swap a new one for an old one.

    Shrivastava et al. 2017: with even odds the new picture goes to the judge, else a random kept
    one goes, and the new one takes its place.
    """

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        """Begin empty."""
        self.size = size
        self.kept: list[Tensor] = []
        self._random = np.random.default_rng(seed)

    def query(self, images: Tensor) -> Tensor:
        """Return as many pictures (N, ...) as given, new ones or kept ones."""
        return stack([self._exchange(each) for each in images.detach()])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.kept) < self.size:
            self.kept.append(image)
            return image
        if self._random.random() < 0.5:
            return image
        place = int(self._random.integers(self.size))
        image, self.kept[place] = self.kept[place], image
        return image


class Pair(nn.Module):
    """The two translators and their judges; index 0 paints plain pictures, 1 striped ones."""

    def __init__(self, width: int, blocks: int) -> None:
        """Make the nets of the paper, ``width`` channels wide."""
        super().__init__()
        self.painters = nn.ModuleList(
            [models.CycleGANGenerator(blocks, width=width) for _ in range(2)]
        )
        self.judges = nn.ModuleList([models.PatchGAN(width=width, levels=1) for _ in range(2)])


def painters_step(pair: Pair, optimizer: Adam, real: list[Tensor]) -> tuple[list[Tensor], float]:
    """Take a step of both translators; return their pictures and the cycle loss."""
    total = zeros((), device=real[0].device)
    cycles, painted = [], []
    for kind in range(2):
        there, back = pair.painters[kind], pair.painters[1 - kind]
        fake = there(real[1 - kind])
        painted.append(fake)
        cycles.append(F.cycle_loss(real[1 - kind], back(fake)))
        total = total + F.gan_least_squares_loss(pair.judges[kind](fake), role="generator")
        total = total + IDENTITY * F.identity_loss(real[kind], there(real[kind]))
    cycle = cycles[0] + cycles[1]
    minimise(optimizer, total + CYCLE * cycle)
    return painted, cycle.item()


def judges_step(
    pair: Pair, optimizer: Adam, real: list[Tensor], painted: list[Tensor], pools: list[ImagePool]
) -> float:
    """Take a step of both judges on real pictures and those of the pools."""
    losses = [
        F.gan_least_squares_loss(
            pair.judges[k](pools[k].query(painted[k])), pair.judges[k](real[k])
        )
        for k in range(2)
    ]
    return minimise(optimizer, losses[0] + losses[1])


def domain_classifier(run: Run, real: list[Tensor]) -> nn.Module:
    """Return a classifier of real pictures: 0 plain, 1 striped."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 2),
    ).to(run.device)
    labels = [zeros(len(real[0])).long(), ones(len(real[1])).long()]
    net.compile(Adam(net.parameters(), lr=3e-3), "cross_entropy")
    net.fit(cat(real, 0), cat(labels, 0).to(run.device), batch_size=32, epochs=3, verbose=0)
    return net


def main(run: Run) -> None:
    """Train, then ask the classifier about translations of unseen pictures."""
    count = run.choose(320, 96)
    real = [pictures(run, count, striped, seed=2 * run.seed + striped) for striped in (False, True)]
    tests = [pictures(run, 100, striped, seed=10_000 + striped) for striped in (False, True)]
    classifier = domain_classifier(run, real)
    pair = Pair(width=run.choose(12, 8), blocks=run.choose(3, 1)).to(run.device)
    optimizers = adam(pair.painters, 1e-3), adam(pair.judges, 5e-4)
    pools = [ImagePool(seed=run.seed + kind) for kind in range(2)]
    parts = {"pair": pair, "painters": optimizers[0], "judges": optimizers[1]}

    def step(*both: Tensor) -> dict[str, float]:
        painted, cycle = painters_step(pair, optimizers[0], list(both))
        judged = judges_step(pair, optimizers[1], list(both), painted, pools)
        return {"cycle": cycle, "judges": judged}

    train(run, step, real, parts, epochs=run.epochs(full=25, quick=6), batch_size=8)
    tell_translations(run, pair, classifier, tests)


def tell_translations(run: Run, pair: Pair, classifier: nn.Module, tests: list[Tensor]) -> None:
    """Tell the figures and show pictures there and back."""
    cycles = run.history["cycle"]
    run.figure("cycle loss at the end / at first", cycles[-1] / cycles[0], at_most=0.4, quick=0.8)
    for kind, name in enumerate(("plain", "striped")):
        source = tests[1 - kind]
        with no_grad():
            there = pair.painters[kind](source)
            back = pair.painters[1 - kind](there)
        fooled = (predictions(classifier, there).argmax(1) == kind).float().mean()
        run.figure(f"taken for {name}", fooled, at_least=0.8, quick=0.5)
        rows = [each[:10] / 2 + 0.5 for each in (source, there, back)]
        titles = ["given", f"made {name}", "and back"]
        picture = viz.reconstruction_rows(*rows, titles=titles)
        run.picture(f"to-{name}", picture, f"Unseen pictures made {name}, and back again.")
    run.picture("curves", viz.plot_history(run.history), "Cycle loss and judges' loss by epoch.")
    run.model(pair.painters[0], (1, 3, SIZE, SIZE))
