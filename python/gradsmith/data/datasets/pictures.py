# SPDX-License-Identifier: Apache-2.0
"""Sets of labelled images: digits that come with the package, MNIST, Fashion-MNIST, CIFAR."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.archive import members
from gradsmith.data.cache import cache_dir, stored_file
from gradsmith.data.cifar import cifar_records
from gradsmith.data.dataset import ImageDataset
from gradsmith.data.datasets.splits import check_split, is_fifth_of_its_class
from gradsmith.data.idx import read_idx

Transform = Callable[[Array], Array]
Root = str | os.PathLike[str] | None

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
_GARMENTS = [
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
]
_FASHION_MIRRORS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_FASHION_SHA256 = {
    "train-images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
_CIFAR_FOLDER = "https://www.cs.toronto.edu/~kriz/"
_CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_CIFAR100_SHA256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"


def digits(split: str = "train", transform: Transform | None = None) -> ImageDataset:
    """Return the 8x8 scans of handwritten digits of 13 people, which come with the package.

    1,797 images of shape (1, 8, 8) in 17 grey levels, scaled to [0, 1]: the "optical recognition of
    handwritten digits" test set of the UCI repository (Alpaydin and Kaynak, CC BY 4.0), the same
    as scikit-learn's ``load_digits``. Of each class's images in file order every fifth (the 5th,
    10th, ...) belongs to the test split: 355 images; the other 1,442 are the train split.

    Raises:
        ValueError: ``split`` is neither ``"train"`` nor ``"test"``.
    """
    check_split("digits", split)
    folder = Path(__file__).parent.parent / "files"
    images = read_idx(folder / "digits-images-idx3-ubyte.gz")
    labels = read_idx(folder / "digits-labels-idx1-ubyte.gz")
    chosen = is_fifth_of_its_class(labels) == (split == "test")
    return ImageDataset(images[chosen][:, None], labels[chosen], _DIGITS, 16.0, transform)


def mnist(
    root: Root = None,
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
    return _idx_images(
        "mnist", root, split, download, transform, _DIGITS, _MNIST_MIRRORS, _MNIST_SHA256
    )


def fashion_mnist(
    root: Root = None,
    split: str = "train",
    download: bool = False,
    transform: Transform | None = None,
) -> ImageDataset:
    """Return Fashion-MNIST (Xiao et al. 2017): garments of 10 classes, sizes as MNIST.

    Arguments and errors are those of `mnist`; the folder is ``fashion_mnist``.
    """
    return _idx_images(
        *("fashion_mnist", root, split, download, transform),
        *(_GARMENTS, _FASHION_MIRRORS, _FASHION_SHA256),
    )


def _idx_images(
    op: str,
    root: Root,
    split: str,
    may_download: bool,
    transform: Transform | None,
    classes: Sequence[str],
    mirrors: Sequence[str],
    sums: Mapping[str, str],
) -> ImageDataset:
    check_split(op, split)
    folder = cache_dir() / op if root is None else Path(root)

    def read(part: str, ndim: int) -> Array:
        plain = folder / f"{part}-idx{ndim}-ubyte"
        if plain.is_file():
            return read_idx(plain)
        packed = folder / f"{plain.name}.gz"
        urls = [mirror + packed.name for mirror in mirrors]
        return read_idx(stored_file(op, packed, urls, sums[part], may_download))

    prefix = "train" if split == "train" else "t10k"
    images, labels = read(f"{prefix}-images", 3), read(f"{prefix}-labels", 1)
    if images.dtype != np.uint8 or images.ndim != 3 or labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(
            f"{op}: {folder} holds images {images.dtype} {images.shape} and labels "
            f"{labels.dtype} {labels.shape}, expected uint8 (N, H, W) and uint8 (N,)"
        )
    return ImageDataset(images[:, None], labels, classes, 255.0, transform)


def cifar10(
    root: Root = None,
    split: str = "train",
    download: bool = False,
    transform: Transform | None = None,
) -> ImageDataset:
    """Return CIFAR-10: 50,000 (train) or 10,000 (test) images of shape (3, 32, 32) in [0, 1].

    Krizhevsky, "Learning multiple layers of features from tiny images", 2009; binary version.

    Args:
        root: the folder of ``cifar-10-binary.tar.gz`` or of what it holds; None: ``cifar10`` in the
            cache folder.
        split: ``"train"`` or ``"test"``.
        download: fetch the archive if it is missing and check its SHA-256 sum.
        transform: maps a float32 array (3, 32, 32) to another, for each sample.

    Raises:
        ValueError: an unknown split, or a file that is no CIFAR file.
        FileNotFoundError: the files are missing and ``download`` is off.
        RuntimeError: a download failed.
    """
    check_split("cifar10", split)
    train = [f"data_batch_{number}.bin" for number in range(1, 6)]
    names = train if split == "train" else ["test_batch.bin"]
    *batches, meta = _contents(
        *("cifar10", root, "cifar-10-binary.tar.gz", "cifar-10-batches-bin"),
        *([*names, "batches.meta.txt"], _CIFAR10_SHA256, download),
    )
    images, labels = cifar_records("cifar10", b"".join(batches), names[0], 1)
    return ImageDataset(images, labels[:, 0], meta.decode().split(), 255.0, transform)


def cifar100(
    root: Root = None,
    split: str = "train",
    download: bool = False,
    transform: Transform | None = None,
    *,
    labels: str = "fine",
) -> ImageDataset:
    """Return CIFAR-100: sizes as CIFAR-10, with 100 classes in 20 groups.

    Args:
        root: the folder of ``cifar-100-binary.tar.gz`` or of what it holds; None: ``cifar100`` in
            the cache folder.
        split: ``"train"`` or ``"test"``.
        download: fetch the archive if it is missing and check its SHA-256 sum.
        transform: maps a float32 array (3, 32, 32) to another, for each sample.
        labels: ``"fine"``, the class, or ``"coarse"``, its group.

    Raises:
        ValueError: an unknown split or kind of label, or a file that is no CIFAR file.
        FileNotFoundError: the files are missing and ``download`` is off.
        RuntimeError: a download failed.
    """
    check_split("cifar100", split)
    if labels not in ("coarse", "fine"):
        raise ValueError(f"cifar100: labels is {labels!r}, expected 'fine' or 'coarse'")
    name = f"{split}.bin"
    content, meta = _contents(
        *("cifar100", root, "cifar-100-binary.tar.gz", "cifar-100-binary"),
        *([name, f"{labels}_label_names.txt"], _CIFAR100_SHA256, download),
    )
    images, both = cifar_records("cifar100", content, name, 2)
    chosen = both[:, ("coarse", "fine").index(labels)]
    return ImageDataset(images, chosen, meta.decode().split(), 255.0, transform)


def _contents(
    op: str,
    root: Root,
    archive: str,
    inner: str,
    names: Sequence[str],
    sha256: str,
    may_download: bool,
) -> list[bytes]:
    """Return the contents of files: of a folder where they are unpacked, else of the archive."""
    folder = cache_dir() / op if root is None else Path(root)
    for place in (folder, folder / inner):
        if all((place / name).is_file() for name in names):
            return [(place / name).read_bytes() for name in names]
    path = stored_file(op, folder / archive, [_CIFAR_FOLDER + archive], sha256, may_download)
    wanted = [f"{inner}/{name}" for name in names]
    contents = dict(members(op, path, lambda name: name in wanted))
    if len(contents) < len(wanted):
        missing = sorted(set(wanted) - set(contents))
        raise ValueError(f"{op}: {path} lacks {missing}")
    return [contents[name] for name in wanted]
