"""What is sold in the story, what it looks like, and where it goes."""

from __future__ import annotations

from typing import Any

PICTURES = {
    "shirt-blue": ("shirt", "#3b6ea5", "#f3ece1"),
    "shirt-white": ("shirt", "#e8e4dc", "#cdd8dc"),
    "stripes-navy": ("stripes", "#1f3a5f", "#efe7d8"),
    "jumper-mustard": ("jumper", "#c98a2b", "#f3ece1"),
    "hat-pine": ("hat", "#2f6f5f", "#f1ece4"),
    "scarf-plum": ("scarf", "#7a4a8a", "#f0e9e4"),
    "apron-terracotta": ("apron", "#b5533c", "#f3ece1"),
    "bag-olive": ("bag", "#8a9a5b", "#f1ede2"),
    "coffee-guji": ("coffee", "#6b4226", "#efe4d6"),
    "cup-tasting": ("cup", "#d9d2c5", "#e6d7c3"),
    "guide-brewing": ("book", "#a33b53", "#efe4d6"),
}

KAWA_PRODUCTS: tuple[dict[str, Any], ...] = (
    {
        "title": "Café Éthiopie Guji",
        "handle": "cafe-ethiopie-guji",
        "description": "Notes de **pêche** et de thé noir. Torréfié chaque mardi. Ethiopian filter coffee.",
        "tags": "cafe, coffee, ethiopie",
        "variants": [
            {"sku": "GUJ-250", "options": {"Poids": "250 g"}, "price": "12.50", "stock": 40, "weight_g": 270},
            {
                "sku": "GUJ-1000",
                "options": {"Poids": "1 kg"},
                "price": "42.00",
                "stock": 12,
                "weight_g": 1040,
            },
        ],
        "picture": ("coffee-guji", "Sachet de café brun avec une étiquette claire"),
    },
    {
        "title": "Atelier dégustation (90 min)",
        "handle": "atelier-degustation",
        "kind": "service",
        "description": "Six cafés, une table, vos questions. Coffee tasting workshop.",
        "tags": "atelier, tasting, service",
        "price": "35.00",
        "stock": 8,
        "picture": ("cup-tasting", "Tasse de café fumante"),
    },
    {
        "title": "Guide d’extraction douce",
        "handle": "guide-extraction",
        "kind": "digital",
        "description": "Recettes V60, Aeropress et Chemex. Brewing guide, to download.",
        "tags": "guide, ebook, digital",
        "price": "9.00",
        "stock": 0,
        "tracked": False,
        "picture": ("guide-brewing", "Couverture du guide, rouge"),
    },
)

ADDRESS = {
    "name": "Noé Martin",
    "street": "12 rue des Tanneurs",
    "city": "Lyon",
    "postcode": "69007",
    "country": "FR",
}
