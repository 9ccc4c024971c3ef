"""A shop that answers a message with an attack on the node that left it there."""

from __future__ import annotations

import eth_account  # noqa: F401  as in a node: a library that it loads lifts Python's bound on nesting
import pytest
from aiohttp import web

from halle_node.messages.shop_post import PATH, ShopPost
from halle_protocol.errors import Unavailable


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"acknowledgement":' * 3_000, b'{"acknowledgement":[[[]]]}', b"9" * 9_000]
)
async def test_refusal_that_nests_without_end_is_nobodys_word(body: bytes) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=400, body=body, content_type="application/problem+json")

    app = web.Application()
    app.router.add_post(PATH, refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    post = ShopPost(allowed=lambda _: True)
    with pytest.raises(Unavailable) as caught:
        await post.post(f"http://127.0.0.1:{runner.addresses[0][1]}", b"sealed")
    assert caught.value.code == "shop-unreachable"
    await post.close()
    await runner.cleanup()
