"""The process that opens pictures from strangers, apart from everything worth stealing.

Rule: it may use little memory and time, knows three formats, and reads the size from the header before any pixel.
It is run as a file, by itself, so that it holds nothing of the node. It imports nothing of Halle.

Shape: stdin: 4-byte length, picture, again and again. stdout: 4-byte length, JSON; on success followed by the
picture and the thumbnail, whose lengths the JSON names. Integers are big-endian.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import warnings
from typing import BinaryIO

from PIL import Image, ImageCms, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 32_000_000
MAX_SIDE = 16_384
FULL_SIDE = 1600
THUMB_SIDE = 480
MEMORY_BYTES = 900 << 20
CPU_S = 120


class Rejected(Exception):
    """A picture that is not taken; `args` are its code and a sentence."""


def confine() -> None:
    """Take away memory, time, new files and core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def prepare(data: bytes) -> tuple[dict[str, int], bytes, bytes]:
    """The picture and its thumbnail as WebP without any metadata."""
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Rejected("image-too-large", "The picture has too many pixels.") from None
    except Exception:  # hostile bytes make a decoder raise almost anything; all of it means "no picture"
        raise Rejected("image-format", "The file is no JPEG, PNG or WebP picture.") from None
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise Rejected("image-too-large", f"The picture has {width} × {height} pixels.")
    try:
        full = _upright(picture)
    except MemoryError:
        raise Rejected("image-too-large", "The picture needs too much memory.") from None
    except Exception as exc:  # as above, now while its pixels are read
        raise Rejected("image-damaged", f"The picture cannot be read: {type(exc).__name__}.") from None
    thumb = full.copy()
    thumb.thumbnail((THUMB_SIDE, THUMB_SIDE), Image.Resampling.LANCZOS)
    return {"width": full.width, "height": full.height}, _webp(full), _webp(thumb)


def _upright(picture: Image.Image) -> Image.Image:
    """The picture as it should be seen, in sRGB, at most FULL_SIDE wide or high, without metadata."""
    orientation = picture.getexif().get(0x0112, 1)
    profile = picture.info.get("icc_profile")
    if picture.format == "JPEG":
        picture.draft("RGB", (FULL_SIDE * 2, FULL_SIDE * 2))
    has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    mode = "RGBA" if has_alpha else "RGB"
    small = picture if picture.mode == mode else picture.convert(mode)
    small.thumbnail((FULL_SIDE, FULL_SIDE), Image.Resampling.LANCZOS)
    clean = Image.new(mode, small.size)
    clean.paste(_in_srgb(small, profile) if picture.mode in ("RGB", "RGBA") else small)
    clean.getexif()[0x0112] = orientation
    turned = ImageOps.exif_transpose(clean)
    turned.getexif().clear()
    return turned


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture  # a broken profile only costs exact colours
    return converted if converted is not None else picture


def _webp(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=82, method=4, exif=b"", icc_profile=b"", xmp=b"")
    return out.getvalue()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer pictures until the other side hangs up."""
    while len(header := source.read(4)) == 4:
        (length,) = struct.unpack(">I", header)
        data = source.read(length)
        if len(data) < length:
            return
        full = thumb = b""
        try:
            facts, full, thumb = prepare(data)
            reply: dict[str, object] = {"ok": True, "full": len(full), "thumb": len(thumb), **facts}
        except Rejected as exc:
            reply = {"ok": False, "code": exc.args[0], "message": exc.args[1]}
        encoded = json.dumps(reply).encode()
        sink.write(struct.pack(">I", len(encoded)) + encoded + full + thumb)
        sink.flush()


if __name__ == "__main__":
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
