"""Sitemap and robots.txt of an exported shop: only a place with an address of its own can have them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from xml.sax.saxutils import escape, quoteattr

from halle_node.catalog.site import SiteFile

# The format allows 50,000 addresses and 50 MB a file.
PER_FILE = 20_000
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'

Address = tuple[str, Sequence[tuple[str, str]]]


def files(base_url: str, addresses: Iterable[Address]) -> Iterator[SiteFile]:
    """Yield the sitemaps, the list of them, and the file that tells robots of it."""
    names: list[str] = []
    waiting = iter(addresses)
    while part := list(islice(waiting, PER_FILE)):
        names.append(f"sitemap-{len(names) + 1}.xml")
        yield _file(names[-1], _sitemap(base_url, part))
    places = "".join(f"<sitemap><loc>{escape(f'{base_url}/{name}')}</loc></sitemap>\n" for name in names)
    yield _file("sitemap.xml", f"{HEAD}<sitemapindex {SPACE}>\n{places}</sitemapindex>\n")
    yield _file("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {base_url}/sitemap.xml\n")


def _file(path: str, text: str) -> SiteFile:
    return SiteFile(path, hashlib.sha256(text.encode()).digest(), partial(text.encode, "utf-8"))


def _sitemap(base_url: str, addresses: Iterable[Address]) -> str:
    entries = "".join(_entry(base_url, path, everywhere) for path, everywhere in addresses)
    return f'{HEAD}<urlset {SPACE} xmlns:xhtml="http://www.w3.org/1999/xhtml">\n{entries}</urlset>\n'


def _entry(base_url: str, path: str, everywhere: Sequence[tuple[str, str]]) -> str:
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{lang}" href={quoteattr(f"{base_url}/{place}")}/>'
        for lang, place in everywhere
    )
    return f"<url><loc>{escape(f'{base_url}/{path}')}</loc>{links}</url>\n"
