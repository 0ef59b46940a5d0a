# SPDX-License-Identifier: Apache-2.0
"""Readers and data sets by name, on files that the tests write."""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith.data import (
    CSVDataset,
    DataLoader,
    ImageFolder,
    TextDataset,
    WindowDataset,
    datasets,
    download,
    read_cifar,
    text_lines,
    write_idx,
)

# ---- images --------------------------------------------------------------------------------------


def cifar_bytes(labels: Any, first: int = 0) -> bytes:
    """Records whose image i is filled with first + i, its green plane with 100."""
    records = b""
    for i, label in enumerate(labels):
        planes = bytes([first + i]) * 1024 + bytes([100]) * 1024 + bytes([first + i]) * 1024
        records += bytes(np.atleast_1d(label).tolist()) + planes
    return records


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_read_cifar(tmp_path: Path) -> None:
    path = tmp_path / "batch.bin"
    path.write_bytes(cifar_bytes([3, 9]))
    images, labels = read_cifar(path)
    assert images.shape == (2, 3, 32, 32)
    assert labels.tolist() == [[3], [9]]
    assert images[1, :, 5, 7].tolist() == [1, 100, 1]
    path.write_bytes(cifar_bytes([(19, 99)]))
    assert read_cifar(path, 2)[1].tolist() == [[19, 99]]
    with pytest.raises(ValueError, match="3074 bytes, expected records of 3073"):
        read_cifar(path)
    path.write_bytes(cifar_bytes([10]))
    with pytest.raises(ValueError, match="labels above"):
        read_cifar(path)
    with pytest.raises(ValueError, match="label_bytes is 3"):
        read_cifar(path, 3)


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10(tmp_path: Path, packed: bool) -> None:
    members = {
        f"cifar-10-batches-bin/data_batch_{n}.bin": cifar_bytes([n, 0], 10 * n) for n in range(1, 6)
    }
    members["cifar-10-batches-bin/test_batch.bin"] = cifar_bytes([7])
    members["cifar-10-batches-bin/batches.meta.txt"] = b"airplane\nautomobile\n\n"
    if packed:
        write_tar(tmp_path / "cifar-10-binary.tar.gz", members)
    else:
        (tmp_path / "cifar-10-batches-bin").mkdir()
        for name, content in members.items():
            (tmp_path / name).write_bytes(content)
    train = datasets.cifar10(tmp_path)
    assert train.targets.tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert train.data[:, 0, 0, 0].tolist() == [10, 11, 20, 21, 30, 31, 40, 41, 50, 51]
    assert train.classes == ["airplane", "automobile"]
    image, label = datasets.cifar10(tmp_path, "test", transform=lambda x: 2 * x)[0]
    assert image.shape == (3, 32, 32)
    assert image.numpy()[1].max() == np.float32(200 / 255)
    assert label.item() == 7


def test_cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSMITH_CACHE_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"cifar-100-binary.tar.gz is missing.*cs.toronto"):
        datasets.cifar100()
    members = {
        "cifar-100-binary/train.bin": cifar_bytes([(2, 33)]),
        "cifar-100-binary/test.bin": cifar_bytes([(4, 44)]),
        "cifar-100-binary/fine_label_names.txt": b"apple\n",
        "cifar-100-binary/coarse_label_names.txt": b"fruit\n",
    }
    (tmp_path / "cifar100").mkdir()
    archive = tmp_path / "cifar100" / "cifar-100-binary.tar.gz"
    write_tar(archive, members)
    assert datasets.cifar100().targets.tolist() == [33]
    assert datasets.cifar100(split="test", labels="coarse").targets.tolist() == [4]
    assert datasets.cifar100(labels="coarse").classes == ["fruit"]
    with pytest.raises(ValueError, match="labels is 'both'"):
        datasets.cifar100(labels="both")
    whole = archive.read_bytes()
    write_tar(archive, {"cifar-100-binary/train.bin": b""})
    with pytest.raises(ValueError, match=r"lacks \['cifar-100-binary/fine"):
        datasets.cifar100()
    archive.write_bytes(whole[:200])
    with pytest.raises(ValueError, match="is damaged"):
        datasets.cifar100()


def test_fashion_mnist(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((2, 28, 28), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([9, 1], np.uint8))
    train = datasets.fashion_mnist(tmp_path)
    assert [train.classes[label] for label in train.targets] == ["Ankle boot", "Trouser"]
    with pytest.raises(FileNotFoundError, match=r"fashion_mnist: .*t10k-images.*zalandoresearch"):
        datasets.fashion_mnist(tmp_path, "test")


def test_download_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSMITH_CACHE_DIR", str(tmp_path))
    with pytest.raises(RuntimeError, match=f"put the file at {tmp_path}/x.gz"):
        download("http://127.0.0.1:9/x.gz?y=1", sha256="0")
    with pytest.raises(ValueError, match="names no file"):
        download("http://127.0.0.1:9/", sha256="0")
    with pytest.raises(ValueError, match="url is empty"):
        download([], sha256="0")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("fashion_mnist", "train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-binary.tar.gz"),
        ("cifar100", "cifar-100-binary.tar.gz"),
        ("imdb", "aclImdb_v1.tar.gz"),
    ],
)
def test_sets_are_fetched_on_request_only(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unreachable(url: str, **options: Any) -> Any:
        asked.append(url)
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(FileNotFoundError, match=f"{file} is missing; give download=True"):
        getattr(datasets, name)(tmp_path)
    assert asked == []
    with pytest.raises(RuntimeError, match=f"put the file at {tmp_path}/{file}.*no network"):
        getattr(datasets, name)(tmp_path, download=True)
    assert asked
    assert all(url.startswith("http") and url.endswith(file) for url in asked)


def test_image_folder(tmp_path: Path) -> None:
    image_library = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for name, value in (("dog/b.png", 51), ("dog/deep/a.PNG", 0), ("cat/z.png", 255)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((2, 3, 3), value, np.uint8)
        pixels[0, 0] = (255, 0, 0)
        image_library.fromarray(pixels).save(path)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    data = ImageFolder(tmp_path)
    assert data.classes == ["cat", "dog"]
    assert data.class_to_idx == {"cat": 0, "dog": 1}
    assert [Path(path).name for path, _ in data.samples] == ["z.png", "b.png", "a.PNG"]
    image, label = data[1]
    assert image.shape == (3, 2, 3)
    assert image.numpy()[:, 0, 0].tolist() == [1, 0, 0]
    assert image.numpy()[:, 1, 2].tolist() == [np.float32(0.2)] * 3
    assert (label.dtype, label.item()) == (np.int64, 1)
    batch, labels = next(iter(DataLoader(data, 3)))
    assert (batch.shape, labels.tolist()) == ((3, 3, 2, 3), [0, 1, 1])
    own = ImageFolder(
        tmp_path,
        transform=lambda x: x + 1,
        target_transform=lambda y: y + 5,
        loader=lambda path: np.zeros((4, 5)),
        is_valid_file=lambda path: path.endswith(".txt") or "cat" in path,
    )
    assert len(own) == 2
    assert own[1][0].tolist() == [[[1.0] * 5] * 4]
    assert own[1][1].item() == 6
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no images"):
        ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="one per class"):
        ImageFolder(tmp_path / "empty")


# ---- tables --------------------------------------------------------------------------------------


def write_csv(path: Path, rows: list[list[Any]], **options: Any) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, **options).writerows(rows)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [
        *(["width", "colour, outside", "height", "kind"], [1, 'dark "red"', 2.5, "b"]),
        *([" 3", "blue", "NA", "a"], [], ["-1e2", "blue", "", "b"]),
    ]
    write_csv(path, rows)
    data = CSVDataset(path, "kind", categorical=["colour, outside"])
    assert data.feature_names == ["width", "colour, outside", "height"]
    assert data.categories == {"colour, outside": ["blue", 'dark "red"']}
    expected = np.array([[1, 1, 2.5], [3, 0, np.nan], [-100, 0, np.nan]], np.float32)
    np.testing.assert_array_equal(data.tensors[0].numpy(), expected)
    assert data.classes == ["a", "b"]
    assert data.tensors[1].tolist() == [1, 0, 1]
    features, target = data[0]
    assert (features.dtype, features.shape, target.dtype) == (np.float32, (3,), np.int64)
    regression = CSVDataset(path, target="width", columns=[2])
    assert regression.tensors[1].tolist() == [[1], [3], [-100]]
    assert regression.feature_names == ["height"]
    assert CSVDataset(path, "width", columns=[2], classification=True).classes == [-100, 1, 3]
    assert len(CSVDataset(path, columns=["width"])[2]) == 1


def test_csv_without_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_csv(path, [[1, "x;y"], ["?", "z"]], delimiter=";", quotechar="'")
    data = CSVDataset(path, 1, header=False, delimiter=";", quotechar="'")
    assert data.feature_names == ["0"]
    assert data.classes == ["x;y", "z"]
    assert np.isnan(data.tensors[0].numpy()).ravel().tolist() == [False, True]
    path.write_bytes(b"\xef\xbb\xbfname\n1\n")
    assert CSVDataset(path).feature_names == ["name"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "no rows"),
        ("a,b\n", {}, "no rows"),
        ("a,b\n1,2\n1\n", {}, "line 3 has 1 fields, the first row has 2"),
        ("a,b\n1,2\n1,two\n", {}, "line 3, column 'b' is 'two'"),
        ("a,b\n1,1_0\n", {}, "'1_0', expected a number"),
        ("a,b\n1,2\n", {"target": "c"}, "has no columns 'c'"),
        ("a,b\n1,2\n", {"target": 2}, "has no columns 2"),
        ("a,a\n1,2\n", {"target": "a"}, "has 2 columns 'a'"),
        ("a,b\n1,\n", {"target": "b"}, "line 2 lacks the target 'b'"),
        ('a,b\n1,"2\n', {}, "cannot be read"),
    ],
)
def test_csv_refuses(tmp_path: Path, content: str, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        CSVDataset(path, **options)


@pytest.mark.parametrize(
    ("name", "samples", "features", "classes"),
    [("iris", 150, 4, 3), ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2)],
)
def test_tables_of_scikit_learn(name: str, samples: int, features: int, classes: int) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    make = getattr(datasets, name)
    every, train, test = make(), make("train"), make("test")
    assert every.tensors[0].shape == (samples, features)
    assert len(every.feature_names) == features
    assert every.tensors[0].dtype == np.float32
    assert len(train) + len(test) == samples
    counts = np.bincount(every.tensors[1].numpy())
    assert len(counts) == len(every.classes) == classes
    assert np.bincount(test.tensors[1].numpy()).tolist() == (counts // 5).tolist()
    np.testing.assert_array_equal(
        test.tensors[0].numpy()[0],
        every.tensors[0].numpy()[
            np.flatnonzero(every.tensors[1].numpy() == test.tensors[1].numpy()[0])[4]
        ],
    )
    with pytest.raises(ValueError, match="split is 'all'"):
        make("all")


def test_diabetes() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    every, test = datasets.diabetes(), datasets.diabetes("test")
    assert [tensor.shape for tensor in every.tensors] == [(442, 10), (442, 1)]
    assert every.tensors[1].numpy()[0, 0] == 151
    assert len(test) == 88
    np.testing.assert_array_equal(test.tensors[1].numpy(), every.tensors[1].numpy()[4::5])


# ---- texts ---------------------------------------------------------------------------------------


def test_text_lines(tmp_path: Path) -> None:
    content = "\ufeffone\r\n\n two \nthr\u00e9e".encode()
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    for name in ("a.txt", "a.txt.gz"):
        assert text_lines(tmp_path / name) == ["one", " two ", "thr\u00e9e"]
    assert text_lines(tmp_path / "a.txt", keep_empty=True)[1] == ""
    with pytest.raises(ValueError, match="is not ascii"):
        text_lines(tmp_path / "a.txt", encoding="ascii")


def test_text_dataset() -> None:
    plain = TextDataset(["b", "a"])
    assert list(DataLoader(plain, 2)) == [["b", "a"]]
    labelled = TextDataset(["b a", "a"], [1, 0], str.split, ["no", "yes"])
    assert labelled[-1][0] == ["a"]
    assert labelled[0][1].item() == 1
    with pytest.raises(ValueError, match="2 texts, but targets"):
        TextDataset(["a", "b"], [1])
    with pytest.raises(TypeError, match="a list of them"):
        TextDataset("abc")  # type: ignore[arg-type]


def test_window_dataset() -> None:
    data = WindowDataset(np.arange(10), 3)
    assert len(data) == 3
    assert [x.tolist() for x in data[2]] == [[6, 7, 8], [7, 8, 9]]
    assert [len(WindowDataset(np.arange(n), 3)) for n in (0, 3, 4, 6, 7)] == [0, 0, 1, 1, 2]
    overlapping = WindowDataset([5, 6, 7, 8], 2, stride=1)
    inputs, targets = next(iter(DataLoader(overlapping, 2)))
    assert inputs.tolist() == [[5, 6], [6, 7]]
    assert targets.tolist() == [[6, 7], [7, 8]]
    assert data[-1][0].tolist() == [6, 7, 8]
    with pytest.raises(IndexError):
        data[3]
    with pytest.raises(ValueError, match="length is 0"):
        WindowDataset([1], 0)


@pytest.mark.parametrize("packed", [True, False])
def test_imdb(tmp_path: Path, packed: bool) -> None:
    members = {
        "aclImdb/train/pos/10_9.txt": b"good<br />film",
        "aclImdb/train/neg/9_1.txt": b"b\xc3\xa9d",
        "aclImdb/train/pos/9_8.txt": b"fine",
        "aclImdb/train/unsup/1_0.txt": b"?",
        "aclImdb/test/neg/0_2.txt": b"poor",
        "aclImdb/README": b"about",
    }
    if packed:
        write_tar(tmp_path / "aclImdb_v1.tar.gz", members)
    else:
        for name, content in members.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    train = datasets.imdb(tmp_path)
    assert train.texts == ["b\u00e9d", "fine", "good<br />film"]
    assert train.targets is not None
    assert train.targets.tolist() == [0, 1, 1]
    assert datasets.imdb(tmp_path, "test", transform=len)[0][0] == 4
    assert train.classes == ["neg", "pos"]


def test_imdb_refuses(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"aclImdb_v1.tar.gz is missing.*download=True"):
        datasets.imdb(tmp_path)
    write_tar(tmp_path / "aclImdb_v1.tar.gz", {"x/y.txt": b""})
    with pytest.raises(ValueError, match="holds no reviews"):
        datasets.imdb(tmp_path)


def test_python_docs() -> None:
    train, test = datasets.python_docs(), datasets.python_docs("test")
    assert len(train) > 3 * len(test) > 30
    assert not set(train.texts) & set(test.texts)
    corpus = "\n".join(train.texts)
    assert len(corpus) > 100_000
    assert "statement" in corpus
    assert datasets.python_docs(transform=len)[0] == len(train[0])
