"""halle/shipping/1: zones and rates; its CID is bound into each order, so later edits never change a sale.

Spec: docs/spec/06-documents.md §6
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from halle_protocol.documents.shape import Count, Model, Price, Title
from halle_protocol.documents.text import Line, Word

ANYWHERE = "*"
ZoneCountry = Annotated[str, StringConstraints(strict=True, pattern=r"^(?:[A-Z]{2}|\*)$")]
Days = Annotated[int, Field(strict=True, ge=0, le=1000)]


class Rate(Model):
    """One way to send to a zone.

    Units: max_weight_g in grams for the whole parcel; free_over compares with the goods' subtotal.
    """

    id: Word
    name: Title
    price: Price
    max_weight_g: Count | None = None
    free_over: Price | None = None
    days_min: Days = 1
    days_max: Days = 7
    carrier: Line = ""


class Zone(Model):
    """Countries that share rates; `*` stands for every country no other zone names."""

    countries: Annotated[tuple[ZoneCountry, ...], Field(min_length=1, max_length=260)]
    rates: Annotated[tuple[Rate, ...], Field(min_length=1, max_length=50)]


class Shipping(Model):
    """Where a store sends, how, and for how much."""

    zones: Annotated[tuple[Zone, ...], Field(max_length=60)]
    name: Line = ""

    def zone_for(self, country: str) -> Zone | None:
        """Return the first zone that names the country, else the first `*` zone."""
        for wanted in (country, ANYWHERE):
            for zone in self.zones:
                if wanted in zone.countries:
                    return zone
        return None
