# SPDX-License-Identifier: Apache-2.0
"""Training and evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradsmith.nn import Module


@contextmanager
def mode(model: Module, training: bool) -> Iterator[None]:
    """Put the model into a mode, and every module back into its own afterwards."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in before:
            module.training = was_training
