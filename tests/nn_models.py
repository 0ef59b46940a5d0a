# SPDX-License-Identifier: Apache-2.0
"""Small models with nested modules, parameters and buffers, and inputs, for the tests of `nn`."""

from __future__ import annotations

import numpy as np

import gradsmith as gs
from gradsmith import nn


def normal(*shape: int) -> gs.Tensor:
    return gs.tensor(np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32))


X, IMAGE, VOLUME, SIGNAL = normal(4, 6), normal(2, 4, 7, 6), normal(2, 4, 5, 6, 4), normal(2, 4, 9)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.scale = nn.Parameter(gs.ones(3))
        self.register_buffer("count", gs.zeros(3))
        self.register_buffer("scratch", gs.zeros(2), persistent=False)

    def forward(self, x: gs.Tensor) -> gs.Tensor:
        return self.fc(x) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(Block(), nn.ReLU())
        self.head = nn.Linear(3, 2, bias=False)

    def forward(self, x: gs.Tensor) -> gs.Tensor:
        return self.head(self.encoder(x))


KEYS = ["encoder.0.scale", "encoder.0.count", "encoder.0.fc.weight", "encoder.0.fc.bias"]
KEYS.append("head.weight")


def set_parameters(module: nn.Module, values: dict[str, gs.Tensor]) -> None:
    """Let tensors of any graph take the place of parameters, by their dotted names."""
    for path, value in values.items():
        place, _, name = path.rpartition(".")
        owner = module.get_submodule(place)
        object.__setattr__(owner, name, value)
        owner._kinds[name] = "parameter"


def snapshot(module: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy().copy() for key, value in module.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[key], b[key]) for key in a)
