# SPDX-License-Identifier: Apache-2.0
"""Arguments that may be tensors and have no gradient, and why.

A key is ``function(argument)``, as in `gradient_samples`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.gradient_samples import CLASSES, ROWS, VECTOR, X, positive


class Fixed(Enum):
    """Why an argument has no gradient; test_every_gradient_argument.py tests what it says."""

    WHOLE = "integers, bools or labels: other numbers are refused"
    HELD = "a constant by definition: no gradient reaches it"
    REFUSED = "a constant: one that requires a gradient is refused"
    UNKNOWN = "no closed form is known: its gradient is refused when it is asked for"


WHOLE = """
gs.cov(fweights) gs.gather(index) gs.index_add(index) gs.index_copy(index) gs.index_fill(index)
gs.index_put(indices) gs.index_reduce(index) gs.index_select(index) gs.masked_fill(mask)
gs.masked_scatter(mask) gs.masked_select(mask) gs.put(index) gs.repeat_interleave(repeats)
gs.scatter(index) gs.scatter_add(index) gs.scatter_reduce(index) gs.take(index)
gs.take_along_dim(indices) gs.where(condition) Tensor.where(condition)
F.contrastive_loss(target) F.cosine_embedding_loss(target) F.additive_attention(mask)
F.dot_attention(mask) F.td_loss(done)
F.ctc_loss(targets) F.embedding(input)
F.embedding_bag(input) F.embedding_bag(offsets) F.hinge_embedding_loss(target) F.hinge_loss(target)
F.margin_ranking_loss(target) F.masked_conv2d(mask) F.masked_max(lengths) F.masked_mean(lengths)
F.max_unpool1d(indices) F.max_unpool2d(indices) F.max_unpool3d(indices) F.multi_margin_loss(target)
F.multilabel_margin_loss(target) F.nll_loss(target) F.rbf_distance_loss(target)
F.sequence_cross_entropy(target) F.sequence_cross_entropy(lengths) F.soft_margin_loss(target)
F.squared_hinge_loss(target) F.table_conv2d(table)
gs.lu_solve(LU_pivots) gs.lu_unpack(LU_pivots) gs.linalg.lu_solve(pivots)
gs.nn.utils.rnn.pack_padded_sequence(lengths) gs.nn.utils.rnn.unpad_sequence(lengths)
"""
# Found in no Case: a call with floats.
WHOLE_CALLS: dict[str, Callable[[gs.Tensor], Any]] = {
    "gs.narrow(start)": lambda place: gs.tensor(X).narrow(0, place[0, 0], 1),
    "gs.tensor_split(indices_or_sections)": lambda places: gs.tensor_split(
        gs.tensor(VECTOR), places[0]
    ),
    "Tensor.__getitem__(index)": lambda places: gs.tensor(X)[places],
}


def _running(function: Callable[..., Any], place: int, **options: Any) -> Callable[..., Any]:
    """Return a call with running statistics, of which one is given."""

    def call(given: gs.Tensor) -> Any:
        statistics = [gs.ones(3, dtype=gs.float64)] * 2
        statistics[place] = given[0]
        return function(gs.tensor(ROWS.swapaxes(1, 2)), *statistics, **options)

    return call


_LEAF = gs.tensor(ROWS, requires_grad=True)
_POLYNOMIALS = [name for name in vars(gs.special) if "_polynomial_" in name]
_BOXES = gs.tensor([[0.0, 0.0, 0.0, 2.0, 2.0]], dtype=gs.float64)
_MAP = gs.tensor(np.arange(16.0).reshape(1, 1, 4, 4), requires_grad=True)
HELD: dict[str, Callable[[gs.Tensor], Any]] = {
    "F.feature_matching_loss(real)": lambda x: F.feature_matching_loss(_LEAF[:, :, 0], x),
    "F.policy_gradient_loss(returns)": lambda x: F.policy_gradient_loss(_LEAF[:, :, 0], x),
    "F.policy_gradient_loss(baseline)": lambda x: F.policy_gradient_loss(_LEAF[:, :, 0], x, x),
    "F.td_loss(reward)": lambda x: F.td_loss(_LEAF[:, :, 0], x, x, gs.zeros(2, 3)),
    "F.td_loss(next_value)": lambda x: F.td_loss(_LEAF[:, :, 0], x, x, gs.zeros(2, 3)),
    "F.fractional_max_pool2d(_random_samples)": lambda x: F.fractional_max_pool2d(
        _MAP, 2, 2, _random_samples=x[:1, :2].reshape(1, 1, 2)
    ),
    "F.fractional_max_pool3d(_random_samples)": lambda x: F.fractional_max_pool3d(
        _MAP[None].expand(1, 1, 4, 4, 4), 2, 2, _random_samples=x[:1].reshape(1, 1, 3)
    ),
    "F.roi_align(boxes)": lambda x: F.roi_align(_MAP, _BOXES + x[0, 0] * 0, 2),
    "F.roi_pool(boxes)": lambda x: F.roi_pool(_MAP, _BOXES + x[0, 0] * 0, 2),
    "F.yolo_boxes(anchors)": lambda x: F.yolo_boxes(_MAP.expand(1, 7, 4, 4), x[:1, :2])[0],
    "F.yolo_loss(anchors)": lambda x: F.yolo_loss(
        _MAP.expand(1, 7, 4, 4), [[[1.0, 0.4, 0.6, 0.3, 0.2]]], x[:1, :2]
    ),
    "Tensor.expand_as(other)": lambda x: _LEAF[0, :2, :1].expand_as(x[:, :2]),
    "Tensor.reshape_as(other)": lambda x: _LEAF[:, :, 0].reshape_as(x),
    "Tensor.view_as(other)": lambda x: _LEAF.detach()[0].requires_grad_().view_as(x),
    **{
        f"gs.special.{name}(n)": lambda x, name=name: getattr(gs.special, name)(
            _LEAF[:, :, 0], x * 4
        )
        for name in _POLYNOMIALS
    },
    "gs.linalg.pinv(atol)": lambda x: gs.linalg.pinv(_LEAF[0], atol=x[0, 0]),
    "gs.linalg.pinv(rtol)": lambda x: gs.linalg.pinv(_LEAF[0], rtol=x[0, 0]),
}
REFUSED: dict[str, Callable[[gs.Tensor], Any]] = {
    "F.batch_norm(running_mean)": _running(F.batch_norm, 0),
    "F.batch_norm(running_var)": _running(F.batch_norm, 1),
    "F.batch_norm_relu(running_mean)": _running(F.batch_norm_relu, 0),
    "F.batch_norm_relu(running_var)": _running(F.batch_norm_relu, 1),
    "F.instance_norm(running_mean)": _running(F.instance_norm, 0),
    "F.instance_norm(running_var)": _running(F.instance_norm, 1, use_input_stats=False),
    "F.nll_loss(weight)": lambda w: F.nll_loss(gs.tensor(X), CLASSES, w[0]),
    "F.sequence_cross_entropy(weight)": lambda w: F.sequence_cross_entropy(
        gs.tensor(X[None]), CLASSES[None], weight=w[0]
    ),
    "gs.scatter(value)": lambda x: gs.tensor(X).scatter(0, gs.tensor([[0]]), value=x[0, 0]),
}
UNKNOWN: dict[str, Callable[[gs.Tensor], Any]] = {
    "gs.igamma(input)": lambda x: gs.igamma(x, 2.0),
    "gs.igammac(input)": lambda x: gs.igammac(x, 2.0),
    "gs.special.zeta(input)": lambda x: gs.special.zeta(x + 1, gs.ones(1)),
}
CONSTANTS: dict[str, Fixed] = {
    **dict.fromkeys((*WHOLE.split(), *WHOLE_CALLS), Fixed.WHOLE),
    **dict.fromkeys(HELD, Fixed.HELD),
    **dict.fromkeys(REFUSED, Fixed.REFUSED),
    **dict.fromkeys(UNKNOWN, Fixed.UNKNOWN),
}
GIVEN = gs.tensor(positive(2, 3), requires_grad=True)
# Take no tensors, though nothing but their name says so.
OPTIONS = ("dtype", "device", "dim", "dims", "shape", "size", "repeats")
