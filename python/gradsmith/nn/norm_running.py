# SPDX-License-Identifier: Apache-2.0
"""Normalisation of channels with running statistics: batch and instance normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from gradsmith.backend import EXTENSIONS, int64
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops.creation import empty, zeros
from gradsmith.ops.norm import rectified_batch_norm
from gradsmith.tensor import Tensor, array_of


class _RunningNorm(Module):
    """Normalises channels and may track their statistics; batch and instance norm share it.

    Attributes:
        weight: (C), ones at first, or None.
        bias: (C), zeros at first, or None.
        running_mean: (C) or None.
        running_var: (C) or None.
        num_batches_tracked: int64 scalar or None.
    """

    ranks: ClassVar[tuple[int, ...]]
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = checked_int(type(self).__name__, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        n, place = self.num_features, {"device": device, "dtype": dtype}
        self.register_parameter("weight", new_parameter(n, **place) if affine else None)
        self.register_parameter("bias", new_parameter(n, **place) if affine and bias else None)
        tracks = track_running_stats
        self.register_buffer("running_mean", empty(n, **place) if tracks else None)
        self.register_buffer("running_var", empty(n, **place) if tracks else None)
        self.register_buffer(
            "num_batches_tracked", zeros((), device=device, dtype=int64) if tracks else None
        )
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batches."""
        if self.running_mean is not None:
            init.zeros_(self.running_mean)
        if self.running_var is not None:
            init.ones_(self.running_var)
        if self.num_batches_tracked is not None:
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros, and forget the statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_rank(self, input: Tensor) -> None:
        if array_of(type(self).__name__, input).ndim not in self.ranks:
            expected = " or ".join(f"{rank}-d" for rank in self.ranks)
            raise ValueError(f"input has shape {input.shape}, expected a {expected} input")

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _label(self) -> str:
        return f"{type(self).__name__} {self.num_features}"


class _BatchNorm(_RunningNorm):
    """Normalises each channel over the batch and all positions."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make parameters and statistics.

        Args:
            num_features: channels C.
            eps: added to the variance.
            momentum: share of a new batch in the running statistics; None averages all batches.
            affine: whether there are a weight and a bias.
            track_running_stats: whether evaluation uses statistics of the training batches.
            device: where the tensors are.
            dtype: floating dtype of the tensors.
            bias: whether there is a bias, if ``affine``.

        Raises:
            ValueError: ``num_features`` is not positive.
        """
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised; in training the running statistics change."""
        return self._normalized(input, F.batch_norm)

    def _then_relu(self, input: Tensor) -> Tensor:
        """Return what `ReLU` makes of the result of `forward`, in one pass over memory."""
        return self._normalized(input, rectified_batch_norm)

    def _normalized(self, input: Tensor, function: Callable[..., Tensor]) -> Tensor:
        self._check_rank(input)
        counted = self.num_batches_tracked if self.training and self.track_running_stats else None
        tracks = not self.training or self.track_running_stats
        share = self.momentum
        if share is None:
            share = 0.0 if counted is None else 1.0 / (int(counted) + 1)
        result = function(
            input,
            self.running_mean if tracks else None,
            self.running_var if tracks else None,
            self.weight,
            self.bias,
            self.training or (self.running_mean is None and self.running_var is None),
            share,
            self.eps,
        )
        if counted is not None:
            counts = counted._array
            EXTENSIONS[type(counts)].add(counts, 1, 0.0, 0.0, counts)
            counted._bump()
        return result


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W)."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W)."""

    ranks = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over all processes: in one process, that of any number of dimensions."""

    ranks = (2, 3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make parameters and statistics; the arguments are those of `BatchNorm2d`.

        Raises:
            ValueError: a process group is given; there is one process.
        """
        if process_group is not None:
            raise ValueError("SyncBatchNorm: process_group is given, expected None (one process)")
        place = {"device": device, "dtype": dtype}
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, **place, bias=bias
        )

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """Return the module with every batch normalisation in it replaced by one of this class.

        Parameters and statistics are the same tensors as before.
        """
        if isinstance(module, _BatchNorm) and not isinstance(module, cls):
            converted = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
                bias=module.bias is not None,
            )
            for name in module._kinds:
                setattr(converted, name, getattr(module, name))
            return converted.train(module.training)
        for name, child in module.named_children():
            module.set_submodule(name, cls.convert_sync_batchnorm(child, process_group))
        return module


class _InstanceNorm(_RunningNorm):
    """Normalises each channel of each sample over its positions."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make parameters and statistics; the arguments are those of `BatchNorm2d`."""
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised; the batch dimension may be left out."""
        self._check_rank(input)
        unbatched = input.ndim == self.ranks[0]
        result = F.instance_norm(
            input.unsqueeze(0) if unbatched else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return result.squeeze(0) if unbatched else result


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L)."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W)."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W)."""

    ranks = (4, 5)
