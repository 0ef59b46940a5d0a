# SPDX-License-Identifier: Apache-2.0
"""Moving pictures of a training, as GIF files by Pillow."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.train import Callback
from gradsmith.train.callbacks import Logs
from gradsmith.viz.canvas import as_array, pyplot


def _frame(picture: Any) -> Array:
    """Return a figure or an array (H, W) or (H, W, 3) as uint8 (H, W, 3)."""
    if hasattr(picture, "canvas"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(picture)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
    array = as_array("save_gif", "frame", picture)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"save_gif: a frame has shape {array.shape}, expected (H, W) or (H, W, 3)")
    if array.dtype != np.uint8:
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return array


def save_gif(
    frames: Sequence[Any], path: str | os.PathLike[str], *, fps: float = 8.0, loop: bool = True
) -> Path:
    """Write frames as a GIF file and return its path.

    Args:
        frames: figures, or arrays (H, W) or (H, W, 3), uint8 or floating in [0, 1], of one size.
        path: the file.
        fps: frames per second, up to 50.
        loop: whether it begins again.

    Raises:
        ValueError: there is no frame, sizes differ, or fps is out of range.
        ImportError: Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "save_gif needs Pillow: pip install 'gradsmith[data]' brings it"
        ) from error
    pictures = [_frame(each) for each in frames]
    sizes = {each.shape for each in pictures}
    if len(sizes) != 1 or not 0 < fps <= 50:
        raise ValueError(
            f"save_gif: {len(pictures)} frames of {len(sizes)} sizes at {fps} a second, expected "
            "some of one size and up to 50 a second"
        )
    images = [Image.fromarray(each) for each in pictures]
    options: dict[str, Any] = {"loop": 0} if loop else {}
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=round(1000 / fps), **options
    )
    return Path(path)


class TrainingGif(Callback):
    """Keeps a picture of each epoch and writes them as a GIF at the end.

    Example::

        gif = TrainingGif("digits.gif", lambda model: plot_decision_boundary(model, x, y))
        model.fit(train, epochs=20, callbacks=[gif])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        draw: Callable[[Any], Any],
        *,
        every: int = 1,
        fps: float = 8.0,
    ) -> None:
        """Keep what to draw: ``draw(model)`` returns a frame as `save_gif` takes them.

        Raises:
            ValueError: ``every`` (epochs between frames) is below 1.
        """
        super().__init__()
        if every < 1:
            raise ValueError(f"TrainingGif: every is {every}, expected >= 1")
        self.path = Path(path)
        self.frames: list[Array] = []
        self._draw, self._every, self._fps = draw, every, fps

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw the model as it is."""
        if epoch % self._every:
            return
        picture = self._draw(self.model)
        self.frames.append(_frame(picture))
        if hasattr(picture, "canvas"):
            pyplot().close(picture)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Write the file, if there is a frame."""
        if self.frames:
            save_gif(self.frames, self.path, fps=self._fps)
