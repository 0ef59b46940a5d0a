# SPDX-License-Identifier: Apache-2.0
"""Files out of tar archives, without unpacking them to the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

_CHUNK = 1 << 20


def members(op: str, path: Path, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files, in the archive's order.

    Raises:
        ValueError: the archive is damaged.
    """
    import gzip  # cost more than many of the package's imports
    import tarfile
    import zlib

    try:
        with tarfile.open(path) as tar:
            for member in tar:  # looking for names would unpack a compressed archive twice
                content = tar.extractfile(member) if is_wanted(member.name) else None
                if content is not None:
                    yield member.name, content.read()
            while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
                pass  # up to the checksum at the end
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{op}: {path} is damaged: {error}") from None
