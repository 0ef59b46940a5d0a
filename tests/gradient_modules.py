# SPDX-License-Identifier: Apache-2.0
"""Rows for the gradients of modules beside those of test_nn_modules: the module, its inputs.

They draw, keep statistics or are recurrent, so that no one function computes the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from tests import nn_losses
from tests.nn_models import IMAGE, SIGNAL, VOLUME, X, normal

Row = tuple[nn.Module, tuple[Any, ...]]
STEPS_X, STATE = normal(3, 2, 4), normal(2, 5)
CELL_X, MEMORY = normal(2, 4), normal(2, 3, 4)
MASKLESS = {"dropout": 0.0, "batch_first": True}
# Their outputs are off the tape, and stay the same where inputs and weights change a little.
STEPS = ["Competitive"]
CONTAINERS = [nn.Module, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict]


@dataclass
class Moving:
    """Numbers that move along directions.

    Attributes:
        start: where they are at first.
        directions: one a column, in a last dimension.
        made: what becomes of them before the module has them.
    """

    start: gs.Tensor
    directions: gs.Tensor
    made: Callable[[gs.Tensor], gs.Tensor]

    def at(self, place: gs.Tensor) -> gs.Tensor:
        return self.made(self.start + (self.directions * place).sum(-1))


@dataclass
class Given:
    """An input that is made of the tensor that moves, or that stays."""

    value: gs.Tensor
    made: Callable[[gs.Tensor], gs.Tensor] = lambda x: x
    moves: bool = True


def is_movable(x: Any) -> bool:
    """Whether an input is a tensor of numbers, not of labels."""
    if not isinstance(x, gs.Tensor) or not x.is_floating_point():
        return False
    return not np.isin(x.detach().numpy(), (-1, 0, 1)).all()


def _met(module: nn.Module, x: gs.Tensor) -> nn.Module:
    """Return a lazy module that has seen an input."""
    module(x)
    return module


def _graph() -> nn.Module:
    entry = nn.Input((6,))
    return nn.Graph(entry, nn.Linear(6, 3)(entry))


def _lazy() -> dict[str, Row]:
    rows: dict[str, Row] = {"LazyLinear": (_met(nn.LazyLinear(2), X), (X,))}
    for dims, x in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        for name in (f"LazyConv{dims}d", f"LazyConvTranspose{dims}d"):
            rows[name] = _met(getattr(nn, name)(1, 2), x), (x,)
    return rows


DRAWING: dict[str, Row] = {
    **_lazy(),
    "Sequential": (nn.Sequential(nn.Linear(6, 3), nn.Tanh()), (X,)),
    "Parallel": (nn.Parallel(nn.Linear(6, 3), nn.Tanh()), (X,)),
    "Graph": (_graph(), (X,)),
    "BatchNorm1d": (nn.BatchNorm1d(6), (X,)),
    "BatchNorm2d": (nn.BatchNorm2d(4), (IMAGE,)),
    "BatchNorm2d off": (nn.BatchNorm2d(4).eval(), (IMAGE,)),
    "BatchNorm3d": (nn.BatchNorm3d(4), (VOLUME,)),
    "InstanceNorm3d": (nn.InstanceNorm3d(4, affine=True), (VOLUME,)),
    "Dropout": (nn.Dropout(), (X,)),
    "Dropout1d": (nn.Dropout1d(), (SIGNAL,)),
    "Dropout2d": (nn.Dropout2d(), (IMAGE,)),
    "Dropout3d": (nn.Dropout3d(), (VOLUME,)),
    "AlphaDropout": (nn.AlphaDropout(), (X,)),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout(), (SIGNAL,)),
    "GaussianDropout": (nn.GaussianDropout(0.5), (X,)),
    "GaussianNoise": (nn.GaussianNoise(0.5), (X,)),
    "RReLU": (nn.RReLU(), (X,)),
    "RNN": (nn.RNN(4, 5, 2, bidirectional=True), (STEPS_X,)),
    "LSTM": (nn.LSTM(4, 5, 2, proj_size=3), (STEPS_X,)),
    "GRU": (nn.GRU(4, 5, batch_first=True), (STEPS_X,)),
    "PeepholeLSTM": (nn.PeepholeLSTM(4, 5), (STEPS_X,)),
    "RNNCell": (nn.RNNCell(4, 5), (CELL_X, STATE)),
    "LSTMCell": (nn.LSTMCell(4, 5), (CELL_X,)),
    "GRUCell": (nn.GRUCell(4, 5), (CELL_X, STATE)),
    "PeepholeLSTMCell": (nn.PeepholeLSTMCell(4, 5), (CELL_X,)),
    "AdaptiveLogSoftmaxWithLoss": (
        nn.AdaptiveLogSoftmaxWithLoss(6, 9, [2, 5], div_value=2.0, head_bias=True),
        (X, gs.tensor([0, 3, 8, 5])),
    ),
    "AdditiveAttention": (nn.AdditiveAttention(4, 4, 3), (MEMORY, MEMORY.flip(1))),
    "DotAttention": (nn.DotAttention(), (MEMORY, MEMORY.flip(1))),
    "MultiheadAttention": (
        nn.MultiheadAttention(4, 2, batch_first=True),
        (MEMORY, MEMORY.flip(1), MEMORY.flip(0)),
    ),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(4, 2, 5, **MASKLESS), (MEMORY,)),
    "TransformerDecoderLayer": (
        nn.TransformerDecoderLayer(4, 2, 5, **MASKLESS),
        (MEMORY, MEMORY.flip(1)),
    ),
    "TransformerEncoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5, **MASKLESS), 1),
        (MEMORY,),
    ),
    "TransformerDecoder": (
        nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 5, **MASKLESS), 1),
        (MEMORY, MEMORY.flip(1)),
    ),
    "CTCLoss": (  # whose gradient is for log-probabilities of log_softmax
        nn.CTCLoss(),
        (Given(normal(5, 2, 4), lambda x: F.log_softmax(x, 2)), *nn_losses.CTC[1:]),
    ),
    "YOLOLoss": (  # without objectness, whose target, the overlap, is a constant
        nn.YOLOLoss(nn_losses.ANCHORS, object_weight=0.0),
        (normal(2, 14, 3, 3), nn_losses.OBJECTS),
    ),
    "PerceptualLoss": (  # whose target is a constant, and features are not trained
        nn.PerceptualLoss(nn.utils.freeze(copy.deepcopy(nn_losses.FEATURES)), ["0"], style=True),
        (nn_losses.IMAGES, Given(nn_losses.SHARES, moves=False)),
    ),
    "Transformer": (nn.Transformer(4, 2, 1, 1, 5, **MASKLESS), (MEMORY, MEMORY.flip(1))),
}
