# SPDX-License-Identifier: Apache-2.0
"""Data sets by name: digits that come with the package, MNIST from a file or the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.dataset import ImageDataset
from gradsmith.data.download import cache_dir
from gradsmith.data.download import download as fetch
from gradsmith.data.idx import read_idx

Transform = Callable[[Array], Array]

_DIGITS = [str(digit) for digit in range(10)]
_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_SHA256 = {
    "train-images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_MNIST_MAX_BYTES = 16 << 20


def _check_split(name: str, split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"{name}: split is {split!r}, expected 'train' or 'test'")


def digits(split: str = "train", transform: Transform | None = None) -> ImageDataset:
    """Return the 8x8 scans of handwritten digits of 13 people, which come with the package.

    1,797 images of shape (1, 8, 8) in 17 grey levels, scaled to [0, 1]: the "optical recognition of
    handwritten digits" test set of the UCI repository (Alpaydin and Kaynak, CC BY 4.0), the same
    as scikit-learn's ``load_digits``. Of each class's images in file order every fifth (the 5th,
    10th, ...) belongs to the test split: 355 images; the other 1,442 are the train split.

    Raises:
        ValueError: ``split`` is neither ``"train"`` nor ``"test"``.
    """
    _check_split("digits", split)
    folder = Path(__file__).parent / "files"
    images = read_idx(folder / "digits-images-idx3-ubyte.gz")
    labels = read_idx(folder / "digits-labels-idx1-ubyte.gz")
    rank_in_class = np.empty(len(labels), dtype=np.int64)
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        rank_in_class[members] = np.arange(len(members))
    chosen = (rank_in_class % 5 == 4) == (split == "test")
    return ImageDataset(images[chosen][:, None], labels[chosen], _DIGITS, 16.0, transform)


def mnist(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    download: bool = False,
    transform: Transform | None = None,
) -> ImageDataset:
    """Return MNIST: 60,000 (train) or 10,000 (test) images of shape (1, 28, 28) in [0, 1].

    Args:
        root: the folder of the IDX files, plain or ``.gz``; None: ``mnist`` in the cache folder
            (``GRADSMITH_CACHE_DIR``, else the user's).
        split: ``"train"`` or ``"test"``.
        download: fetch what is missing and check its SHA-256 sum.
        transform: maps a float32 array (1, 28, 28) to another, for each sample.

    Raises:
        ValueError: an unknown split, or a file that is no MNIST file.
        FileNotFoundError: a file is missing and ``download`` is off.
        RuntimeError: a download failed.
    """
    _check_split("mnist", split)
    folder = cache_dir() / "mnist" if root is None else Path(root)
    prefix = "train" if split == "train" else "t10k"
    images = read_idx(_mnist_file(folder, f"{prefix}-images", 3, download))
    labels = read_idx(_mnist_file(folder, f"{prefix}-labels", 1, download))
    if images.dtype != np.uint8 or images.ndim != 3 or labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(
            f"mnist: {folder} holds images {images.dtype} {images.shape} and labels "
            f"{labels.dtype} {labels.shape}, expected uint8 (N, H, W) and uint8 (N,)"
        )
    return ImageDataset(images[:, None], labels, _DIGITS, 255.0, transform)


def _mnist_file(folder: Path, part: str, ndim: int, may_download: bool) -> Path:
    plain = folder / f"{part}-idx{ndim}-ubyte"
    packed = folder / f"{plain.name}.gz"
    if may_download and not plain.is_file():
        urls = [mirror + packed.name for mirror in _MNIST_MIRRORS]
        return fetch(urls, packed, sha256=_MNIST_SHA256[part], max_bytes=_MNIST_MAX_BYTES)
    for path in (packed, plain):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"mnist: {packed} is missing; give download=True to fetch it, or root=... where it is"
    )
