"""An endpoint that attacks the node itself: floods, bombs, drips, redirects. It costs little, is named, and is left."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import pytest

from halle_node.chain import ChainClient, Watcher
from halle_node.chain.rpc import MAX_ANSWER_BYTES, RpcEndpoint, RpcError
from halle_node.db import Database
from halle_protocol.errors import HalleError, Unavailable
from node.chain.scripted import ScriptedChain

Attack = Callable[[], Iterable[bytes | float]]
"""What to send, piece by piece; a number waits. Units: seconds."""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MIB = 1 << 20
ENOUGH_S = 30.0


class Attacker:
    """A socket that answers every request with the bytes of `attack`, for as long as the other side listens."""

    def __init__(self) -> None:
        self.attack: Attack = list
        self.sent = self.requests = 0
        self._serving: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for each in self._serving:
            each.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(writer)
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            for part in self.attack():
                if isinstance(part, float):
                    await asyncio.sleep(part)
                    continue
                writer.write(part)
                self.sent += len(part)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._serving.discard(writer)
            writer.close()


def _whole(body: bytes, headers: bytes = b"") -> list[bytes]:
    return [OK + headers + b"Content-Length: %d\r\n\r\n" % len(body), body]


def flood() -> Iterator[bytes | float]:
    """A result without an end."""
    yield OK + b"\r\n" + b'{"jsonrpc":"2.0","id":1,"result":"0x'
    for _ in range(4_096):
        yield b"ab" * (MIB // 2)


def zip_bomb() -> Iterator[bytes | float]:
    """Two hundred megabytes of zeros in two hundred kilobytes."""
    yield from _whole(gzip.compress(bytes(200 * MIB), 6), b"Content-Encoding: gzip\r\n")


def long_number() -> Iterator[bytes | float]:
    yield from _whole(b'{"jsonrpc":"2.0","id":1,"result":' + b"9" * MIB + b"}")


def deep() -> Iterator[bytes | float]:
    """Lists within lists, which a recursive reader does not come back from."""
    yield from _whole(b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * MIB + b"]" * MIB + b"}")


def deep_refusal() -> Iterator[bytes | float]:
    body = b"[" * MIB
    yield b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(body)
    yield body


def drip() -> Iterator[bytes | float]:
    """A byte now and then: never silent, never done."""
    yield OK + b"\r\n"
    for _ in range(10_000):
        yield b" "
        yield 0.05


def drip_headers() -> Iterator[bytes | float]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(10_000):
        yield b"X-%d: y\r\n" % number
        yield 0.05


def endless_headers() -> Iterator[bytes | float]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(1_000_000):
        yield b"X-%d: %s\r\n" % (number, b"y" * 4_000)


@pytest.fixture
async def attacker() -> AsyncIterator[Attacker]:
    found = Attacker()
    await found.start()
    yield found
    await found.stop()


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (flood, "rpc-too-large"),
        (zip_bomb, "rpc-too-large"),
        (long_number, "rpc-bad-answer"),
        (deep, "rpc-bad-answer"),
        (deep_refusal, "rpc-down"),
        (drip, "rpc-down"),
        (drip_headers, "rpc-down"),
        (endless_headers, "rpc-down"),
    ],
)
async def test_attack_ends_with_a_code_and_little_harm(attacker: Attacker, attack: Attack, code: str) -> None:
    attacker.attack = attack
    endpoint = RpcEndpoint(attacker.url, timeout_s=1 if attack in (drip, drip_headers) else ENOUGH_S)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with asyncio.timeout(ENOUGH_S):
        with pytest.raises(Unavailable) as caught:
            await endpoint.request("eth_blockNumber")
    assert caught.value.code == code
    await endpoint.close()
    if attack is flood:
        assert attacker.sent < 8 * MAX_ANSWER_BYTES  # what the sockets hold on top is not read
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1_024
        assert grown < 8 * MAX_ANSWER_BYTES


async def test_flood_of_logs_asks_for_fewer_blocks_and_of_one_block_is_an_attack(attacker: Attacker) -> None:
    attacker.attack = flood
    endpoint = RpcEndpoint(attacker.url, timeout_s=ENOUGH_S)
    for wanted, code in (
        ({"fromBlock": "0x1", "toBlock": "0x2"}, "rpc-range"),
        ({"fromBlock": "0x2", "toBlock": "0x2"}, "rpc-too-large"),
        ({"blockHash": "0x" + "11" * 32}, "rpc-too-large"),
    ):
        with pytest.raises(HalleError) as caught:
            await endpoint.request("eth_getLogs", wanted)
        assert caught.value.code == code
    await endpoint.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_told_and_not_followed(attacker: Attacker, scripted: ScriptedChain, status: int) -> None:
    """Else an endpoint could make this node speak to what only it can reach."""
    target = scripted.url.encode()
    attacker.attack = lambda: [b"HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, target)]
    endpoint = RpcEndpoint(attacker.url)
    with pytest.raises(Unavailable) as caught:
        await endpoint.request("eth_chainId")
    assert caught.value.code == "rpc-moved"
    assert scripted.url in caught.value.message
    assert scripted.requests == []
    await endpoint.close()


async def test_text_of_an_error_is_short_and_printable(attacker: Attacker) -> None:
    text = "\x1b[2J\u202e" + "x" * MIB
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": text}}).encode()
    attacker.attack = lambda: _whole(body)
    endpoint = RpcEndpoint(attacker.url)
    with pytest.raises(RpcError) as caught:
        await endpoint.request("eth_call")
    assert caught.value.text.isprintable()
    assert len(caught.value.message) < 1_000
    await endpoint.close()


async def test_node_goes_on_with_another_when_one_floods(
    attacker: Attacker, scripted: ScriptedChain, db: Database
) -> None:
    attacker.attack = flood
    scripted.grow((b"\x01" * 32,), ())
    client = ChainClient(attacker.url, scripted.url, timeout_s=ENOUGH_S)
    watcher = Watcher(db, client, start_block=0)
    while not watcher.caught_up:
        await watcher.step()
    told, asked = client.endpoints.states()
    assert (told.state, told.error_code) == ("set-aside", "rpc-too-large")
    assert asked.state == "asked"
    assert attacker.requests == 1
    await client.close()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("eth_blockNumber", "0x" + "f" * 64),
        ("eth_blockNumber", "0x" + "0" * MIB),
        ("eth_chainId", "0x" + "f" * 20),
        ("eth_getBlockByNumber", {"number": "0x1", "hash": [[[["deep"] * 9] * 9] * 9] * 9}),
    ],
)
async def test_numbers_that_no_row_can_hold_are_malformed(scripted: ScriptedChain, method: str, answer: object) -> None:
    scripted.overrides[method] = lambda _: answer
    client = ChainClient(scripted.url)

    async def ask() -> None:
        await client.connect()
        await client.block_number()

    with pytest.raises(Unavailable) as caught:
        await ask()
    assert caught.value.code == "rpc-bad-answer"
    assert len(caught.value.message) < 1_000
    await client.close()
