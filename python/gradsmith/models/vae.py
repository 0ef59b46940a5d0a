# SPDX-License-Identifier: Apache-2.0
"""The variational auto-encoder (Kingma and Welling, "Auto-encoding variational Bayes", 2014) and
the discriminator that turns it into a VAE-GAN (Larsen, Sonderby, Larochelle, Winther, 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gradsmith import nn
from gradsmith.models.autoencoder import check_pixels
from gradsmith.models.dense import dense_layers
from gradsmith.ops.random import randn, randn_like
from gradsmith.tensor import Tensor


class VAEOutputs(NamedTuple):
    """What a `VAE` gives for a batch, in the order in which `elbo_loss` takes it but the target.

    Attributes:
        logits: of the reconstruction, of the shape of the images.
        mu: means (N, D) of the codes.
        logvar: logarithms of their variances (N, D).
    """

    logits: Tensor
    mu: Tensor
    logvar: Tensor


class VAE(nn.Module):
    """Images -> `VAEOutputs`: a code ``mu + exp(logvar / 2) * noise`` is drawn, and decoded.

    In evaluation the code is the mean.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, features: int, latent: int) -> None:
        """Keep both halves and make the heads.

        Args:
            encoder: from images to (N, features).
            decoder: from codes (N, latent) to logits of images.
            features: that the encoder gives.
            latent: values of a code.

        Raises:
            ValueError: a number is below 1.
        """
        super().__init__()
        if min(features, latent) < 1:
            raise ValueError(f"VAE: features, latent are {features}, {latent}, expected >= 1")
        self.encoder = encoder
        self.mu = nn.Linear(features, latent)
        self.logvar = nn.Linear(features, latent)
        self.decoder = decoder

    @property
    def latent(self) -> int:
        """The number of values of a code."""
        return self.mu.out_features

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the logarithms of the variances of the codes."""
        features = self.encoder(images)
        return self.mu(features), self.logvar(features)

    def decode(self, code: Tensor) -> Tensor:
        """Return the images, in [0, 1], that codes stand for."""
        logits: Tensor = self.decoder(code)
        return logits.sigmoid()

    def sample(self, count: int) -> Tensor:
        """Return images of codes drawn from the prior, N(0, 1)."""
        return self.decode(randn(count, self.latent, device=self.mu.weight.device))

    def forward(self, images: Tensor) -> VAEOutputs:
        """Return the logits of the reconstruction with the parameters of the code."""
        mu, logvar = self.encode(images)
        code = mu + (logvar * 0.5).exp() * randn_like(mu) if self.training else mu
        return VAEOutputs(self.decoder(code), mu, logvar)


def vae(
    latent: int = 20,
    *,
    sizes: Sequence[int] = (784, 400),
    image_size: Sequence[int] = (1, 28, 28),
    activation: Callable[[], nn.Module] = nn.Tanh,
) -> VAE:
    """Return a VAE of fully connected layers, as in the paper's appendix C.

    Args:
        latent: values of a code.
        sizes: pixels and hidden layers; the decoder mirrors them.
        image_size: of one image; its product is the first size.
        activation: of the hidden layers.

    Raises:
        ValueError: a size is wrong.
    """
    check_pixels("vae", sizes, image_size)
    down = dense_layers("vae", sizes, activation)
    up = dense_layers("vae", [latent, *sizes[::-1]], activation)
    encoder = nn.Sequential(nn.Flatten(), *down, activation())
    decoder = nn.Sequential(*up, nn.Unflatten(1, tuple(image_size)))
    return VAE(encoder, decoder, sizes[-1], latent)


class FeatureDiscriminator(nn.Module):
    """Images (N, channels, H, W), H and W multiples of 4 -> scores (N, 1); shows its features.

    In a VAE-GAN the distance of images is that of these features, which forgives what the eye
    does not see, instead of that of pixels.
    """

    def __init__(self, channels: int = 1, side: int = 28, width: int = 16) -> None:
        """Make the layers (ValueError if a number is below 1 or the side no multiple of 4)."""
        super().__init__()
        if min(channels, side, width) < 1 or side % 4:
            raise ValueError(
                f"FeatureDiscriminator: channels, side, width are {channels}, {side}, {width}, "
                "expected >= 1 and a side divisible by 4"
            )
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * width * (side // 4) ** 2, 1)

    def features(self, images: Tensor) -> Tensor:
        """Return the last layer before the score, (N, F)."""
        features: Tensor = self.body(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Return logits: positive for images taken as real."""
        scores: Tensor = self.head(self.features(images))
        return scores
