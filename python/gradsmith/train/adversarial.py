# SPDX-License-Identifier: Apache-2.0
"""Two loops in which a model learns from its own samples: GANs and energy models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradsmith import metrics
from gradsmith.autograd import backward, no_grad
from gradsmith.nn import Module
from gradsmith.nn import functional as F
from gradsmith.ops.options import check_int
from gradsmith.optim import Optimizer
from gradsmith.tensor import Tensor, array_of
from gradsmith.train import feed
from gradsmith.train.callbacks import Callback, CallbackList, History, Logs
from gradsmith.train.modes import mode
from gradsmith.train.progress import Progress, resolve_verbose


class AdversarialTrainer:
    """Trains a generator against a discriminator by turns (Goodfellow et al. 2014)::

        trainer = AdversarialTrainer(
            generator, discriminator, g_optimizer, d_optimizer,
            noise=lambda count: gs.randn(count, 64),
        )
        history = trainer.fit(images, epochs=20)

    Args:
        generator: from noise to samples.
        discriminator: from samples to scores.
        generator_optimizer: of the generator's parameters.
        discriminator_optimizer: of the discriminator's parameters.
        noise: function from a number of samples to as many inputs of the generator.
        loss: ``loss(fake, real)`` of the discriminator's scores, and ``loss(fake,
            role="generator")``: one of the ``gan_..._loss`` of `nn.functional`.
        n_critic: steps of the discriminator for one of the generator.
        penalty: ``penalty(discriminator, real, fake)``, added to the discriminator's loss, such as
            ten times `nn.functional.gradient_penalty`.

    Raises:
        ValueError: ``n_critic`` is below 1.
    """

    def __init__(
        self,
        generator: Module,
        discriminator: Module,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        noise: Callable[[int], Any],
        loss: Callable[..., Tensor] = F.gan_non_saturating_loss,
        n_critic: int = 1,
        penalty: Callable[[Module, Any, Any], Tensor] | None = None,
    ) -> None:
        """Keep the parts."""
        if check_int("AdversarialTrainer", "n_critic", n_critic) < 1:
            raise ValueError(f"AdversarialTrainer: n_critic is {n_critic}, expected at least 1")
        self.generator = generator
        self.discriminator = discriminator
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.loss = loss
        self.noise = noise
        self.n_critic = n_critic
        self.penalty = penalty

    def discriminator_step(self, real: Any) -> float:
        """Take a step of the discriminator on real samples and as many fake ones."""
        with no_grad():
            fake = self.generator(self._noise(real))
        self.discriminator_optimizer.zero_grad()
        loss = self.loss(self.discriminator(fake), self.discriminator(real))
        if self.penalty is not None:
            loss = loss + self.penalty(self.discriminator, real, fake)
        loss.backward()
        self.discriminator_optimizer.step()
        return float(loss.item())

    def generator_step(self, real: Any) -> float:
        """Take a step of the generator on as many samples as there are real ones."""
        self.generator_optimizer.zero_grad()
        fake = self.discriminator(self.generator(self._noise(real)))
        loss = self.loss(fake, role="generator")
        trained = [p for p in self.generator.parameters() if p.requires_grad]
        backward(loss, inputs=trained)  # the discriminator gets no gradient
        self.generator_optimizer.step()
        return float(loss.item())

    def _noise(self, real: Any) -> Any:
        return feed.to_device(self.generator, self.noise(feed.length_of(real)))

    def fit(
        self,
        x: Any,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | None = None,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> History:
        """Train both and return the mean of their losses, ``g_loss`` and ``d_loss``, per epoch.

        Args:
            x: real samples: arrays or tensors (N, ...), a Dataset or a DataLoader; of pairs the
                first entry counts.
            batch_size: samples per step; a DataLoader has its own.
            epochs: passes over the data.
            verbose: as in `fit`.
            callbacks: called on the events of training; their model is the generator.
            shuffle: a new order each epoch; a DataLoader has its own.
            seed: fixes the orders.

        Raises:
            ValueError, TypeError: data or options do not fit.
        """
        loader = feed.loader_for(
            "AdversarialTrainer", self.discriminator, x, None, batch_size, shuffle, seed
        )
        history = History()
        progress = Progress("epoch", resolve_verbose(verbose), None)
        parts = CallbackList([*(callbacks or ()), history, progress], self.generator)
        steps = feed.batches_of(loader)
        parts.set_params({"epochs": epochs, "steps": steps, "verbose": verbose})
        parts.stop_training = False
        logs: Logs = {}
        with mode(self.generator, True), mode(self.discriminator, True):
            try:
                parts.on_train_begin()
                for epoch in range(epochs):
                    parts.on_epoch_begin(epoch)
                    logs = self._train_epoch(loader, parts)
                    parts.on_epoch_end(epoch, logs)
                    if parts.stop_training:
                        break
            finally:
                parts.on_train_end(logs)
        return history

    def _train_epoch(self, loader: Any, parts: CallbackList) -> Logs:
        means = {name: metrics.Mean(name) for name in ("g_loss", "d_loss")}
        logs: Logs = {}
        for number, batch in enumerate(loader):
            parts.on_train_batch_begin(number)
            real = batch[0] if isinstance(batch, (list, tuple)) else batch
            real = feed.to_device(self.discriminator, real)
            means["d_loss"].update(self.discriminator_step(real))
            if (number + 1) % self.n_critic == 0:
                means["g_loss"].update(self.generator_step(real))
            logs = {name: mean.result() for name, mean in means.items() if mean.weight}
            parts.on_train_batch_end(number, logs)
            if parts.stop_training:
                break
        if not logs:
            raise ValueError("AdversarialTrainer: the data gave no batch")
        return logs


def contrastive_divergence(
    free_energy: Callable[[Tensor], Tensor],
    sample_hidden: Callable[[Tensor], Tensor],
    sample_visible: Callable[[Tensor], Tensor],
    data: Tensor,
    k: int = 1,
    chain: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a loss whose gradient is that of contrastive divergence, and the end of its chain.

    Hinton, "Training products of experts by minimizing contrastive divergence", 2002. From the data
    the chain takes k steps of ``hidden = sample_hidden(visible)``, ``visible =
    sample_visible(hidden)``; the loss is the mean of ``free_energy(data) - free_energy(end)``. Its
    value says nothing about the fit; its gradient lowers the energy of data and raises that of what
    the model dreams. Given the end of the last call as ``chain``, it goes on from there: persistent
    contrastive divergence (Tieleman 2008)::

        loss, chain = contrastive_divergence(rbm.free_energy, rbm.h_given_v, rbm.v_given_h, batch)
        loss.backward()

    Args:
        free_energy: from visible units (N, ...) to (N,), differentiable in the parameters.
        sample_hidden: draws hidden units, given visible ones.
        sample_visible: draws visible units, given hidden ones.
        data: visible units (N, ...).
        k: steps of the chain.
        chain: where it begins; None: at the data.

    Raises:
        ValueError: k is below 1, or the free energies are not (N,).
        TypeError: a function gives no tensor, or the data are none.
    """
    if check_int("contrastive_divergence", "k", k) < 1:
        raise ValueError(f"contrastive_divergence: k is {k}, expected at least 1")
    visible = data if chain is None else chain
    array_of("contrastive_divergence", data, "data")
    with no_grad():
        for _ in range(k):
            visible = sample_visible(sample_hidden(visible))
    array_of("contrastive_divergence", visible, "chain or a result of sample_visible")
    energies = [free_energy(data), free_energy(visible)]
    for energy, units in zip(energies, (data, visible), strict=True):
        array_of("contrastive_divergence", energy, "result of free_energy")
        if energy.shape != units.shape[:1]:
            raise ValueError(
                f"contrastive_divergence: free_energy gave shape {tuple(energy.shape)}, expected "
                f"{tuple(units.shape[:1])}, one number per sample"
            )
    return energies[0].mean() - energies[1].mean(), visible
