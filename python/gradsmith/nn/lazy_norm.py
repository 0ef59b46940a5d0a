# SPDX-License-Identifier: Apache-2.0
"""Norms that learn the number of channels from the first input, and become ordinary ones then."""

from __future__ import annotations

from typing import Any, ClassVar

from gradsmith.nn.module import Module
from gradsmith.nn.norm_running import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _BatchNorm,
    _InstanceNorm,
    _RunningNorm,
)
from gradsmith.nn.parameter import UninitializedBuffer, UninitializedParameter
from gradsmith.tensor import Tensor


class _LazyNorm(_RunningNorm):
    """What lazy norms share; stands before the class whose parameters it makes late."""

    _becomes: ClassVar[type[Module]]

    def _open(self, device: Any, dtype: Any) -> None:
        """Put parameters and statistics without a shape in place of those that are there."""
        self.num_features = 0
        for name in ("weight", "bias"):
            if getattr(self, name) is not None:
                self.register_parameter(name, UninitializedParameter(device=device, dtype=dtype))
        for name in ("running_mean", "running_var"):
            if getattr(self, name) is not None:
                self.register_buffer(name, UninitializedBuffer(device, dtype))

    def _late(self) -> list[Any]:
        """Return what has no shape yet."""
        held = (self.weight, self.bias, self.running_mean, self.running_var)
        kinds = (UninitializedParameter, UninitializedBuffer)
        return [each for each in held if isinstance(each, kinds)]

    def reset_parameters(self) -> None:
        """Fill the parameters and statistics anew, once they have a shape."""
        if not self._late():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Give parameters and statistics their shape; loaded ones keep their values.

        Raises:
            ValueError: the input has other dimensions than the layer takes.
        """
        self._check_rank(input)
        without_batch = input.ndim == min(self.ranks) and issubclass(self._becomes, _InstanceNorm)
        self.num_features = input.shape[0 if without_batch else 1]
        late = self._late()
        for each in late:
            each.materialize((self.num_features,))
        if late:
            self.reset_parameters()
        self.__class__ = self._becomes  # type: ignore[assignment]


class _LazyBatchNorm(_LazyNorm, _BatchNorm):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make parameters without a shape; the arguments are those of `BatchNorm2d`."""
        super().__init__(1, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self._open(device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised, in its shape."""
        self.initialize_parameters(input)
        return _BatchNorm.forward(self, input)  # super() would look for the class it no longer has


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """A `BatchNorm1d` whose ``num_features`` are the channels of the first input."""

    _becomes = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """A `BatchNorm2d` whose ``num_features`` are the channels of the first input."""

    _becomes = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """A `BatchNorm3d` whose ``num_features`` are the channels of the first input."""

    _becomes = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm, _InstanceNorm):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make parameters without a shape; the arguments are those of `InstanceNorm2d`.

        As in PyTorch, the lazy ones have parameters and statistics unless told otherwise.
        """
        super().__init__(1, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self._open(device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised, in its shape."""
        self.initialize_parameters(input)
        return _InstanceNorm.forward(self, input)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """An `InstanceNorm1d` whose ``num_features`` are the channels of the first input."""

    _becomes = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """An `InstanceNorm2d` whose ``num_features`` are the channels of the first input."""

    _becomes = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """An `InstanceNorm3d` whose ``num_features`` are the channels of the first input."""

    _becomes = InstanceNorm3d
