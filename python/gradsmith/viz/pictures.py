# SPDX-License-Identifier: Apache-2.0
"""Images, what layers make of them, and what was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.nn import Module
from gradsmith.tensor import Tensor, array_of
from gradsmith.viz.canvas import (
    as_array,
    as_pictures,
    layer_of,
    names_of,
    new_axes,
    new_grid,
    predictions,
    stretched,
)

_COLOURS = np.array(
    [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75)]
)


def image_grid(images: Any, columns: int = 8, padding: int = 2) -> Array:
    """Return images (N, C, H, W) side by side as one picture (rows, columns, 3), uint8.

    Args:
        images: C is 1 or 3; uint8, or floating within [0, 1], else stretched to it.
        columns: images per row.
        padding: white pixels between them.

    Raises:
        ValueError: the shape is another, columns < 1 or padding < 0.
    """
    pictures = as_pictures("image_grid", images)
    if columns < 1 or padding < 0:
        raise ValueError(
            f"image_grid: columns is {columns}, padding {padding}, expected >= 1, >= 0"
        )
    count, height, width = pictures.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (rows * (height + padding) - padding, columns * (width + padding) - padding, 3)
    grid = np.full(size, 255, np.uint8)
    for number, picture in enumerate(np.rint(pictures * 255).astype(np.uint8)):
        top = number // columns * (height + padding)
        left = number % columns * (width + padding)
        grid[top : top + height, left : left + width] = picture
    return grid


def reconstruction_rows(*rows: Any, titles: Sequence[str] | None = None, count: int = 10) -> Any:
    """Draw rows of images above each other: originals, noisy ones, reconstructions.

    Args:
        rows: each (N, C, H, W) or (N, H, W).
        titles: one per row.
        count: images per row at most.

    Raises:
        ValueError: there is no row, lengths differ, or titles are not as many.
    """
    shown = [as_pictures("reconstruction_rows", row)[:count] for row in rows]
    if not shown or len({len(row) for row in shown}) != 1:
        lengths = [len(row) for row in shown]
        raise ValueError(
            f"reconstruction_rows: rows have {lengths} images, expected as many in each"
        )
    names = names_of("reconstruction_rows", titles, len(shown)) if titles is not None else None
    figure, axes = new_grid(len(shown), len(shown[0]))
    for row, pictures in enumerate(shown):
        for column, picture in enumerate(pictures):
            axes[row, column].imshow(picture)
        if names is not None:
            axes[row, 0].set_title(names[row], fontsize=9, loc="left")
    return figure


def plot_filters(weight: Any, columns: int = 8) -> Any:
    """Draw the kernels of a convolution (K, C, H, W), each stretched by itself.

    Three channels are shown as colours, otherwise the first one.

    Raises:
        ValueError: the weight has not four dimensions.
    """
    kernels = as_array("plot_filters", "weight", weight, ndim=4).astype(np.float64)
    if kernels.shape[1] != 3:
        kernels = kernels[:, :1]
    return _maps("plot_filters", [_scaled(each) for each in kernels], columns)


def _scaled(values: Array) -> Array:
    low, high = values.min(), values.max()
    return np.asarray((values - low) / max(high - low, 1e-12))


def _maps(op: str, maps: Sequence[Array], columns: int) -> Any:
    if not maps or columns < 1:
        raise ValueError(f"{op}: there are {len(maps)} maps in {columns} columns, expected >= 1")
    columns = min(columns, len(maps))
    figure, axes = new_grid(-(-len(maps) // columns), columns, size=1.0)
    for ax, values in zip(axes.flat, maps, strict=False):
        ax.imshow(np.moveaxis(values, 0, -1).squeeze(), cmap="gray", vmin=0, vmax=1)
    return figure


def outputs_of(op: str, model: Module, inputs: Tensor, layer: Module | str) -> Tensor:
    """Return what a layer gives while the model runs on inputs (ValueError if it does not run)."""
    array_of(op, inputs, "inputs")
    seen: list[Any] = []
    chosen = layer_of(op, model, layer)
    handle = chosen.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        predictions(model, inputs)
    finally:
        handle.remove()
    if not seen or not isinstance(seen[0], Tensor):
        raise ValueError(f"{op}: the layer gave no tensor while the model ran")
    return seen[0]


def plot_feature_maps(
    model: Module, inputs: Tensor, layer: Module | str, columns: int = 8, limit: int = 32
) -> Any:
    """Draw the channels that a layer gives for the first of the inputs.

    Args:
        model: runs on ``inputs`` in evaluation mode.
        inputs: (N, C, H, W).
        layer: a module of the model, or its path as in ``named_modules``.
        columns: maps per row.
        limit: maps at most.

    Raises:
        ValueError: there is no such layer or its output is not (N, C, H, W).
    """
    output = outputs_of("plot_feature_maps", model, inputs, layer)
    maps = as_array("plot_feature_maps", "the layer's output", output, ndim=4)[0, :limit]
    return _maps(
        "plot_feature_maps", [_scaled(each[None].astype(np.float64)) for each in maps], columns
    )


def plot_boxes(
    image: Any,
    boxes: Any,
    labels: Sequence[str] | None = None,
    scores: Any = None,
    *,
    ax: Any = None,
) -> Any:
    """Draw an image (C, H, W) or (H, W) with boxes (n, 4) as x1, y1, x2, y2 in pixels.

    Args:
        image: uint8 or floating.
        boxes: (n, 4).
        labels: a text per box.
        scores: a number per box, written after the label.

    Raises:
        ValueError: shapes do not match.
    """
    places = as_array("plot_boxes", "boxes", boxes)
    places = places.reshape(0, 4) if places.size == 0 else places
    if places.ndim != 2 or places.shape[1] != 4:
        raise ValueError(f"plot_boxes: boxes have shape {places.shape}, expected (n, 4)")
    texts = [""] * len(places) if labels is None else names_of("plot_boxes", labels, len(places))
    if scores is not None:
        numbers = as_array("plot_boxes", "scores", scores, ndim=1)
        written = names_of("plot_boxes", [f"{number:.2f}" for number in numbers], len(places))
        texts = [f"{text} {score}".strip() for text, score in zip(texts, written, strict=True)]
    ax = new_axes("plot_boxes", ax)
    ax.imshow(as_pictures("plot_boxes", as_array("plot_boxes", "image", image)[None])[0])
    ax.set_axis_off()
    for number, (left, top, right, bottom) in enumerate(places):
        colour = _COLOURS[number % len(_COLOURS)] / 255
        edges = ([left, right, right, left, left], [top, top, bottom, bottom, top])
        ax.plot(*edges, color=colour, linewidth=1.5)
        if texts[number]:
            ax.text(left, top, texts[number], color="white", fontsize=8, backgroundcolor=colour)
    return ax.figure


def plot_masks(image: Any, masks: Any, *, alpha: float = 0.5, ax: Any = None) -> Any:
    """Draw an image (C, H, W) or (H, W) with masks laid over it.

    Args:
        image: uint8 or floating.
        masks: bool (n, H, W), or classes (H, W) of which 0 is the background.
        alpha: how much of the colour covers the image, from 0 to 1.

    Raises:
        ValueError: sizes do not match or alpha is out of range.
    """
    picture = as_pictures("plot_masks", as_array("plot_masks", "image", image)[None])[0].copy()
    layers = as_array("plot_masks", "masks", masks)
    if layers.ndim == 2:
        layers = np.stack(
            [layers == each for each in np.unique(layers) if each != 0] or [layers != 0]
        )
    if layers.shape[1:] != picture.shape[:2] or not 0 <= alpha <= 1:
        raise ValueError(
            f"plot_masks: masks have shape {layers.shape} for an image {picture.shape[:2]}, alpha "
            f"is {alpha}; expected (n, H, W) and 0 to 1"
        )
    for number, layer in enumerate(layers.astype(bool)):
        colour = _COLOURS[number % len(_COLOURS)] / 255
        picture[layer] = picture[layer] * (1 - alpha) + colour * alpha
    ax = new_axes("plot_masks", ax)
    ax.imshow(stretched(picture))
    ax.set_axis_off()
    return ax.figure
