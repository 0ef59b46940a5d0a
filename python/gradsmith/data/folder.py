# SPDX-License-Identifier: Apache-2.0
"""Images in folders, one folder per class."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.dataset import Dataset, position
from gradsmith.tensor import Tensor, as_array, wrap

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def _read_rgb(path: str) -> Array:
    from gradsmith.images import read  # Pillow is an extra

    return read(path, mode="RGB")


class ImageFolder(Dataset[tuple[Tensor, Tensor]]):
    """The images below ``root/<class>/``, read when they are asked for.

    Sample i is (image, class): float32 of shape (C, H, W) in [0, 1], int64 of no dimensions.
    Classes are the folders in alphabetical order, images come in the order of their paths.

    Args:
        root: the folder of the class folders.
        transform: maps a float32 array (C, H, W) to another.
        target_transform: maps the class index to another.
        loader: reads a path as an array (H, W) or (H, W, C), uint8 or float in [0, 1]; the default
            reads RGB with Pillow.
        is_valid_file: whether to take a path; the default looks for an image file's ending.

    Attributes:
        classes: names of the classes.
        class_to_idx: the index of each one.
        samples: pairs (path, class index).
        targets: the class indices.

    Raises:
        FileNotFoundError: there is no class folder, or one without images.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Array], Array] | None = None,
        target_transform: Callable[[int], int] | None = None,
        loader: Callable[[str], Array] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
    ) -> None:
        """List the files."""
        self.root = os.fspath(root)
        self.transform = transform
        self.target_transform = target_transform
        self.loader = _read_rgb if loader is None else loader
        is_valid = _has_image_ending if is_valid_file is None else is_valid_file
        folders = sorted(path for path in Path(self.root).iterdir() if path.is_dir())
        if not folders:
            raise FileNotFoundError(f"ImageFolder: {self.root} holds no folders, one per class")
        self.classes = [folder.name for folder in folders]
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self.samples: list[tuple[str, int]] = []
        for index, folder in enumerate(folders):
            paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
            found = [(path, index) for path in paths if is_valid(path)]
            if not found:
                raise FileNotFoundError(f"ImageFolder: {folder} holds no images")
            self.samples += found
        self.targets = [index for _, index in self.samples]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Read the image at ``index``."""
        path, target = self.samples[position("ImageFolder", index, len(self))]
        pixels = self.loader(path)
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        image = np.ascontiguousarray(planes, dtype=np.float32)
        if pixels.dtype == np.uint8:
            image /= np.float32(255)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return wrap(as_array(image)), wrap(np.asarray(target, dtype=np.int64))


def _has_image_ending(path: str) -> bool:
    return path.lower().endswith(EXTENSIONS)
