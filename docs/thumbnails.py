# SPDX-License-Identifier: Apache-2.0
"""Pictures made small enough to be kept in the repository."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

LIMIT = 24_000  # bytes
WIDTHS = (640, 560, 480, 400, 320, 240, 160)
COLOURS = 64
SMALLEST = 240  # pixels; tiny pictures are enlarged to at least that width


def thumbnail(source: Path, stem: Path) -> Path:
    """Write a small copy as PNG of few colours, or as JPEG where that is too large; return it.

    Of an animation it is the last picture.
    """
    with Image.open(source) as opened:
        opened.seek(getattr(opened, "n_frames", 1) - 1)
        picture = _on_white(opened)
    factor = -(-SMALLEST // picture.width)
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.BOX
    )
    for width in WIDTHS:
        smaller = picture.copy()
        smaller.thumbnail((width, 2 * width), Image.Resampling.LANCZOS)
        for suffix, data in ((".png", _png(smaller)), (".jpg", _jpeg(smaller))):
            if len(data) <= LIMIT:
                path = stem.with_name(stem.name + suffix)
                path.write_bytes(data)
                return path
    raise ValueError(f"{source} cannot be made smaller than {LIMIT} bytes")


def _on_white(picture: Image.Image) -> Image.Image:
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def _png(picture: Image.Image) -> bytes:
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    return _encoded(few, "PNG", optimize=True)


def _jpeg(picture: Image.Image) -> bytes:
    return _encoded(picture, "JPEG", quality=75, optimize=True)


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
