"""Product pictures for the demo, drawn from shapes: no photograph of anyone's has to travel with the code.

Each motif is a table of shapes in a 100 × 100 square; a picture is a motif, a fabric colour and a ground colour.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIDE_PX = 1400
_SCALE = SIDE_PX / 100

Point = tuple[float, float]
Shape = tuple[str, tuple[float, ...], str]

# kind (poly, ellipse, line, round) · coordinates · paint: "main", "shade", "light" or "ink".
MOTIFS: dict[str, tuple[Shape, ...]] = {
    "shirt": (
        ("poly", (34, 18, 66, 18, 88, 32, 80, 50, 70, 44, 70, 86, 30, 86, 30, 44, 20, 50, 12, 32), "main"),
        ("poly", (42, 18, 50, 30, 58, 18, 54, 16, 46, 16), "light"),
        ("poly", (34, 18, 42, 16, 50, 30, 44, 34), "shade"),
        ("poly", (66, 18, 58, 16, 50, 30, 56, 34), "shade"),
        ("line", (50, 30, 50, 86), "shade"),
        ("ellipse", (48.6, 40, 51.4, 42.8), "light"),
        ("ellipse", (48.6, 52, 51.4, 54.8), "light"),
        ("ellipse", (48.6, 64, 51.4, 66.8), "light"),
        ("ellipse", (48.6, 76, 51.4, 78.8), "light"),
        ("line", (30, 44, 30, 62), "shade"),
        ("line", (70, 44, 70, 62), "shade"),
    ),
    "stripes": (
        ("poly", (34, 20, 66, 20, 90, 44, 82, 54, 70, 44, 70, 84, 30, 84, 30, 44, 18, 54, 10, 44), "light"),
        ("line", (30, 46, 70, 46), "main"),
        ("line", (30, 54, 70, 54), "main"),
        ("line", (30, 62, 70, 62), "main"),
        ("line", (30, 70, 70, 70), "main"),
        ("line", (30, 78, 70, 78), "main"),
        ("line", (31, 38, 69, 38), "main"),
        ("line", (30, 30, 70, 30), "main"),
        ("ellipse", (40, 14, 60, 26), "shade"),
    ),
    "jumper": (
        (
            "poly",
            (36, 20, 64, 20, 84, 30, 92, 74, 80, 76, 72, 46, 72, 84, 28, 84, 28, 46, 20, 76, 8, 74, 16, 30),
            "main",
        ),
        ("ellipse", (39, 14, 61, 28), "shade"),
        ("ellipse", (42, 14, 58, 25), "light"),
        ("round", (28, 78, 72, 86), "shade"),
        ("line", (36, 34, 44, 42, 36, 50, 44, 58, 36, 66, 44, 74), "light"),
        ("line", (64, 34, 56, 42, 64, 50, 56, 58, 64, 66, 56, 74), "light"),
    ),
    "bag": (
        ("line", (36, 40, 36, 24, 42, 16, 58, 16, 64, 24, 64, 40), "shade"),
        ("poly", (24, 38, 76, 38, 80, 86, 20, 86), "main"),
        ("poly", (24, 38, 76, 38, 76.7, 46, 23.3, 46), "shade"),
        ("ellipse", (42, 56, 58, 72), "light"),
    ),
    "apron": (
        ("line", (38, 26, 44, 12, 56, 12, 62, 26), "shade"),
        ("poly", (36, 24, 64, 24, 66, 44, 80, 50, 76, 88, 24, 88, 20, 50, 34, 44), "main"),
        ("round", (36, 58, 64, 74), "shade"),
        ("line", (50, 58, 50, 74), "main"),
        ("line", (20, 50, 8, 58), "shade"),
        ("line", (80, 50, 92, 58), "shade"),
    ),
    "scarf": (
        ("poly", (26, 22, 74, 22, 70, 40, 58, 46, 62, 84, 46, 86, 44, 48, 30, 40), "main"),
        ("poly", (30, 34, 46, 44, 34, 80, 22, 74), "shade"),
        ("line", (47, 86, 47, 92), "shade"),
        ("line", (52, 86, 52, 92), "shade"),
        ("line", (57, 85, 57, 91), "shade"),
        ("line", (46, 76, 61, 75), "light"),
        ("line", (45.5, 70, 60.5, 69), "light"),
    ),
    "hat": (
        ("ellipse", (26, 24, 74, 92), "main"),
        ("poly", (20, 66, 80, 66, 80, 96, 20, 96), "ground"),
        ("round", (24, 62, 76, 76), "shade"),
        ("ellipse", (43, 12, 57, 27), "light"),
        ("line", (38, 34, 36, 60), "shade"),
        ("line", (50, 28, 50, 60), "shade"),
        ("line", (62, 34, 64, 60), "shade"),
    ),
    "coffee": (
        ("poly", (30, 24, 70, 24, 74, 88, 26, 88), "main"),
        ("poly", (30, 24, 70, 24, 68, 12, 32, 12), "shade"),
        ("round", (34, 40, 66, 72), "light"),
        ("ellipse", (42, 46, 58, 66), "shade"),
        ("line", (50, 46, 47, 56, 52, 60, 50, 66), "light"),
    ),
    "cup": (
        ("ellipse", (58, 40, 86, 68), "main"),
        ("ellipse", (64, 46, 80, 62), "ground"),
        ("poly", (20, 36, 70, 36, 64, 78, 26, 78), "main"),
        ("ellipse", (20, 30, 70, 42), "shade"),
        ("ellipse", (24, 32, 66, 40), "ink"),
        ("ellipse", (12, 78, 78, 88), "shade"),
        ("line", (36, 24, 39, 18, 35, 12), "light"),
        ("line", (50, 24, 53, 18, 49, 12), "light"),
    ),
    "book": (
        ("poly", (26, 14, 76, 14, 76, 84, 26, 84), "main"),
        ("poly", (26, 84, 76, 84, 76, 90, 28, 90), "light"),
        ("poly", (24, 14, 32, 14, 32, 90, 24, 88), "shade"),
        ("line", (42, 32, 66, 32), "light"),
        ("line", (42, 40, 60, 40), "light"),
        ("ellipse", (46, 54, 62, 70), "light"),
    ),
}


def draw(path: Path, motif: str, colour: str, ground: str) -> None:
    """Draw one picture as PNG. Units: `SIDE_PX` pixels a side.

    Raises: KeyError for a motif that is not in the table.
    """
    paints = {
        "main": _rgb(colour),
        "shade": _mix(_rgb(colour), (20, 20, 30), 0.25),
        "light": _mix(_rgb(colour), (255, 255, 255), 0.75),
        "ink": _mix(_rgb(colour), (40, 20, 10), 0.8),
        "ground": _rgb(ground),
    }
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX), _rgb(ground))
    _draw_shadow(picture, _mix(_rgb(ground), (60, 50, 40), 0.22))
    pen = ImageDraw.Draw(picture)
    for kind, numbers, paint in MOTIFS[motif]:
        _draw_shape(pen, kind, [number * _SCALE for number in numbers], paints[paint])
    picture.filter(ImageFilter.SMOOTH).save(path, "PNG", optimize=True)


def _draw_shadow(picture: Image.Image, colour: tuple[int, int, int]) -> None:
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse([22 * _SCALE, 84 * _SCALE, 80 * _SCALE, 95 * _SCALE], fill=160)
    picture.paste(colour, mask=mask.filter(ImageFilter.GaussianBlur(3 * _SCALE)))


def _draw_shape(pen: ImageDraw.ImageDraw, kind: str, at: list[float], paint: tuple[int, int, int]) -> None:
    width = round(1.6 * _SCALE)
    if kind == "poly":
        pen.polygon(at, fill=paint)
    elif kind == "ellipse":
        pen.ellipse(at, fill=paint)
    elif kind == "round":
        pen.rounded_rectangle(at, radius=3 * _SCALE, fill=paint)
    else:
        pen.line(at, fill=paint, width=width, joint="curve")


def _rgb(text: str) -> tuple[int, int, int]:
    value = int(text.lstrip("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255


def _mix(a: tuple[int, int, int], b: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
