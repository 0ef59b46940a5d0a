# SPDX-License-Identifier: Apache-2.0
"""The standard sets in their formats, small and made up, on a web server of this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradsmith.data import datasets, transforms, write_idx
from gradsmith.data.datasets import documents, pictures
from gradsmith.recipes import reviews
from gradsmith.recipes.convolution.cifar_nets import single_shapes

SHIRTS = ["mnist", "fashion_mnist"]
NAMES = [*SHIRTS, "cifar10", "imdb"]
# Files of each set, in the order in which both splits ask for them.
FILES = {
    **{
        name: [
            f"{part}-{kind}-ubyte.gz"
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        ]
        for name in SHIRTS
    },
    "cifar10": ["cifar-10-binary.tar.gz"],
    "imdb": ["aclImdb_v1.tar.gz"],
}


def tar_of(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def _write_digits(folder: Path) -> None:
    """Write the scans of the package as MNIST is: 28x28 bytes."""
    for split, prefix in (("train", "train"), ("test", "t10k")):
        scans = datasets.digits(split)
        images = transforms.Resize(28, antialias=False)(scans.data / np.float32(scans.scale))
        for part, array in (("images-idx3", images[:, 0] * 255), ("labels-idx1", scans.targets)):
            write_idx(folder / f"{prefix}-{part}-ubyte.gz", array.astype(np.uint8))


def _cifar() -> bytes:
    members = {"batches.meta.txt": "\n".join(f"kind{number}" for number in range(10)).encode()}
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    for number, name in enumerate(names):
        made = single_shapes(100, number)
        images = (made.data.clip(0, 1) * 255).astype(np.uint8).reshape(100, -1)
        members[name] = np.hstack([made.targets[:, None].astype(np.uint8), images]).tobytes()
    return tar_of({f"cifar-10-batches-bin/{name}": each for name, each in members.items()})


def _imdb() -> bytes:
    members = {}
    for number, split in enumerate(("train", "test")):
        texts, verdicts = reviews.reviews(300, number)
        for place, (words, verdict) in enumerate(zip(texts, verdicts, strict=True)):
            name = f"aclImdb/{split}/{'pos' if verdict else 'neg'}/{place}_{1 + 8 * verdict}.txt"
            members[name] = f"{reviews.as_text(words).capitalize()}.<br />".encode()
    return tar_of(members)


class Server:
    """A folder of files at ``url``, the requests for them, and what to cut off.

    Attributes:
        asked: the names that were asked for.
        cut: how many of the next answers break off in the middle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.asked: list[str] = []
        self.cut = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path.lstrip("/"))
                content = (outer.folder / outer.asked[-1]).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if outer.cut > 0 else content)
                outer.cut -= 1

            def log_message(self, *args: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/"
            yield
            server.shutdown()
            thread.join()


def make_files(folder: Path) -> None:
    """Write the files of all sets."""
    for name in SHIRTS:
        (folder / name).mkdir(parents=True)
        _write_digits(folder / name)
    for name, content in (("cifar10", _cifar()), ("imdb", _imdb())):
        (folder / name).mkdir()
        (folder / name / FILES[name][0]).write_bytes(content)


def redirect(patch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
    """Let the sets be fetched from a server of a folder, with the sums of what lies there."""

    def sum_of(name: str, file: str) -> str:
        return hashlib.sha256((folder / name / file).read_bytes()).hexdigest()

    for name, constant in (("mnist", "MNIST"), ("fashion_mnist", "FASHION")):
        patch.setattr(pictures, f"_{constant}_MIRRORS", (f"{url}{name}/",))
        sums = {file.rpartition("-idx")[0]: sum_of(name, file) for file in FILES[name]}
        patch.setattr(pictures, f"_{constant}_SHA256", sums)
    patch.setattr(pictures, "_CIFAR_FOLDER", f"{url}cifar10/")
    patch.setattr(pictures, "_CIFAR10_SHA256", sum_of("cifar10", FILES["cifar10"][0]))
    patch.setattr(documents, "_IMDB_URL", f"{url}imdb/{FILES['imdb'][0]}")
    patch.setattr(documents, "_IMDB_SHA256", sum_of("imdb", FILES["imdb"][0]))


def flip_a_byte(path: Path) -> None:
    """Damage a gzip file where only its checksum tells."""
    content = bytearray(path.read_bytes())
    plain = bytearray(gzip.decompress(content))
    plain[len(plain) // 2] ^= 1
    path.write_bytes(gzip.compress(bytes(plain), 1)[:-8] + content[-8:])
