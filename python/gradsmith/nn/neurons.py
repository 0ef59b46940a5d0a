# SPDX-License-Identifier: Apache-2.0
"""Neurons of the textbooks: radial basis functions, winner-take-all, maxout; and similarity."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.linear import Linear
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops.neurons import METRICS, kohonen_step
from gradsmith.tensor import Tensor


class RBF(Module):
    """Squared distances to centres, or Gaussians of them.

    Plain, it is the output layer of LeNet-5 (LeCun 1998): copy the +-1 patterns into ``centers``
    and set ``centers.requires_grad = False``.

    Attributes:
        centers: (out_features, in_features), standard normal at first.
        width: (out_features), 1 at first, or None without ``gaussian``.
    """

    centers: Parameter
    width: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        gaussian: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Args:
            in_features: size of the vectors.
            out_features: number of centres.
            gaussian: return ``exp(-distance / (2 width^2))`` with a trainable width per centre.
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            ValueError: a size is not positive.
        """
        super().__init__()
        self.in_features = checked_int("RBF", "in_features", in_features)
        self.out_features = checked_int("RBF", "out_features", out_features)
        shape = (self.out_features, self.in_features)
        self.centers = new_parameter(*shape, device=device, dtype=dtype)
        width = new_parameter(self.out_features, device=device, dtype=dtype) if gaussian else None
        self.register_parameter("width", width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the centres anew and set the widths to 1."""
        init.normal_(self.centers)
        if self.width is not None:
            init.ones_(self.width)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., out_features) for (..., in_features)."""
        return F.rbf(input, self.centers, self.width)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"gaussian={self.width is not None}"
        )


class Competitive(Module):
    """Winner-take-all: 1 for the unit nearest to the input; trained by `update`, not by gradients.

    Attributes:
        weight: (out_features, in_features), uniform in [0, 1) at first; requires no gradient.
    """

    weight: Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        metric: str = "euclidean",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the weights.

        Args:
            in_features: size of the vectors.
            out_features: number of units.
            metric: who wins: ``"euclidean"`` the smallest distance, ``"dot"`` the largest product.
            device: where the weights are.
            dtype: floating dtype of the weights.

        Raises:
            ValueError: a size is not positive, or the metric unknown.
        """
        super().__init__()
        self.in_features = checked_int("Competitive", "in_features", in_features)
        self.out_features = checked_int("Competitive", "out_features", out_features)
        if metric not in METRICS:
            expected = ", ".join(METRICS)
            raise ValueError(f"Competitive: metric is {metric!r}, expected one of {expected}")
        self.metric = metric
        shape = (self.out_features, self.in_features)
        self.weight = new_parameter(*shape, device=device, dtype=dtype)
        self.weight.requires_grad_(False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        init.uniform_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Return one-hot (..., out_features) for (..., in_features), off the tape."""
        return F.winner_take_all(input, self.weight, self.metric)

    def update(self, input: Tensor, lr: float = 0.1) -> None:
        """Move each winner towards its inputs by Kohonen's rule (see `kohonen_step`)."""
        with no_grad():
            self.weight.copy_(kohonen_step(input, self.weight, lr, self.metric))

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"metric={self.metric!r}"
        )


class Maxout(Module):
    """Maximum of several affine maps per output (Goodfellow 2013).

    Attributes:
        linear: the maps, ``pieces`` in a row for each output.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the maps.

        Args:
            in_features: size of the input.
            out_features: size of the output.
            pieces: maps per output.
            bias: whether to add a bias.
            device: where the parameters are.
            dtype: floating dtype of the parameters.

        Raises:
            ValueError: a size is not positive.
        """
        super().__init__()
        self.pieces = checked_int("Maxout", "pieces", pieces)
        self.out_features = checked_int("Maxout", "out_features", out_features)
        self.linear = Linear(in_features, self.out_features * self.pieces, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., out_features) for (..., in_features)."""
        return F.maxout(self.linear(input), self.pieces, -1)

    def extra_repr(self) -> str:
        """Return the number of maps."""
        return f"out_features={self.out_features}, pieces={self.pieces}"


class CosineSimilarity(Module):
    """Cosine of the angle between vectors along a dimension."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        """Remember the dimension and the least norm to divide by."""
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return numbers in [-1, 1]."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """p-norm of the differences along the last dimension."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        """Remember the order, what is added to the differences, and whether to keep the dim."""
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the distances."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
