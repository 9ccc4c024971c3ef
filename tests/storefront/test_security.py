"""Every route of both listeners refuses what another site's page, a rebound name or a stranger would send."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from faces import Faces, fill_path

from halle_protocol.errors import Refused
from halle_storefront.security import CSP, SESSION_COOKIE, SETUP_TTL_S, Doorkeeper

OPEN_LOCAL = ("/static/", "/setup/", "/-/health", "/favicon.ico", "/metrics")


def routes(app: web.Application) -> list[tuple[str, str]]:
    found = {
        (route.method, resource.canonical)
        for resource in app.router.resources()
        for route in resource
        if route.method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    }
    return sorted(found)


def pattern_path(faces: Faces, canonical: str) -> str:
    return fill_path(canonical, "0x" + faces.stall.keys.store_address.hex())


async def status_of(faces: Faces, side: str, method: str, path: str, session: str, **kwargs: object) -> int:
    client = faces.owner if session == "owner" else faces.stranger
    async with client.request(method, faces.url(side, path), allow_redirects=False, **kwargs) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        text = await answer.text(errors="replace")
        assert "Traceback" not in text
        return answer.status


async def test_every_route_refuses_a_foreign_host(faces: Faces) -> None:
    for side, app in (("local", faces.local_app), ("shop", faces.shop_app)):
        for method, canonical in routes(app):
            path = pattern_path(faces, canonical)
            for host in (
                "evil.example",
                f"evil.example:{faces.local.port}",
                "127.0.0.1.evil.example",
                "127.0.0.1:1",
                "",
            ):
                headers = {"Host": host, **faces.origin(side)}
                assert await status_of(faces, side, method, path, "owner", headers=headers) == 421, (path, host)


async def test_every_unsafe_route_refuses_a_foreign_origin(faces: Faces) -> None:
    foreign = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
        {"Origin": faces.url("local", ""), "Sec-Fetch-Site": "cross-site"},
        {"Origin": faces.url("shop", "")},
        {"Sec-Fetch-Site": "same-site"},
    )
    before = list(faces.stall.trade.done)
    for method, canonical in routes(faces.local_app):
        if method == "GET":
            continue
        for headers in foreign:
            path = pattern_path(faces, canonical)
            status = await status_of(faces, "local", method, path, "owner", headers=headers, data={"a": "b"})
            assert status == 403, (path, headers)
    assert faces.stall.trade.done == before


async def test_every_local_route_asks_for_a_session(faces: Faces) -> None:
    for method, canonical in routes(faces.local_app):
        path = pattern_path(faces, canonical)
        if path.startswith(OPEN_LOCAL) or path == "/-/health":
            continue
        data = {"data": {"a": "b"}} if method != "GET" else {}
        status = await status_of(faces, "local", method, path, "stranger", headers=faces.origin(), **data)
        assert status == 401, path


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", ""])
async def test_every_unsafe_route_refuses_other_bodies(faces: Faces, content_type: str) -> None:
    for method, canonical in routes(faces.local_app):
        if method == "GET":
            continue
        path = pattern_path(faces, canonical)
        headers = {**faces.origin(), "Content-Type": content_type}
        status = await status_of(faces, "local", method, path, "owner", headers=headers, data=b'{"a":"b"}')
        assert status == 415, path


async def test_a_form_that_is_too_long_is_refused_before_it_is_read(faces: Faces) -> None:
    headers = {**faces.origin(), "Content-Type": "application/x-www-form-urlencoded"}
    status = await status_of(
        faces, "local", "POST", "/fr/market/cart/add", "owner", headers=headers, data=b"a=" + b"b" * 600_000
    )
    assert status == 413


async def test_a_setup_link_opens_one_session_once(faces: Faces) -> None:
    path = f"/setup/{faces.keeper.new_link_token()}"
    async with faces.stranger.get(faces.url("local", path), allow_redirects=False) as first:
        assert first.status == 303
        cookie = first.cookies[SESSION_COOKIE]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
    faces.stranger.cookie_jar.clear()
    assert await status_of(faces, "local", "GET", path, "stranger") == 410


def test_a_setup_link_ends_after_thirty_minutes(tmp_path) -> None:
    now = [1000.0]
    keeper = Doorkeeper(tmp_path, lambda: now[0])
    token = keeper.new_link_token()
    now[0] += SETUP_TTL_S + 1
    with pytest.raises(Refused, match="30 minutes"):
        keeper.redeem(token)


def test_sessions_survive_a_restart_and_only_hashes_are_kept(tmp_path) -> None:
    keeper = Doorkeeper(tmp_path)
    session = keeper.redeem(keeper.new_link_token())
    stored = (tmp_path / "run" / "sessions.json").read_text()
    assert session not in stored
    assert (tmp_path / "run" / "sessions.json").stat().st_mode & 0o077 == 0
    assert Doorkeeper(tmp_path).admits(session)
    assert not Doorkeeper(tmp_path).admits("")


async def test_the_cli_asks_for_a_new_link_with_the_secret_of_this_start(faces: Faces) -> None:
    bearer = {"Authorization": f"Bearer {faces.keeper.secret}"}
    async with faces.stranger.post(faces.url("local", "/-/setup-link"), headers=bearer) as answer:
        assert (await answer.json())["url"].startswith(faces.url("local", "/setup/"))
    wrong = {"Authorization": "Bearer " + "x" * 43, **faces.origin()}
    assert await status_of(faces, "local", "POST", "/-/setup-link", "stranger", headers=wrong, data={"a": "b"}) == 401


async def test_errors_under_api_are_problem_bodies(faces: Faces) -> None:
    async with faces.stranger.get(faces.url("local", "/api/v1/store")) as answer:
        assert answer.content_type == "application/problem+json"
        assert json.loads(await answer.text())["code"] == "session-needed"


async def test_an_unexpected_failure_shows_a_page_without_a_trace(faces: Faces, caplog) -> None:
    faces.stall.trade.todo = lambda: 1 / 0
    status, text = await faces.get("/fr/admin/")
    assert status == 500
    assert "ZeroDivisionError" not in text
    assert "internal-error" in text


async def test_pages_carry_exactly_the_agreed_policy(faces: Faces) -> None:
    for side, path in (("local", "/fr/admin/"), ("shop", "/fr/"), ("shop", "/nothing")):
        async with faces.owner.get(faces.url(side, path)) as answer:
            assert answer.headers["Content-Security-Policy"] == CSP
            assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_the_shop_has_no_admin_and_no_market(faces: Faces) -> None:
    for path in ("/fr/admin/", "/fr/market/", "/setup/x", "/api/v1/orders"):
        assert await status_of(faces, "shop", "GET", path, "owner") == 404
