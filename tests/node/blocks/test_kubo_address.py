"""Every way to write where a daemon is, and what opens it; everything else is refused with a next step."""

from __future__ import annotations

import pytest

from halle_node.blocks.kubo.address import auth_headers, parse_address
from halle_node.blocks.kubo.failures import answered
from halle_protocol.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "url", "multiaddr"),
    [
        ("http://127.0.0.1:5001", "http://127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001/http"),
        ("http://127.0.0.1:5001/api/v0/", "http://127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001/http"),
        ("http://kubo", "http://kubo:80", "/dns/kubo/tcp/80/http"),
        ("https://kubo.example.org", "https://kubo.example.org:443", "/dns/kubo.example.org/tcp/443/https"),
        ("http://[::1]:5001", "http://[::1]:5001", "/ip6/::1/tcp/5001/http"),
        ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001/http"),
        ("/ip6/::1/tcp/5001/http", "http://[::1]:5001", "/ip6/::1/tcp/5001/http"),
        ("/dns4/kubo.example.org/tcp/443/https", "https://kubo.example.org:443", None),
        ("/dns/kubo.example.org/tcp/443/tls/http", "https://kubo.example.org:443", None),
        ("unix:/run/ipfs.sock", "http://kubo", "/unix/run/ipfs.sock"),
        ("unix:///run/ipfs.sock", "http://kubo", "/unix/run/ipfs.sock"),
        ("/unix/run/ipfs.sock", "http://kubo", "/unix/run/ipfs.sock"),
    ],
)
def test_address_is_read(text: str, url: str, multiaddr: str | None) -> None:
    address = parse_address(text)
    assert address.url == url
    assert multiaddr is None or address.multiaddr == multiaddr


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:5001",
        "ftp://kubo",
        "http://",
        "http://kubo:99999",
        "http://kubo/elsewhere",
        "http://kubo?arg=1",
        "http://user:secret@kubo",
        "/ip4/127.0.0.1/udp/5001",
        "/ip4/127.0.0.1/tcp/0",
        "/ip4/127.0.0.1/tcp/5001/p2p/12D3KooW",
        "unix:",
    ],
)
def test_other_address_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert caught.value.code == "kubo-address"
    assert caught.value.hint
    assert "secret" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("http://127.0.0.1:5001", True),
        ("http://localhost:5001", True),
        ("unix:/run/ipfs.sock", True),
        ("https://kubo.example.org", True),
        ("http://kubo.example.org", False),
        ("/ip4/192.0.2.7/tcp/5001", False),
    ],
)
def test_open_connection_is_known(text: str, is_private: bool) -> None:
    assert parse_address(text).is_private == is_private


def test_secret_becomes_a_header() -> None:
    assert auth_headers("") == {}
    assert auth_headers("bearer:t:0") == {"Authorization": "Bearer t:0"}
    assert auth_headers("basic:a:b:c") == {"Authorization": "Basic YTpiOmM="}


@pytest.mark.parametrize("text", ["t0ken", "basic:alone", "digest:a:b"])
def test_secret_of_another_form_is_refused_unshown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        auth_headers(text)
    assert caught.value.code == "kubo-auth-shape"
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, '{"Message": "missing authorization"}', "kubo-auth"),
        (404, "404 page not found", "kubo-call-gone"),
        (500, '{"Message": "removed, use \'ipfs routing\' instead"}', "kubo-call-gone"),
        (500, '{"Message": "write /x: no space left on device"}', "kubo-full"),
        (500, '{"Message": "lock /x/repo.lock: someone else has the lock"}', "kubo-locked"),
        (500, '{"Message": "something else"}', "kubo-failed"),
        (502, "<html>bad gateway</html>", "kubo-failed"),
        (500, "[1]", "kubo-failed"),
    ],
)
def test_answer_becomes_an_error_with_a_next_step(status: int, body: str, code: str) -> None:
    error = answered("pin/add", status, body)
    assert (error.code, bool(error.hint)) == (code, True)
