# SPDX-License-Identifier: Apache-2.0
"""Normalisation without running statistics: layer, root mean square, group, local response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.tensor import Tensor


def _checked_shape(layer: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, Sequence) else (shape,)
    if not sizes:
        raise ValueError(f"{layer}: normalized_shape is empty, expected at least one size")
    return tuple(checked_int(layer, "normalized_shape", size) for size in sizes)


class LayerNorm(Module):
    """Normalises over the last dimensions: mean 0 and variance 1 per sample.

    Attributes:
        weight: of ``normalized_shape``, ones at first, or None.
        bias: of ``normalized_shape``, zeros at first, or None.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: the shape is empty or has a size that is not positive.
        """
        super().__init__()
        self.normalized_shape = shape = _checked_shape("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = affine = elementwise_affine
        place = {"device": device, "dtype": dtype}
        self.register_parameter("weight", new_parameter(*shape, **place) if affine else None)
        self.register_parameter("bias", new_parameter(*shape, **place) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised, of the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divides by the root mean square over the last dimensions (Zhang and Sennrich 2019).

    Attributes:
        weight: of ``normalized_shape``, ones at first, or None.
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; ``eps`` None means the machine epsilon of the input.

        Raises:
            ValueError: the shape is empty or has a size that is not positive.
        """
        super().__init__()
        self.normalized_shape = shape = _checked_shape("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter(
            "weight",
            new_parameter(*shape, device=device, dtype=dtype) if elementwise_affine else None,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to ones."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised, of the same shape."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """Normalises each sample over groups of channels and all positions (Wu and He 2018).

    Attributes:
        weight: (C), ones at first, or None.
        bias: (C), zeros at first, or None.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: the groups do not divide the channels.
        """
        super().__init__()
        self.num_groups = checked_int("GroupNorm", "num_groups", num_groups)
        self.num_channels = n = checked_int("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels {num_channels} is not divisible by num_groups "
                f"{num_groups}"
            )
        self.eps = eps
        self.affine = affine
        place = {"device": device, "dtype": dtype}
        self.register_parameter("weight", new_parameter(n, **place) if affine else None)
        self.register_parameter("bias", new_parameter(n, **place) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input (N, C, *) normalised, of the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class _ResponseNorm(Module):
    """Options of the two layers that divide by the energy of neighbouring channels."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        """Remember the options.

        Raises:
            ValueError: ``size`` is not positive.
        """
        super().__init__()
        self.size = checked_int(type(self).__name__, "size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def extra_repr(self) -> str:
        """Return the options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LocalResponseNorm(_ResponseNorm):
    """Divides by a power of the energy in ``size`` neighbouring channels (Krizhevsky 2012)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input (N, C, *) normalised, of the same shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)


class CrossMapLRN2d(_ResponseNorm):
    """`LocalResponseNorm` of images, with ``(size - 1) // 2`` channels on either side."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        """Remember the options; errors are those of `LocalResponseNorm`."""
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input (N, C, H, W) normalised, of the same shape."""
        return F.cross_map_lrn2d(input, self.size, self.alpha, self.beta, self.k)


class AdaIN(Module):
    """Gives each channel of the content the mean and deviation of the style (Huang et al. 2017)."""

    def __init__(self, eps: float = 1e-5) -> None:
        """Remember ``eps``, which is added to the variances."""
        super().__init__()
        self.eps = eps

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Return the content (N, C, *) with the statistics of the style (N, C, *)."""
        return F.adain(content, style, self.eps)

    def extra_repr(self) -> str:
        """Return the option."""
        return f"eps={self.eps}"
