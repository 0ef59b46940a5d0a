# SPDX-License-Identifier: Apache-2.0
"""Architectures by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from gradsmith import nn
from gradsmith.models import lenet
from gradsmith.models.lenet import LeNet5 as LeNet5
from gradsmith.models.lenet import lenet5 as lenet5

# Name -> constructor and the size of one input, without the batch dimension.
_MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet5": (lenet5, lenet.INPUT_SIZE),
}


def list_models() -> list[str]:
    """Return the names that `get_model` knows."""
    return sorted(_MODELS)


def _entry(name: str) -> tuple[Callable[[], nn.Module], tuple[int, ...]]:
    if name not in _MODELS:
        near = difflib.get_close_matches(name.lower(), _MODELS, n=1, cutoff=0.4)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"model {name!r} is unknown{guess} (known: {', '.join(list_models())})")
    return _MODELS[name]


def get_model(name: str) -> nn.Module:
    """Return a model with fresh weights (ValueError for an unknown name)."""
    return _entry(name)[0]()


def model_input_size(name: str) -> tuple[int, ...]:
    """Return the size of one input of a model, as (C, H, W) (ValueError for an unknown name)."""
    return _entry(name)[1]
