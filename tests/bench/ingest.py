"""What it costs to bring strangers' listings in, and to find them again.

Measured in a process of its own, so that memory is the index's alone: stores publish, this node fetches, verifies,
stores and makes findable; then a thousand searches.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figure import Figure, at_least, at_most, percentile  # noqa: E402  the path above comes first
from node.index.hall import Hall, Listener, Merchant, open_listener  # noqa: E402

STORES = 50
LISTINGS_A_STORE = 2_000
SEARCHES = 1_000
QUERIES = ("{0}", "{0} {1}", "{0} {1} {2}", "{3}")


def figures() -> Iterator[Figure]:
    """Yield the figures of ingest and search."""
    found = json.loads(
        subprocess.run(  # noqa: S603  this very file
            [sys.executable, __file__], check=True, capture_output=True, text=True
        ).stdout
    )
    count = found["listings"]
    yield at_least(f"ingest listings, wall ({count:,})", count / found["wall_s"], "/s", 3_000)
    yield at_least("ingest listings, CPU", count / found["cpu_s"], "/s", 4_000)
    yield at_most(f"search p99 at {count:,} listings, CPU", found["search_p99_ms"], "ms", 5)
    yield Figure("search p50, CPU", found["search_p50_ms"], "ms")
    yield Figure("search with facet counts p99, CPU", found["facets_p99_ms"], "ms")
    yield at_most(f"memory with {count:,} listings", found["rss_mb"], "MB", 250)
    yield at_most("documents fetched again after one change", found["refetched"], "blocks", 8)
    yield Figure("listing page from the index", found["views_per_s"], "/s")


def vocabulary() -> list[str]:
    """Made-up words, the same every time."""
    rng = random.Random(1)  # noqa: S311  not for secrets
    syllables = [a + b for a in "bcdfghjklmnprstv" for b in ("a", "e", "i", "o", "u", "é", "an", "or")]
    return sorted({"".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(20_000)})


def stock_up(merchant: Merchant, words: list[str], rng: random.Random, count: int) -> None:
    """Fill a store with listings of ordinary size; few words are common, most are rare."""
    merchant.introduce(f"Store {merchant.number}")
    weights = [1 / (place + 3) ** 0.95 for place in range(len(words))]
    for number in range(count):
        chosen = rng.choices(words, weights, k=140)
        title, text = " ".join(chosen[:6]).capitalize(), " ".join(chosen[6:])
        variants = [
            {
                "sku": f"S{number}-{size}",
                "options": {"Size": size},
                "price": {"amount": rng.randint(100, 100_000), "currency": "EUR"},
            }
            for size in ("S", "M", "L")
        ]
        merchant.list(
            f"product-{number}",
            title,
            description={"texts": {"fr": text}, "fallback": "fr"},
            options=["Size"],
            variants=variants,
            tags=chosen[6:10],
            categories=[{"value": rng.choice(("Mode", "Maison", "Jardin", "Livres", "Jeux"))}],
        )


async def ingest(listener: Listener, words: list[str]) -> dict[str, float]:
    """Bring all stores in; only the listening side is timed."""
    rng = random.Random(2)  # noqa: S311
    wall = cpu = 0.0
    for number in range(1, STORES + 1):
        merchant = listener.hall.merchant(number)
        stock_up(merchant, words, rng, LISTINGS_A_STORE)
        frame = merchant.frame()
        begun, spent = time.perf_counter(), time.process_time()
        await listener.index.ingest_head(frame, f"peer{number}")
        await listener.index.commit_search()
        wall += time.perf_counter() - begun
        cpu += time.process_time() - spent
        if number < STORES:
            listener.hall.merchants.clear()
            gc.collect()
    return {"listings": STORES * LISTINGS_A_STORE, "wall_s": wall, "cpu_s": cpu}


async def change_one(listener: Listener) -> int:
    """Return the blocks fetched after the last store changed one listing."""
    (merchant,) = listener.hall.merchants.values()
    before = listener.hall.fetched
    merchant.list("product-7", "Neuf")
    await listener.index.ingest_head(merchant.frame(), f"peer{merchant.number}")
    return listener.hall.fetched - before


def search(listener: Listener, words: list[str], *, count_facets: bool) -> list[float]:
    """Return the milliseconds of CPU each search took."""
    rng = random.Random(3)  # noqa: S311
    took = []
    for number in range(SEARCHES):
        common, middle, rare = rng.choice(words[:50]), rng.choice(words[50:2_000]), rng.choice(words)
        text = QUERIES[number % len(QUERIES)].format(common, rng.choice(words[:50]), middle, rare)
        begun = time.thread_time()
        listener.index.search(text, locale="fr", count_facets=count_facets)
        took.append((time.thread_time() - begun) * 1_000)
    return took


def views(listener: Listener) -> float:
    """Return listing pages a second."""
    store = Merchant(1).store
    begun = time.thread_time()
    for number in range(2_000):
        if listener.index.listing(store, f"product-{number % 500}") is None:
            raise RuntimeError("a listing is missing")
    return 2_000 / (time.thread_time() - begun)


async def measure() -> dict[str, float]:
    """Run everything in a folder that is thrown away."""
    words = vocabulary()
    with tempfile.TemporaryDirectory() as home:
        async with open_listener(Path(home), Hall(), {"index_heap_mb": 32}) as listener:
            found = await ingest(listener, words)
            found["refetched"] = await change_one(listener)
            gc.collect()
            found["rss_mb"] = _rss_mb()
            plain, faceted = (search(listener, words, count_facets=each) for each in (False, True))
            found["search_p50_ms"], found["search_p99_ms"] = percentile(plain, 0.5), percentile(plain, 0.99)
            found["facets_p99_ms"] = percentile(faceted, 0.99)
            found["views_per_s"] = views(listener)
            found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            return found


def _rss_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
