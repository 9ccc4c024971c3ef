"""Pictures from strangers: re-encoded apart from the node, bombs refused before a pixel is read."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from halle_node.catalog.photos import PhotoStudio
from halle_protocol.errors import Refused
from halle_protocol.unixfs import read_file
from node.catalog.shop import Shop, picture, png_bomb, shirt


@pytest.fixture
async def studio() -> AsyncIterator[PhotoStudio]:
    made = PhotoStudio()
    yield made
    await made.close()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_photo_becomes_webp_in_two_sizes(studio: PhotoStudio, kind: str) -> None:
    made = await studio.prepare(picture(2000, 1000, kind))
    full, thumb = opened(made.full), opened(made.thumb)
    assert (full.format, full.size) == ("WEBP", (1600, 800))
    assert (thumb.format, thumb.size) == ("WEBP", (480, 240))
    assert (made.width, made.height) == (1600, 800)


async def test_photo_small_enough_keeps_its_size(studio: PhotoStudio) -> None:
    made = await studio.prepare(picture(64, 48))
    assert opened(made.full).size == opened(made.thumb).size == (64, 48)


async def test_photo_is_turned_upright_and_forgets_where_it_was_taken(studio: PhotoStudio) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    exif[0x010E] = "secret place"
    exif.get_ifd(0x8825)[1] = "N"
    made = await studio.prepare(picture(64, 48, "JPEG", exif=exif))
    full = opened(made.full)
    assert full.size == (48, 64)
    assert not full.getexif()
    assert b"EXIF" not in made.full
    assert b"secret" not in made.full
    red, _, blue = full.convert("RGB").getpixel((24, 8))  # type: ignore[misc]
    assert red > blue  # left became top


async def test_photo_keeps_transparency(studio: PhotoStudio) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 255, 0, 0)).save(out, "PNG")
    assert opened((await studio.prepare(out.getvalue())).full).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


async def test_photo_bomb_is_refused_with_little_memory(studio: PhotoStudio) -> None:
    bomb = png_bomb(9000, 9000)
    assert len(bomb) < 100_000
    with pytest.raises(Refused) as refusal:
        await studio.prepare(bomb)
    assert refusal.value.code == "image-too-large"
    process = studio._process
    assert process is not None
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    assert peak_kb < 100_000


@pytest.mark.parametrize("size", [(12_000, 12_000), (65_000, 400), (20_000, 100)])
async def test_photo_of_too_many_pixels_is_refused(studio: PhotoStudio, size: tuple[int, int]) -> None:
    with pytest.raises(Refused) as refusal:
        await studio.prepare(png_bomb(*size))
    assert refusal.value.code == "image-too-large"


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(50), b"%!PS-Adobe-3.0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff"],
)
async def test_photo_of_another_format_is_refused(studio: PhotoStudio, data: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        await studio.prepare(data)
    assert refusal.value.code == "image-format"


async def test_photo_cut_short_is_refused_and_the_next_one_works(studio: PhotoStudio) -> None:
    good = picture(800, 600)
    with pytest.raises(Refused) as refusal:
        await studio.prepare(good[: len(good) // 2])
    assert refusal.value.code == "image-damaged"
    assert (await studio.prepare(good)).width == 800


async def test_photo_file_too_large_never_reaches_the_worker() -> None:
    studio = PhotoStudio(max_file_bytes=1_000)
    with pytest.raises(Refused) as refusal:
        await studio.prepare(bytes(1_001))
    assert refusal.value.code == "image-too-large"


async def test_photo_worker_killed_is_replaced(studio: PhotoStudio) -> None:
    await studio.prepare(picture())
    process = studio._process
    assert process is not None
    process.kill()
    await process.wait()
    with pytest.raises(Refused):
        await studio.prepare(picture())
    assert (await studio.prepare(picture())).width == 64


async def test_add_photo_stores_both_sizes_and_can_be_arranged(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    first = await shop.catalog.add_photo("blue-shirt", "a.jpg", picture(), "Front ")
    second = await shop.catalog.add_photo("blue-shirt", "b.jpg", picture(100, 100))
    assert first.cid is not None
    assert first.thumb is not None
    assert second.cid is not None
    assert read_file(first.cid, shop.blocks.get, max_bytes=1 << 20)[:4] == b"RIFF"
    assert [one.cid for one in shop.catalog.product("blue-shirt").photos] == [first.cid, second.cid]
    assert shop.catalog.product("blue-shirt").photos[0].alt == {"en": "Front"}
    await shop.catalog.arrange_photos("blue-shirt", [second.cid, first.cid])
    await shop.catalog.remove_photo("blue-shirt", second.cid)
    assert shop.catalog.product("blue-shirt").photos == (first,)


async def test_add_photo_refuses_an_unknown_product(shop: Shop) -> None:
    with pytest.raises(Refused) as refusal:
        await shop.catalog.add_photo("none", "a.jpg", picture())
    assert refusal.value.code == "product-unknown"
