"""Save a screenshot of every page, phone and desktop, light and dark, for people to look at.

python tests/storefront/screens.py FOLDER [--only NAME] [--dark]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from browsing import PAGES, SIZES, open_browser, serve_stall
from stall import fill, make_stall


async def run(folder: Path, only: str, dark: bool, lang: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        stall = await fill(make_stall(Path(home)))
        web = await serve_stall(stall)
        async with open_browser() as browser:
            for size, (width, height) in SIZES.items():
                context = await browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
                )
                page = await context.new_page()
                await page.goto(web.new_setup_url())
                for name, (side, path) in PAGES.items():
                    if only and not any(part in name for part in only.split(",")):
                        continue
                    base = web.shop_url if side == "shop" else web.local_url
                    await page.goto(f"{base}/{lang}{path.format(store='0x' + stall.keys.store_address.hex())}")
                    await page.wait_for_load_state("networkidle")
                    await page.screenshot(
                        path=folder / f"{name}-{size}-{lang}{'-dark' if dark else ''}.png", full_page=True
                    )
                await context.close()
        await web.close()
        await stall.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--lang", default="fr")
    args = parser.parse_args()
    asyncio.run(run(args.folder, args.only, args.dark, args.lang))
