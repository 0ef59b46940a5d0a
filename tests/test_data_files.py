# SPDX-License-Identifier: Apache-2.0
"""From bytes to batches: IDX files, downloads, built-in data, collate functions."""

from __future__ import annotations

import collections
import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith.data import (
    DataLoader,
    ImageDataset,
    cache_dir,
    datasets,
    default_collate,
    download,
    read_idx,
    write_idx,
)
from gradsmith.tensor import Tensor, wrap

# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_round_trip(tmp_path: Path, dtype: str, suffix: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / f"array.idx{suffix}"
    write_idx(path, array)
    result = read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)


def test_idx_known_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes.fromhex("00000b02 00000001 00000002 0102 fffe"))
    assert read_idx(path).tolist() == [[258, -2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no IDX file"),
        ("00000801", "ends within its 1 sizes"),
        ("01000801 00000001 00", "no IDX file"),
        ("00000701 00000001 00", "no IDX file"),
        ("00000801 00000003 0102", "ends after 2 of 3 bytes"),
        ("00000801 00000001 0102", "bytes left"),
        ("00000803 ffffffff ffffffff ffffffff 01", "max_bytes"),
        ("000008ff" + "00000001" * 255 + "01", "32 dimensions"),
        ("1f8b0800", "damaged gzip"),
    ],
)
def test_idx_refuses(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes.fromhex(content))
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_idx_refuses_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    write_idx(path, np.arange(1000, dtype=np.int32))
    whole = path.read_bytes()
    for damaged in (whole[:-12], whole[:60] + b"\xff\xff\xff" + whole[63:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged gzip"):
            read_idx(path)
    with pytest.raises(TypeError, match="no dtype complex128"):
        write_idx(path, np.zeros(3, dtype=complex))
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A local web server of the folder ``served``."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_download(tmp_path: Path, server: str) -> None:
    (tmp_path / "served" / "file").write_bytes(b"content")
    sha256 = hashlib.sha256(b"content").hexdigest()
    target = tmp_path / "new" / "file"
    urls = [server + "missing", server + "file"]
    assert download(urls, target, sha256=sha256, max_bytes=100) == target
    assert target.read_bytes() == b"content"
    (tmp_path / "served" / "file").write_bytes(b"changed")
    assert download(urls, target, sha256=sha256, max_bytes=100).read_bytes() == b"content"
    target.unlink()
    with pytest.raises(RuntimeError, match=r"404.*sha256 is"):
        download(urls, target, sha256=sha256, max_bytes=100)
    with pytest.raises(RuntimeError, match="more than 3 bytes"):
        download(urls, target, sha256=sha256, max_bytes=3)
    assert list(target.parent.iterdir()) == []
    with pytest.raises(ValueError, match="no http or https"):
        download(["file:///etc/hostname"], target, sha256=sha256, max_bytes=3)


def test_download_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Without a network, put the file at"):
        download(["http://127.0.0.1:9/x"], tmp_path / "x", sha256="0", max_bytes=3)


def test_cache_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSMITH_CACHE_DIR", "/one")
    assert cache_dir() == Path("/one")
    monkeypatch.delenv("GRADSMITH_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/two")
    assert cache_dir() == Path("/two/gradsmith")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "gradsmith"


# ---- built-in data -------------------------------------------------------------------------------


def test_digits() -> None:
    train, test = datasets.digits("train"), datasets.digits("test")
    assert (len(train), len(test)) == (1442, 355)
    image, label = test[0]
    assert image.shape == (1, 8, 8)
    assert image.dtype == np.float32
    assert label.dtype == np.int64
    assert 0 <= image.numpy().min() <= image.numpy().max() <= 1
    assert all(34 <= (test.targets == digit).sum() <= 36 for digit in range(10))
    x, y = next(iter(DataLoader(test, 16)))
    assert (x.shape, y.shape) == ((16, 1, 8, 8), (16,))
    np.testing.assert_array_equal(x.numpy()[0], image.numpy())
    with pytest.raises(ValueError, match="split is 'validation'"):
        datasets.digits("validation")


def test_digits_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    original = sklearn.load_digits()
    ours = {
        split: datasets.digits(split).data.reshape(-1, 64).tolist() for split in ("train", "test")
    }
    every = [tuple(row) for rows in ours.values() for row in rows]
    assert sorted(every) == sorted(tuple(row) for row in original.data.astype(int).tolist())
    fifth_zero = np.flatnonzero(original.target == 0)[4]
    assert ours["test"].count(original.data[fifth_zero].astype(int).tolist()) == 1


def test_mnist_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSMITH_CACHE_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        datasets.mnist()
    folder = tmp_path / "mnist"
    folder.mkdir()
    write_idx(folder / "t10k-images-idx3-ubyte", np.full((3, 28, 28), 255, np.uint8))
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", np.arange(3, dtype=np.uint8))
    dataset = datasets.mnist(split="test")
    assert len(dataset) == 3
    assert dataset[2][0].shape == (1, 28, 28)
    assert dataset[2][0].numpy().min() == 1
    assert dataset[2][1].item() == 2
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", np.zeros((3, 1), np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        datasets.mnist(split="test")


def test_image_dataset_with_transform() -> None:
    data = np.arange(2 * 1 * 2 * 2, dtype=np.uint8).reshape(2, 1, 2, 2)
    dataset = ImageDataset(data, np.array([1, 0]), ["a", "b"], 1.0, lambda image: image + 10)
    x, y = next(iter(DataLoader(dataset, 2)))
    assert x.numpy().ravel().tolist() == [10, 11, 12, 13, 14, 15, 16, 17]
    assert y.tolist() == [1, 0]
    with pytest.raises(ValueError, match="2 images, but 1 targets"):
        ImageDataset(data, np.array([1]), ["a"])


def test_gzip_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    with gzip.open(path, "wb") as file:
        file.write(bytes.fromhex("00000801 00000002 0102"))
    assert read_idx(path).tolist() == [1, 2]
    assert isinstance(wrap(read_idx(path)), Tensor)


# ---- collate -------------------------------------------------------------------------------------


def test_collate() -> None:
    Point = collections.namedtuple("Point", "x y")
    batch = default_collate(
        [
            {"a": (1, 2.5), "b": np.float32([1, 2]), "p": Point(1, True), "t": "one"},
            {"a": (3, 4.5), "b": np.float32([3, 4]), "p": Point(2, False), "t": "two"},
        ]
    )
    assert batch["a"][0].tolist() == [1, 3]
    assert batch["a"][0].dtype == np.int64
    assert batch["a"][1].dtype == np.float32
    assert batch["b"].tolist() == [[1, 2], [3, 4]]
    assert batch["p"].y.tolist() == [True, False]
    assert batch["t"] == ["one", "two"]
    assert default_collate([wrap(np.ones(2)), wrap(np.zeros(2))]).shape == (2, 2)


def test_collate_refuses() -> None:
    with pytest.raises(ValueError, match="shapes \\(2,\\) and \\(3,\\)"):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(TypeError, match="a sample is a object"):
        default_collate([object()])
    with pytest.raises(ValueError, match="2 and 1 fields"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(ValueError, match="keys"):
        default_collate([{"a": 1}, {"b": 1}])
    with pytest.raises(ValueError, match="no samples"):
        default_collate([])
