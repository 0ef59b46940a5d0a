# SPDX-License-Identifier: Apache-2.0
"""Checks that all architectures share."""

from __future__ import annotations

from gradsmith import nn


def check_classes(model: str, num_classes: int) -> None:
    """Refuse a model without a class (ValueError)."""
    if num_classes < 1:
        raise ValueError(f"{model}: num_classes is {num_classes}, expected at least 1")


def init_he(model: nn.Module) -> None:
    """Set convolutions as He et al. (2015) do for ReLU, the weights of norms to 1."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            nn.init.ones_(module.weight)
