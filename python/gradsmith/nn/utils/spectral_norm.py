# SPDX-License-Identifier: Apache-2.0
"""Weights divided by their largest singular value (Miyato et al. 2018)."""

from __future__ import annotations

from typing import Any, TypeVar

from gradsmith.autograd import no_grad
from gradsmith.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.nn.sizes import checked_int
from gradsmith.nn.utils.reparametrization import (
    Reparametrization,
    attach,
    detach,
)
from gradsmith.ops.elementwise import div
from gradsmith.ops.gemm import dot, mv
from gradsmith.ops.norm_scale import normalize
from gradsmith.ops.random import randn
from gradsmith.ops.shape import axis_of, movedim, reshape, transpose
from gradsmith.tensor import Tensor

_M = TypeVar("_M", bound=Module)


class SpectralNorm(Reparametrization):
    """Power iteration on the weight as a matrix; each training pass takes it further."""

    title = "spectral_norm"

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        """Remember the options."""
        super().__init__(name)
        self.n_power_iterations = n_power_iterations
        self.eps = eps
        self.dim = dim

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the weight with its outputs as rows."""
        return reshape(movedim(weight, self.dim, 0), (weight.shape[self.dim], -1))

    def compute(self, module: Module) -> Tensor:
        """Return the weight over ``u . W v``."""
        weight = module.get_parameter(f"{self.name}_orig")
        # Copies: the next pass changes the buffers, perhaps before this one's gradients.
        u, v = (module.get_buffer(f"{self.name}_{each}").clone() for each in "uv")
        return div(weight, dot(u, mv(self.matrix(weight), v)))

    @no_grad()
    def improve(self, module: Module) -> None:
        """Take the singular vectors further."""
        matrix = self.matrix(module.get_parameter(f"{self.name}_orig"))
        u, v = (module.get_buffer(f"{self.name}_{each}") for each in "uv")
        for _ in range(self.n_power_iterations):
            v.copy_(normalize(mv(transpose(matrix, 0, 1), u), dim=0, eps=self.eps))
            u.copy_(normalize(mv(matrix, v), dim=0, eps=self.eps))

    def __call__(self, module: Module, args: Any) -> None:
        """Set the attribute before a forward pass, in training with better vectors."""
        if module.training:
            self.improve(module)
        super().__call__(module, args)


def spectral_norm(
    module: _M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> _M:
    """Divide a module's weight by its largest singular value before every forward pass.

    The parameter becomes ``<name>_orig``; the buffers ``<name>_u`` and ``<name>_v`` are the
    singular vectors, which each pass in training improves by power iteration.

    Example:
        >>> from gradsmith import nn
        >>> list(nn.utils.spectral_norm(nn.Linear(3, 2)).state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']

    Args:
        module: the module, which is changed and returned.
        name: of the parameter.
        n_power_iterations: per pass in training.
        eps: the least length that a vector is divided by.
        dim: dimension of the outputs: 1 for transposed convolutions, else 0 by default.

    Raises:
        TypeError: it is no module, or an option no number.
        ValueError: there is no such parameter, it is normalised already, it is a scalar, or there
            are no iterations.
    """
    check_module("spectral_norm", "module", module)
    checked_int("spectral_norm", "n_power_iterations", n_power_iterations)
    weight = module.get_parameter(name)
    if dim is None:
        transposed = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
        dim = 1 if isinstance(module, transposed) else 0
    if not weight.ndim:
        raise ValueError(f"spectral_norm: {name} is a scalar, expected a matrix or more")
    hook = SpectralNorm(name, n_power_iterations, eps, axis_of("spectral_norm", dim, weight.ndim))
    vectors = [
        normalize(randn(size, dtype=weight.dtype, device=weight.device), dim=0, eps=eps)
        for size in hook.matrix(weight.detach()).shape
    ]
    u, v = vectors
    attach(hook, module, {f"{name}_orig": weight, f"{name}_u": u, f"{name}_v": v})
    return module


def remove_spectral_norm(module: _M, name: str = "weight") -> _M:
    """Make an ordinary parameter of the normalised weight, as it is.

    Raises:
        TypeError: it is no module.
        ValueError: the weight is not normalised.
    """
    detach(SpectralNorm, module, name, ("orig", "u", "v"))
    return module
