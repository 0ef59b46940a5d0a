# SPDX-License-Identifier: Apache-2.0
"""What all pictures share: figures, arrays of tensors, images ready to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import no_grad
from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.tensor import Tensor


def pyplot() -> Any:
    """Return matplotlib.pyplot (ImportError saying how to get it)."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "gradsmith.viz needs matplotlib: pip install 'gradsmith[viz]' brings it"
        ) from error
    return matplotlib.pyplot


def new_axes(op: str = "new_axes", ax: Any = None, size: tuple[float, float] = (5.0, 4.0)) -> Any:
    """Return the axes to draw on: those given, or those of a new figure of ``size`` inches.

    Raises:
        TypeError: ``ax`` is something else.
    """
    if ax is not None:
        if not hasattr(ax, "imshow"):
            raise TypeError(f"{op}: ax is a {type(ax).__name__}, expected Axes of matplotlib")
        return ax
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def new_grid(rows: int, columns: int, size: float = 1.2) -> tuple[Any, Array]:
    """Return a new figure and its axes (rows, columns), frames hidden."""
    figure, axes = pyplot().subplots(
        rows,
        columns,
        figsize=(max(2.0, size * columns), max(1.5, size * rows)),
        squeeze=False,
        layout="constrained",
    )
    for each in axes.flat:
        each.set_axis_off()
    return figure, axes


def as_array(op: str, argument: str, value: Any, ndim: int | None = None) -> Array:
    """Return a tensor, array or nested list as an array (ValueError for other dimensions)."""
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        array = array.astype(np.float32)  # bfloat16, which NumPy calls void
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{op}: {argument} has shape {array.shape}, expected {ndim} dimensions")
    return np.asarray(array)


def as_pictures(op: str, images: Any) -> Array:
    """Return images (N, C, H, W) or (N, H, W), C 1 or 3, as (N, H, W, 3) in [0, 1].

    uint8 is divided by 255. Floating images outside [0, 1] are stretched, all by the same numbers.
    """
    array = as_array(op, "images", images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.shape[1] not in (1, 3) or array.shape[0] == 0:
        raise ValueError(
            f"{op}: images have shape {array.shape}, expected (N, C, H, W) with C 1 or 3, or "
            "(N, H, W)"
        )
    if array.dtype == np.uint8:
        array = array / np.float32(255)
    else:
        array = stretched(array.astype(np.float32))
    array = np.moveaxis(array, 1, -1)
    return np.broadcast_to(array, (*array.shape[:3], 3))


def stretched(values: Array) -> Array:
    """Return finite values as they are if within [0, 1], else mapped onto it."""
    values = np.nan_to_num(values)
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if low >= 0.0 and high <= 1.0:
        return values
    low = float(values.min())
    return (values - low) / max(high - low, 1e-12)


def names_of(op: str, names: Sequence[str] | None, count: int) -> list[str]:
    """Return the names, numbers where there are none (ValueError for another count)."""
    if names is None:
        return [str(number) for number in range(count)]
    if len(names) != count:
        raise ValueError(f"{op}: there are {len(names)} names, expected {count}")
    return [str(name) for name in names]


def predictions(model: Any, inputs: Tensor) -> Tensor:
    """Return the model's output in evaluation mode, without a tape; its mode is kept.

    The inputs go to the device of the model's parameters; a method of a model counts as the model.
    """
    owner = getattr(model, "__self__", model)
    first = next(owner.parameters(), None) if isinstance(owner, Module) else None
    inputs = inputs if first is None else inputs.to(first.device)
    training = isinstance(owner, Module) and owner.training
    if training:
        owner.eval()
    try:
        with no_grad():
            output = model(inputs)
    finally:
        if training:
            owner.train()
    if not isinstance(output, Tensor):
        raise TypeError(f"the model gave a {type(output).__name__}, expected a tensor")
    return output


def layer_of(op: str, model: Module, layer: Module | str) -> Module:
    """Return a module of the model, given itself or by its path (ValueError for no such layer)."""
    check_module(op, "model", model)
    if isinstance(layer, Module):
        return layer
    found = dict(model.named_modules())
    if layer not in found:
        raise ValueError(f"{op}: the model has no layer {layer!r}, but {', '.join(found)[1:]}")
    return found[layer]
