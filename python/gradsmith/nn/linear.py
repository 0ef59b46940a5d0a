# SPDX-License-Identifier: Apache-2.0
"""Fully connected layers, and the two layers that only change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops.gemm import bilinear, linear
from gradsmith.ops.shape import flatten, unflatten
from gradsmith.tensor import Tensor


class Identity(Module):
    """Returns its input; takes and ignores any arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Ignore all arguments."""
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input``."""
        return input


class Linear(Module):
    """``y = x weight^T + bias`` over the last dimension: (..., in_features) to (..., out_features).

    Attributes:
        weight: (out_features, in_features), uniform within 1 / sqrt(in_features) at first.
        bias: (out_features), drawn alike, or None.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: a size is negative.
        """
        super().__init__()
        self.in_features = checked_int("Linear", "in_features", in_features, 0)
        self.out_features = checked_int("Linear", "out_features", out_features, 0)
        self.weight = new_parameter(self.out_features, self.in_features, device=device, dtype=dtype)
        self.register_parameter(
            "bias", new_parameter(self.out_features, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        if self.in_features == 0:
            if self.bias is not None:
                init.zeros_(self.bias)
            return
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., out_features)."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )

    def _label(self) -> str:
        return f"Linear {self.in_features} -> {self.out_features}"


class Bilinear(Module):
    """``y_k = x1 weight_k x2^T + bias_k`` over the last dimensions of two inputs.

    Attributes:
        weight: (out_features, in1_features, in2_features).
        bias: (out_features) or None.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: a size is not positive.
        """
        super().__init__()
        self.in1_features = checked_int("Bilinear", "in1_features", in1_features)
        self.in2_features = checked_int("Bilinear", "in2_features", in2_features)
        self.out_features = checked_int("Bilinear", "out_features", out_features)
        self.weight = new_parameter(
            self.out_features, self.in1_features, self.in2_features, device=device, dtype=dtype
        )
        self.register_parameter(
            "bias", new_parameter(self.out_features, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within 1 / sqrt(in1_features)."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """Return (..., out_features)."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )

    def _label(self) -> str:
        return f"Bilinear {self.in1_features}, {self.in2_features} -> {self.out_features}"


class Flatten(Module):
    """Merges dimensions ``start_dim`` to ``end_dim`` into one; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        """Remember which dimensions to merge."""
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with fewer dimensions."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits dimension ``dim`` into the sizes given; one of them may be -1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        """Remember the sizes.

        Raises:
            TypeError: the dimension or a size is no int.
            ValueError: there are no sizes, or more than one is -1.
        """
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten: dim is a {type(dim).__name__}, expected an int")
        if not isinstance(unflattened_size, Sequence) or isinstance(unflattened_size, str):
            raise TypeError(
                f"Unflatten: unflattened_size is a {type(unflattened_size).__name__}, expected a "
                "sequence of ints"
            )
        self.dim = dim
        self.unflattened_size = tuple(
            checked_int("Unflatten", "unflattened_size", size, -1) for size in unflattened_size
        )
        if not self.unflattened_size or self.unflattened_size.count(-1) > 1:
            raise ValueError(
                f"Unflatten: unflattened_size is {self.unflattened_size}, expected at least one "
                "size, of which at most one is -1"
            )

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with ``dim`` split."""
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """Return the dimension and sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
