"""The shop's door for sealed messages: a real node behind a real socket, real envelopes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from halle_node.config import Config
from halle_node.keys import Keys
from halle_node.messages import ShopPost
from halle_node.messages.shop_post import CONTENT_TYPE, PATH
from halle_node.node import Node
from halle_node.outward import is_any
from halle_protocol.errors import Unavailable
from halle_protocol.keys import address_of
from halle_protocol.mailbox import Acknowledgement
from halle_protocol.messages import sign_message
from halle_protocol.sealing import seal_envelope
from halle_storefront import WebAddresses, start_web
from halle_storefront.api.messages import PER_MINUTE

KEY = secrets.token_bytes(32)
Door = tuple[Node, WebAddresses, ShopPost]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    ports = {"local_port": 0, "shop_port": 0, "p2p_port": 0, "chain_port": 0}
    config = Config(home=tmp_path, name="Atelier", scrypt_n=2, index_heap_mb=15, **ports)
    Keys.create(tmp_path, scrypt_n=2)
    async with Node(config, online=False) as node:
        node.messages.register("note", lambda conn, message: None)
        website = await start_web(node)
        post = ShopPost(allowed=is_any)
        yield node, website, post
        await post.close()
        await website.close()


def envelope_for(node: Node, text: str = "hello", *, kind: str = "note") -> bytes:
    store = node.keys.store_address
    message = sign_message(
        KEY,
        id=secrets.token_bytes(16),
        thread=bytes(32),
        type=kind,
        sender=address_of(KEY),
        to=store,
        issued=node.clock(),
        body={"text": text},
    )
    return seal_envelope(message.encode(), store, node.keys.prekeys()[0]).encode()


def word_about(node: Node, envelope: bytes, answer: bytes) -> Acknowledgement:
    word = Acknowledgement.decode(answer)
    word.verify(store=node.keys.store_address, envelope=sha256(envelope).digest(), now=node.clock())
    return word


async def test_message_is_processed_once_and_acknowledged_by_signature(door: Door) -> None:
    node, website, post = door
    envelope = envelope_for(node)
    for _ in range(2):
        assert word_about(node, envelope, await post.post(website.shop_url, envelope)).processed
    assert node.messages.inbound_counts().processed == 1


async def test_final_refusal_is_a_problem_with_the_recipients_signature(door: Door) -> None:
    node, website, post = door
    other = seal_envelope(b"junk", secrets.token_bytes(20), node.keys.prekeys()[0]).encode()
    assert word_about(node, other, await post.post(website.shop_url, other)).outcome == "envelope-misaddressed"
    async with (
        ClientSession() as session,
        session.post(website.shop_url + PATH, data=other, headers={"Content-Type": CONTENT_TYPE}) as answer,
    ):
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["code"], body["retry"]) == (422, "envelope-misaddressed", False)


async def test_own_trouble_says_when_to_send_again_and_signs_nothing(door: Door) -> None:
    node, website, _ = door

    def full(conn, message):
        raise Unavailable("The disk is full.", code="disk-full")

    node.messages.register("note", full)
    async with (
        ClientSession() as session,
        session.post(
            website.shop_url + PATH, data=envelope_for(node), headers={"Content-Type": CONTENT_TYPE}
        ) as answer,
    ):
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["code"], body["retry"]) == (503, "disk-full", True)
        assert "acknowledgement" not in body
        assert int(answer.headers["Retry-After"]) > 0


async def test_callers_have_a_budget(door: Door) -> None:
    node, website, post = door
    for _ in range(int(PER_MINUTE)):
        await post.post(website.shop_url, envelope_for(node))
    with pytest.raises(Unavailable) as caught:
        await post.post(website.shop_url, envelope_for(node))
    assert "429" in caught.value.message


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({"Content-Type": "text/plain"}, b"x", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"x", 415),
        ({"Content-Type": CONTENT_TYPE}, bytes(262_145), 413),
    ],
)
async def test_other_requests_are_refused_before_they_are_read(door: Door, headers, data, status) -> None:
    _, website, _ = door
    async with ClientSession() as session, session.post(website.shop_url + PATH, data=data, headers=headers) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"


async def test_length_must_be_declared(door: Door) -> None:
    _, website, _ = door

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    async with (
        ClientSession() as session,
        session.post(website.shop_url + PATH, data=chunks(), headers={"Content-Type": CONTENT_TYPE}) as answer,
    ):
        assert answer.status == 411


async def test_page_of_another_origin_gets_no_permission(door: Door) -> None:
    _, website, _ = door
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with ClientSession() as session, session.options(website.shop_url + PATH, headers=asking) as answer:
        assert answer.status == 405
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_the_local_listener_has_no_such_door(door: Door) -> None:
    node, website, post = door
    with pytest.raises(Unavailable):
        await post.post(website.local_url, envelope_for(node))
    assert node.messages.inbound_counts().processed == 0


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "http://10.0.0.1", "http://169.254.169.254"]
)
async def test_private_addresses_are_not_reached(url: str) -> None:
    post = ShopPost()
    try:
        with pytest.raises(Unavailable) as caught:
            await post.post(url, b"x")
        assert caught.value.code == "shop-address"
    finally:
        await post.close()


@pytest.mark.parametrize("url", ["ftp://shop.example", "http://u:p@shop.example", "http://shop.example/?q=1", "x"])
async def test_what_is_no_shop_address_is_refused(url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await ShopPost().post(url, b"x")
    assert caught.value.code == "shop-address"


async def test_redirects_and_long_answers_are_not_followed() -> None:
    reached: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def landed(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(body=bytes(100_000), content_type=CONTENT_TYPE)

    app = web.Application()
    app.add_routes([web.post(PATH, elsewhere), web.post("/elsewhere", landed), web.post("/long" + PATH, landed)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    post = ShopPost(allowed=is_any)
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        for url in (base, base + "/long"):
            with pytest.raises(Unavailable) as caught:
                await post.post(url, b"x")
            assert caught.value.code == "shop-unreachable"
        assert reached == ["/long" + PATH]
    finally:
        await post.close()
        await runner.cleanup()
