# SPDX-License-Identifier: Apache-2.0
"""Replacing a file in one step: after a crash there is the old content or the new, never half."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress


def replace_file(path: str, content: bytes) -> None:
    """Make ``content`` the content of the file, which need not exist yet.

    The bytes go to a temporary file beside it, reach the disk, and take the file's name; then the
    directory reaches the disk. A symbolic link is followed; an existing file's mode is kept.

    Raises:
        OSError: something failed (no space, no permission); the old file is as it was.
    """
    target = os.path.realpath(path)
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            _write_all(descriptor, content)
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, os.stat(target).st_mode & 0o777)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
