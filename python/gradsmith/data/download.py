# SPDX-License-Identifier: Apache-2.0
"""Files fetched once, checked against a checksum and kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

_CHUNK = 1 << 16
_TIMEOUT = 30  # seconds without a byte


def cache_dir() -> Path:
    """Return the folder of downloads: ``GRADSMITH_CACHE_DIR``, else the user's cache folder."""
    own = os.environ.get("GRADSMITH_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradsmith"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 sum of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    urls: Sequence[str], path: str | os.PathLike[str], *, sha256: str, max_bytes: int
) -> Path:
    """Fetch a file from the first address that answers, and return its path.

    A file that is there with the right checksum is kept. A new one is written beside its place and
    moved there only when it is complete and checked.

    Raises:
        ValueError: an address is not http or https.
        RuntimeError: no address gave the file; the message says what each one answered.
    """
    path = Path(path)
    if path.is_file() and sha256_of(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = []
    for url in urls:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"download: {url} is no http or https address")
        try:
            _fetch(url, path, sha256, max_bytes)
        except (OSError, ValueError) as error:
            answers.append(f"{url}: {error}")
        else:
            return path
    raise RuntimeError(
        f"download: could not get {path.name}. Without a network, put the file at {path} "
        f"(sha256 {sha256}). Tried " + "; ".join(answers)
    )


def _fetch(url: str, path: Path, sha256: str, max_bytes: int) -> None:
    from urllib.request import urlopen  # costs more than the rest of the package's imports

    digest = hashlib.sha256()
    received = 0
    handle, partial = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file, urlopen(url, timeout=_TIMEOUT) as got:
            while chunk := got.read(_CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise ValueError(f"it sends more than {max_bytes} bytes")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256:
            raise ValueError(f"sha256 is {digest.hexdigest()} over {received} bytes")
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
