# SPDX-License-Identifier: Apache-2.0
"""Parameters that are not trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gradsmith.nn.module_tree import check_module

if TYPE_CHECKING:
    from gradsmith.nn.module import Module

M = TypeVar("M", bound="Module")


def freeze(module: M) -> M:
    """Stop the training of all parameters of a module, and return it.

    Their gradients are dropped, so that an optimiser that holds them leaves them as they are.
    Running statistics of batch norm go on in training mode; ``module.eval()`` stops them too.

    Example:
        >>> import gradsmith as gs
        >>> layer = gs.nn.utils.freeze(gs.nn.Linear(2, 1))
        >>> layer.weight.requires_grad
        False

    Raises:
        TypeError: it is no module.
    """
    check_module("freeze", "module", module)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return module


def unfreeze(module: M) -> M:
    """Train all parameters of a module again, and return it (TypeError where it is none)."""
    check_module("unfreeze", "module", module)
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    return module
