"""Endpoints that fail, limit, lag and lie, before a real chain: what is stored is what the chain has."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import select

from halle_node.chain import ChainClient, Depths, Outbox, Watcher
from halle_node.chain.limits import Limit, limit_of
from halle_node.db import Database
from halle_node.db.schema.chain import chain_event
from halle_protocol.errors import ConfigError, Refused, Unavailable
from halle_protocol.keys import address_of, keccak256
from node.chain.following import catch_up
from node.chain.proxy import Proxy
from node.chain.real import Anvil, anvil_market

DEPTHS = Depths(safe=2, final=8)
LONG_AGO_S = 100_000


@pytest.fixture(scope="module")
def market() -> Iterator[Anvil]:
    """Forty events in as many blocks, some of them long ago, and twenty empty blocks between."""
    with anvil_market(7_007, "--timestamp", str(int(time.time()) - LONG_AGO_S)) as found:
        found.emit(30)
        found.mine(20)
        found.ask("evm_increaseTime", LONG_AGO_S)
        found.emit(10)
        yield found


@pytest.fixture
async def proxies(market: Anvil) -> AsyncIterator[list[Proxy]]:
    """Three proxies that change nothing yet."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Proxy(market.url)) for _ in range(3)]


Follow = Callable[..., Watcher]


@pytest.fixture
async def follow(db: Database) -> AsyncIterator[Follow]:
    """Makes the watcher of some endpoints."""
    clients: list[ChainClient] = []

    def make(*proxies: Proxy, range_blocks: int = 2_000) -> Watcher:
        clients.append(ChainClient(*(each.url for each in proxies), timeout_s=1))
        return Watcher(db, clients[-1], depths=DEPTHS, start_block=0, range_blocks=range_blocks)

    yield make
    for client in clients:
        await client.close()


def known(db: Database) -> list[tuple[str, int]]:
    """Return (block hash, log index) of the escrow's events stored, in order."""
    wanted = select(chain_event).where(chain_event.c.contract == "Escrow")
    rows = db.read(lambda c: c.execute(wanted.order_by(chain_event.c.block_number, chain_event.c.log_index)).all())
    return [("0x" + row.block_hash.hex(), row.log_index) for row in rows]


def state_of(watcher: Watcher, place: int) -> tuple[str, str]:
    found = watcher._client.endpoints.states()[place]
    return found.state, found.error_code


# ── failing ───────────────────────────────────────────────────────────────────────────────────────────────────


def refuse_all(proxy: Proxy) -> None:
    proxy.status = 503


def limit_by_status(proxy: Proxy) -> None:
    proxy.status = 429


def limit_by_code(proxy: Proxy) -> None:
    proxy.error = {"code": -32005, "message": "daily request count exceeded, request rate limited"}


def limit_with_both(proxy: Proxy) -> None:
    proxy.status, proxy.error = 403, {"code": 429, "message": "exceeded its compute units per second capacity"}


def keep_silent(proxy: Proxy) -> None:
    proxy.silent = True


@pytest.mark.parametrize(
    ("fail", "code"),
    [
        (refuse_all, "rpc-down"),
        (limit_by_status, "rpc-limited"),
        (limit_by_code, "rpc-limited"),
        (limit_with_both, "rpc-limited"),
        (keep_silent, "rpc-down"),
    ],
)
async def test_next_endpoint_is_asked_and_the_first_again_when_it_answers(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow, fail: Callable[[Proxy], None], code: str
) -> None:
    first, second, _ = proxies
    watcher = follow(first, second, range_blocks=16)
    assert await watcher.step()
    fail(first)
    await catch_up(watcher)
    assert known(db) == market.logs()
    assert state_of(watcher, 0) == ("resting", code)
    assert state_of(watcher, 1) == ("asked", "")
    first.status = first.error = None
    first.silent = False
    first._released.set()
    endpoints = watcher._client.endpoints
    endpoints._all[0]._next_try = 0.0  # its rest is over
    await endpoints.survey()
    assert [state_of(watcher, place)[0] for place in (0, 1)] == ["asked", "ready"]
    assert endpoints.states()[0].failed_percent > 0
    assert endpoints.states()[0].block == market.height


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32005, "message": "query returned more than 10000 results"},
        {"code": -32602, "message": "eth_getLogs is limited to a 10 range"},
        {"code": -32600, "message": "Log response size exceeded. You can make eth_getLogs requests with up to a 2K"},
    ],
)
async def test_ranges_are_halved_and_grow_back(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow, error: dict[str, Any]
) -> None:
    proxy = proxies[0]
    proxy.max_range, proxy.range_error = 7, error
    watcher = follow(proxy)
    progress = []
    while await watcher.step():
        progress.append(watcher.progress)
    assert known(db) == market.logs()
    assert max(size for size in proxy.ranges[-3:-1]) <= 8
    assert [each.next_block for each in progress] == sorted({each.next_block for each in progress})
    assert all((each.began, each.head) == (0, market.height) and each.behind > 0 for each in progress)
    assert watcher.progress.behind == 0
    proxy.max_range, small = 1_000_000, watcher._scanner.range_blocks
    for block in range(40):
        await watcher.rescan(block)
        await watcher.step()
    assert watcher._scanner.range_blocks > 3 * small


async def test_ranges_with_too_many_logs_are_halved_too(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    proxies[0].max_logs = 3
    await catch_up(follow(proxies[0]))
    assert known(db) == market.logs()


async def test_logs_that_an_endpoint_has_not_seen_itself_are_missed_by_nobody(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    """Behind one address: a machine that is up to date names the head, one that is not gives the logs."""
    proxy = proxies[0]
    late = market.height - 3
    proxy.twists["eth_getLogs"] = lambda params, logs: (
        logs if "blockHash" in params[0] else [log for log in logs if int(log["blockNumber"], 16) <= late]
    )
    watcher = follow(proxy)
    with pytest.raises(Unavailable) as caught:
        await watcher.step()
    assert caught.value.code == "rpc-inconsistent"
    assert known(db) == []
    proxy.twists.clear()
    await catch_up(watcher)
    assert known(db) == market.logs()


async def test_endpoint_that_contradicts_itself_rests(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    proxies[0].twists["eth_getBlockByNumber"] = lambda _, block: (
        block | {"hash": "0x" + "ab" * 32} if block and block["number"] == "0x13" else block
    )
    watcher = follow(*proxies[:2], range_blocks=20)
    await catch_up(watcher)
    assert known(db) == market.logs()
    assert state_of(watcher, 0) == ("resting", "rpc-inconsistent")


async def test_endpoint_that_lags_holds_the_others_back_and_one_that_is_stuck_does_not(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    first, second, _ = proxies
    second.lag = 2
    watcher = follow(first, second)
    await catch_up(watcher)
    assert known(db) == market.logs()[:-2]
    second.lag = 12  # it stands where the chain was long ago
    await catch_up(watcher)
    assert known(db) == market.logs()
    await watcher._client.endpoints.survey()
    assert state_of(watcher, 1)[0] == "behind"
    assert watcher._client.endpoints.states()[1].behind == 12


# ── lying ─────────────────────────────────────────────────────────────────────────────────────────────────────


def hide_logs(proxy: Proxy, market: Anvil) -> None:
    hidden = market.logs()[5][0]
    proxy.twists["eth_getLogs"] = lambda _, logs: [log for log in logs if log["blockHash"] != hidden]


def make_up_a_log(proxy: Proxy, market: Anvil) -> None:
    block = market.ask("eth_getBlockByNumber", hex(market.height - 15), False)  # an empty one
    model = market.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})[-1]
    made_up = model | {
        "topics": [model["topics"][0], "0x" + "77".rjust(64, "0"), *model["topics"][2:]],
        "blockNumber": block["number"],
        "blockHash": block["hash"],
        "logIndex": "0x0",
    }

    def twist(params: list[Any], logs: list[Any]) -> list[Any]:
        wanted = params[0]
        if "blockHash" in wanted:
            return [made_up] if wanted["blockHash"] == block["hash"] else logs
        is_asked = int(wanted["fromBlock"], 16) <= int(block["number"], 16) <= int(wanted["toBlock"], 16)
        return [*logs, made_up] if is_asked else logs

    proxy.twists["eth_getLogs"] = twist


def change_a_log(proxy: Proxy, market: Anvil) -> None:
    changed = market.logs()[7][0]
    proxy.twists["eth_getLogs"] = lambda _, logs: [
        log | {"topics": [log["topics"][0], "0x" + "66".rjust(64, "0"), *log["topics"][2:]]}
        if log["blockHash"] == changed
        else log
        for log in logs
    ]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("lie", [hide_logs, make_up_a_log, change_a_log])
async def test_endpoint_that_lies_of_logs_is_caught_by_one_other(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow, lie: Callable[[Proxy, Anvil], None], place: int
) -> None:
    """One word against another: the block's own header decides."""
    lie(proxies[place], market)
    watcher = follow(*proxies[:2])
    await catch_up(watcher)
    assert known(db) == market.logs()
    assert state_of(watcher, place) == ("set-aside", "rpc-lies")
    assert state_of(watcher, 1 - place) == ("asked", "")


def give_another_block(proxy: Proxy, number: int) -> None:
    """Change a block's hash wherever the endpoint shows it, so that it does not contradict itself."""
    false = "0x" + "cd" * 32

    def of_block(_: list[Any], block: Any) -> Any:
        if not block or int(block["number"], 16) not in (number, number + 1):
            return block
        return block | {"hash" if int(block["number"], 16) == number else "parentHash": false}

    def of_logs(_: list[Any], logs: list[Any]) -> list[Any]:
        return [log | {"blockHash": false} if int(log["blockNumber"], 16) == number else log for log in logs]

    proxy.twists["eth_getBlockByNumber"], proxy.twists["eth_getLogs"] = of_block, of_logs


async def test_two_that_differ_on_a_final_block_are_both_not_believed(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    give_another_block(proxies[0], 19)
    watcher = follow(*proxies[:2], range_blocks=20)
    for _ in range(6):
        with pytest.raises(Unavailable) as caught:
            await watcher.step()
        assert caught.value.code == "rpc-disagree"
        assert all(each.name in caught.value.message for each in watcher._client.endpoints.states())
    assert known(db) == []


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_most_of_three_are_believed_on_a_final_block(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow, place: int
) -> None:
    give_another_block(proxies[place], 19)
    watcher = follow(*proxies, range_blocks=20)
    await catch_up(watcher)
    assert known(db) == market.logs()
    if place < 2:  # the third was never needed
        assert state_of(watcher, place) == ("set-aside", "rpc-lies")


async def test_what_was_stored_speaks_against_a_false_final_block(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    watcher = follow(*proxies[:2])
    await catch_up(watcher)
    number = market.height - 9
    give_another_block(proxies[0], number)
    watcher._scanner.range_blocks = 1
    await watcher.rescan(number)
    await catch_up(watcher)
    assert known(db) == market.logs()
    assert state_of(watcher, 0) == ("set-aside", "rpc-lies")


@pytest.mark.parametrize("lie", [hide_logs, make_up_a_log])
async def test_what_one_told_alone_is_taken_back_when_another_is_heard(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow, lie: Callable[[Proxy, Anvil], None]
) -> None:
    liar, honest, _ = proxies
    lie(liar, market)
    honest.status = 503
    watcher = follow(liar, honest)
    gone: list[Any] = []
    watcher.on_reorg(lambda _, events: gone.extend(events))
    await catch_up(watcher)
    await catch_up(watcher)
    assert known(db) != market.logs()
    assert watcher.progress.alone > 0
    honest.status = None
    watcher._client.endpoints._all[1]._next_try = 0.0  # its rest is over
    await watcher._client.endpoints.survey()
    for _ in range(3):
        await catch_up(watcher)
    assert known(db) == market.logs()
    assert gone
    assert state_of(watcher, 0) == ("set-aside", "rpc-lies")


async def test_what_was_read_before_there_was_a_second_is_confirmed_by_it(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    make_up_a_log(proxies[0], market)
    await catch_up(follow(proxies[0]))
    assert known(db) != market.logs()
    watcher = follow(*proxies[:2])
    for _ in range(3):
        await catch_up(watcher)
    assert known(db) == market.logs()


async def test_range_that_one_told_alone_is_confirmed_by_the_next(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    proxies[1].status = 503
    watcher = follow(*proxies[:2])
    await catch_up(watcher)
    await catch_up(watcher)
    assert watcher.progress.alone > 0
    proxies[1].status = None
    watcher._client.endpoints._all[1]._next_try = 0.0  # its rest is over
    await watcher._client.endpoints.survey()
    await catch_up(watcher)
    assert watcher.progress.alone == 0
    assert known(db) == market.logs()


async def test_head_that_one_makes_up_is_not_followed(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    """Blocks that nobody else has make nothing final."""
    top = market.height

    def ahead(params: list[Any], block: Any) -> Any:
        asked = top + 500 if params[0] == "latest" else int(params[0], 16)
        if asked <= top:
            return block
        newest = market.ask("eth_getBlockByNumber", "latest", False)
        return newest | {"number": hex(asked), "hash": f"0x{asked:064x}", "parentHash": f"0x{asked - 1:064x}"}

    proxies[0].twists["eth_getBlockByNumber"] = ahead
    watcher = follow(*proxies[:2])
    await catch_up(watcher)
    assert watcher.progress.head == top
    assert known(db) == market.logs()
    newest = db.read(lambda c: c.execute(select(chain_event).order_by(chain_event.c.block_number.desc())).first())
    assert newest.finality == "seen"


async def test_endpoint_of_another_chain_is_not_asked(
    market: Anvil, db: Database, proxies: list[Proxy], follow: Follow
) -> None:
    proxies[1].twists["eth_chainId"] = lambda *_: "0x1"
    watcher = follow(*proxies[:2])
    await catch_up(watcher)
    assert known(db) == market.logs()
    assert state_of(watcher, 1) == ("set-aside", "wrong-chain")
    # After a restart the database knows which of them is right, whatever their order.
    again = follow(proxies[1], proxies[0])
    await catch_up(again)
    assert state_of(again, 0) == ("set-aside", "wrong-chain")
    alone = follow(proxies[1])
    with pytest.raises(ConfigError) as caught:
        await alone.step()
    assert caught.value.code == "wrong-chain"


async def test_real_money_is_never_taken_for_the_embedded_chain(proxies: list[Proxy]) -> None:
    """It would make the first block final."""
    proxies[0].twists["web3_clientVersion"] = lambda *_: "Halle/embedded/1"
    client = ChainClient(proxies[0].url)
    await client.connect()
    assert not client.is_embedded
    await client.close()


# ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────────

SOMEBODY = b"\x53" * 20


def pretend_rich(proxy: Proxy) -> None:
    proxy.twists["eth_getBalance"] = lambda *_: hex(10**30)


@pytest.fixture
async def ask(proxies: list[Proxy]) -> AsyncIterator[Callable[[int], ChainClient]]:
    """Makes the client of the first so many proxies."""
    made: list[ChainClient] = []

    def make(count: int) -> ChainClient:
        made.append(ChainClient(*(each.url for each in proxies[:count]), timeout_s=1))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.mark.parametrize("place", [0, 1])
async def test_balance_that_two_tell_differently_is_not_believed(
    proxies: list[Proxy], ask: Callable[[int], ChainClient], place: int
) -> None:
    pretend_rich(proxies[place])
    client = ask(2)
    with pytest.raises(Unavailable) as caught:
        await client.balance(SOMEBODY)
    assert caught.value.code == "rpc-disagree"
    assert all(each.name in caught.value.message for each in client.endpoints.states())


async def test_most_of_three_are_believed_on_a_balance(proxies: list[Proxy], ask: Callable[[int], ChainClient]) -> None:
    pretend_rich(proxies[0])
    client = ask(3)
    assert await client.balance(SOMEBODY) == 0
    told = client.endpoints.states()[0]
    assert (told.state, told.error_code) == ("set-aside", "rpc-lies")


async def test_contract_that_refuses_for_one_only_is_a_disagreement(
    market: Anvil, proxies: list[Proxy], ask: Callable[[int], ChainClient]
) -> None:
    client = ask(2)
    await client.connect()
    assert await client.call("Escrow", "operatorUntil", SOMEBODY, SOMEBODY) == 0
    proxies[1].twists["eth_call"] = lambda *_: "0x" + "ff" * 32
    for function, arguments in (("operatorUntil", (SOMEBODY, SOMEBODY)), ("nonces", (SOMEBODY,))):
        with pytest.raises(Unavailable) as caught:
            await client.call("Escrow", function, *arguments)
        assert caught.value.code == "rpc-disagree"
    proxies[1].instead["eth_call"] = lambda _: "0x" + "ff" * 32
    with pytest.raises(Unavailable) as caught:  # for the honest one this reverts: nobody owns it
        await client.call("Warranty", "ownerOf", 7)
    assert caught.value.code == "rpc-disagree"
    proxies[1].twists.clear()
    proxies[1].instead.clear()
    with pytest.raises(Refused):
        await client.call("Warranty", "ownerOf", 7)


async def test_one_block_behind_is_no_disagreement(
    market: Anvil, proxies: list[Proxy], ask: Callable[[int], ChainClient]
) -> None:
    """Both are asked about the block that both have."""
    somebody = keccak256(b"late")[:20]
    market.ask("evm_mine")
    payer = market.call()["from"]
    market.ask("eth_sendTransaction", {"from": payer, "to": "0x" + somebody.hex(), "value": "0x5"})
    proxies[1].lag = 1
    before = hex(market.height - 1)
    proxies[1].twists["eth_getBalance"] = lambda params, found: (
        market.ask("eth_getBalance", params[0], before) if params[1] == "latest" else found
    )
    client = ask(2)
    assert await client.balance(somebody) == 0
    proxies[1].lag = 0
    proxies[1].twists.clear()
    assert await client.balance(somebody) == 5


async def test_state_comes_from_the_other_when_one_is_down(
    proxies: list[Proxy], ask: Callable[[int], ChainClient]
) -> None:
    client = ask(2)
    for place in (0, 1):
        proxies[place].status = 503
        assert await client.balance(SOMEBODY) == 0
        proxies[place].status = None
        client.endpoints._all[place]._next_try = 0.0  # its rest is over
        await client.endpoints.survey()


# ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_transaction_that_an_endpoint_swallows_is_mined_all_the_same(
    market: Anvil, db: Database, proxies: list[Proxy]
) -> None:
    """And a receipt that only this endpoint shows does not make it final."""
    payer = keccak256(b"swallowed")
    market.ask("anvil_setBalance", "0x" + address_of(payer).hex(), hex(10**18))
    proxies[0].instead["eth_sendRawTransaction"] = lambda params: "0x" + keccak256(bytes.fromhex(params[0][2:])).hex()
    client = ChainClient(*(each.url for each in proxies[:2]))
    await client.connect()
    outbox = Outbox(db, client, {address_of(payer): payer}, clock=lambda: int(time.time()), depths=DEPTHS)
    row = await db.write(
        lambda c: outbox.enqueue(c, signer=address_of(payer), to=b"\x52" * 20, data=b"", value=5, purpose="p", ref=b"")
    )
    await outbox.step()
    await outbox.step()
    assert outbox.status(row).state == "mined"
    number = outbox.status(row).block_number
    assert number is not None
    market.mine(10)
    give_another_block(proxies[1], number)
    with pytest.raises(Unavailable) as caught:
        await outbox.step()
    assert caught.value.code == "rpc-disagree"
    assert outbox.status(row).state == "mined"
    proxies[1].twists.clear()
    await outbox.step()
    assert outbox.status(row).state == "final"
    assert await client.balance(b"\x52" * 20) == 5
    await client.close()


@pytest.mark.parametrize(
    ("method", "code", "text", "limit"),
    [
        ("eth_getLogs", -32005, "query returned more than 10000 results", Limit.RANGE),
        ("eth_getLogs", -32005, "limit exceeded", Limit.RANGE),
        ("eth_call", -32005, "limit exceeded", Limit.RATE),
        ("eth_getLogs", -32005, "daily request count exceeded, request rate limited", Limit.RATE),
        (
            "eth_getLogs",
            35,
            "ranges over 10000 blocks are not supported on freetier, block range too large",
            Limit.RANGE,
        ),
        ("eth_getLogs", -32000, "exceed maximum block range: 50000", Limit.RANGE),
        ("eth_getLogs", -32614, "eth_getLogs is limited to a 10,000 range", Limit.RANGE),
        ("eth_getLogs", -32603, "query timeout exceeded", Limit.RANGE),
        ("eth_call", -32007, "50/second request limit reached", Limit.RATE),
        ("eth_call", 3, "execution reverted", None),
        ("eth_call", -32000, "block range is no matter of a call", None),
    ],
)
def test_limits_of_known_endpoints_are_understood(method: str, code: int, text: str, limit: Limit | None) -> None:
    assert limit_of(method, code, text) is limit
