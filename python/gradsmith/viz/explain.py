# SPDX-License-Identifier: Apache-2.0
"""Where a classifier looks: Grad-CAM, saliency, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import enable_grad, grad
from gradsmith.backend import Array
from gradsmith.data.transforms import Resize
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.tensor import Tensor, array_of
from gradsmith.viz.canvas import as_array, layer_of, names_of, new_axes


def _score(op: str, output: Any, target: Any) -> Tensor:
    """Return the sum of the scores of the classes asked for, by default of the highest."""
    if not isinstance(output, Tensor) or output.ndim != 2:
        shape = getattr(output, "shape", None)
        raise ValueError(f"{op}: the model gave shape {shape}, expected scores (N, C)")
    count, classes = output.shape
    if target is None:
        chosen = as_array(op, "output", output).argmax(axis=1)
    else:
        chosen = np.broadcast_to(as_array(op, "target", target), (count,))
    if chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= classes:
        raise ValueError(f"{op}: target is {target}, expected classes from 0 to {classes - 1}")
    return output[list(range(count)), [int(each) for each in chosen]].sum()


def _run(op: str, model: Module, inputs: Tensor) -> Any:
    check_module(op, "model", model)
    array_of(op, inputs, "inputs")
    training = model.training
    model.eval()
    try:
        with enable_grad():
            return model(inputs)
    finally:
        model.train(training)


def grad_cam(model: Module, inputs: Tensor, layer: Module | str, target: Any = None) -> Array:
    """Return heat maps (N, H, W) in [0, 1] of what speaks for a class (Selvaraju et al., 2017).

    The channels of the layer's output are added up, each weighted by the mean of its gradient; what
    speaks against the class is left out, and the map is enlarged to the input's size.

    Args:
        model: gives scores (N, C).
        inputs: (N, channels, H, W).
        layer: the last convolution as a rule, a module or its path.
        target: a class, or one per input; the highest score by default.

    Raises:
        ValueError: there is no such layer or class, or the layer gives no (N, C, h, w).
    """
    seen: list[Tensor] = []

    def keep(_module: Module, _inputs: Any, output: Tensor) -> Tensor:
        # Frozen layers record nothing; the map needs the gradient all the same.
        seen.append(output if output.requires_grad else output.detach().requires_grad_())
        return seen[-1]

    handle = layer_of("grad_cam", model, layer).register_forward_hook(keep)
    try:
        output = _run("grad_cam", model, inputs)
    finally:
        handle.remove()
    if len(seen) != 1 or seen[0].ndim != 4:
        shapes = [tuple(each.shape) for each in seen]
        raise ValueError(f"grad_cam: the layer gave {shapes}, expected one output (N, C, h, w)")
    (gradient,) = grad(_score("grad_cam", output, target), [seen[0]])
    weights = as_array("grad_cam", "gradient", gradient).mean(axis=(2, 3), keepdims=True)
    maps = np.maximum((weights * as_array("grad_cam", "maps", seen[0])).sum(axis=1), 0)
    maps = Resize(inputs.shape[2:], antialias=False)(maps)
    return np.asarray(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12))


def saliency(model: Module, inputs: Tensor, target: Any = None) -> Array:
    """Return |d score / d input|, the largest over channels, (N, H, W) (Simonyan et al., 2013).

    Args:
        model: gives scores (N, C).
        inputs: (N, channels, H, W).
        target: a class, or one per input; the highest score by default.

    Raises:
        ValueError: the input is not (N, C, H, W) or a class is out of range.
    """
    if array_of("saliency", inputs, "inputs").ndim != 4:
        raise ValueError(f"saliency: inputs have shape {inputs.shape}, expected (N, C, H, W)")
    leaf = inputs.detach().requires_grad_()
    (gradient,) = grad(_score("saliency", _run("saliency", model, leaf), target), [leaf])
    return np.asarray(np.abs(as_array("saliency", "gradient", gradient)).max(axis=1))


def plot_attention(
    weights: Any,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    *,
    ax: Any = None,
) -> Any:
    """Draw attention weights (queries, keys) with the words they belong to.

    Args:
        weights: (L, S).
        queries: L names of the rows, as the words written.
        keys: S names of the columns, as the words read.

    Raises:
        ValueError: the weights are not (L, S) or the names not as many.
    """
    shares = as_array("plot_attention", "weights", weights, ndim=2)
    rows = names_of("plot_attention", queries, shares.shape[0])
    columns = names_of("plot_attention", keys, shares.shape[1])
    ax = new_axes("plot_attention", ax, (2.0 + 0.3 * len(columns), 1.5 + 0.3 * len(rows)))
    ax.imshow(shares, cmap="viridis", vmin=0)
    ax.set_xticks(range(len(columns)), columns, rotation=90)
    ax.set_yticks(range(len(rows)), rows)
    return ax.figure
