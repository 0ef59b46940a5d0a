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
    url: str | Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    sha256: str,
    max_bytes: int = 1 << 32,
) -> Path:
    """Fetch a file from the first address that answers, and return its path.

    A file that is there with the right checksum is kept, and no network is touched. A new one is
    written beside its place and moved there only when it is complete and checked.

    Args:
        url: an http or https address, or several to try in turn.
        path: where the file goes; None: the last part of the first address, in `cache_dir`.
        sha256: the checksum of the content, in hexadecimal.
        max_bytes: more than this is refused.

    Raises:
        ValueError: an address is not http or https.
        RuntimeError: no address gave the file; the message says what each one answered.
    """
    urls = [url] if isinstance(url, str) else list(url)
    for each in urls:
        if urllib.parse.urlsplit(each).scheme not in ("http", "https"):
            raise ValueError(f"download: {each} is no http or https address")
    if not urls:
        raise ValueError("download: url is empty, expected an address")
    name = os.path.basename(urllib.parse.urlsplit(urls[0]).path)
    if path is None and not name:
        raise ValueError(f"download: {urls[0]} names no file; give a path")
    path = cache_dir() / name if path is None else Path(path)
    if path.is_file() and sha256_of(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = []
    for each in urls:
        try:
            _fetch(each, path, sha256, max_bytes)
        except (OSError, ValueError) as error:
            answers.append(f"{each}: {error}")
        else:
            return path
    raise RuntimeError(
        f"download: could not get {path.name}. Without a network, put the file at {path} "
        f"(sha256 {sha256}). Tried " + "; ".join(answers)
    )


def stored_file(op: str, path: Path, urls: Sequence[str], sha256: str, may_download: bool) -> Path:
    """Return the path of a data set's file, fetched first where it is missing and that is allowed.

    Raises:
        FileNotFoundError: it is missing and may not be fetched.
        RuntimeError: the download failed.
    """
    if may_download:
        return download(urls, path, sha256=sha256)
    if path.is_file():
        return path
    raise FileNotFoundError(
        f"{op}: {path} is missing; give download=True to fetch it from {urls[0]}, or put it there, "
        "or say with root=... in which folder it is"
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
        length = got.headers.get("Content-Length")
        if length is not None and received < int(length):
            raise ValueError(f"it broke off after {received} of {length} bytes")
        if digest.hexdigest() != sha256:
            raise ValueError(f"sha256 is {digest.hexdigest()} over {received} bytes")
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
