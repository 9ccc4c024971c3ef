from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from halle_protocol import dagcbor
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.grant import SCOPES, Grant, authorise
from samples_people import DAY, MERCHANT, NOW, OPERATOR, PEER_ID, STRANGER, STRANGER_KEY, grant


def test_grant_reads_back_with_the_same_bytes_and_cid() -> None:
    made = grant()
    read = Grant.decode(made.encode())
    assert read == made
    assert read.encode() == made.encode()
    assert read.cid == made.cid
    assert read.peer_id == PEER_ID
    assert read.scopes == tuple(sorted(SCOPES))


def test_grant_is_active_between_its_times_both_included() -> None:
    made = grant(not_before=10, not_after=20)
    assert [made.active(at) for at in (9, 10, 20, 21)] == [False, True, True, False]


def test_store_itself_needs_no_grant() -> None:
    authorise(MERCHANT, MERCHANT, None, scope="publish", at=NOW)


def test_operator_is_authorised_by_an_active_grant() -> None:
    authorise(OPERATOR, MERCHANT, grant(), scope="publish", at=NOW)


@pytest.mark.parametrize(
    ("signer", "store", "changes", "at", "min_sequence", "code"),
    [
        (STRANGER, MERCHANT, {}, NOW, 0, "not-authorised"),
        (OPERATOR, STRANGER, {}, NOW, 0, "grant-wrong-store"),
        (OPERATOR, MERCHANT, {"scopes": ["quote"]}, NOW, 0, "grant-scope"),
        (OPERATOR, MERCHANT, {"scopes": []}, NOW, 0, "grant-scope"),
        (OPERATOR, MERCHANT, {}, NOW, 2, "grant-revoked"),
        (OPERATOR, MERCHANT, {}, NOW - 2 * DAY, 0, "grant-not-yet"),
        (OPERATOR, MERCHANT, {}, NOW + 31 * DAY, 0, "grant-expired"),
    ],
)
def test_authority_is_refused_with_its_code(
    signer: bytes, store: bytes, changes: dict[str, Any], at: int, min_sequence: int, code: str
) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        authorise(signer, store, grant(**changes), scope="publish", at=at, min_sequence=min_sequence)
    assert caught.value.code == code


def test_authority_is_refused_when_there_is_no_grant() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        authorise(OPERATOR, MERCHANT, None, scope="publish", at=NOW)
    assert caught.value.code == "not-authorised"


def test_authority_skips_the_clock_when_a_head_vouches() -> None:
    authorise(OPERATOR, MERCHANT, grant(not_before=1, not_after=2), scope="publish", at=None)


@pytest.mark.parametrize("field", ["operator", "peer_id", "scopes", "not_after", "sequence", "store"])
def test_grant_is_refused_when_a_signed_field_changed(field: str) -> None:
    made = grant()
    value = {"operator": STRANGER, "peer_id": "12D3x", "scopes": ("publish",), "store": STRANGER}.get(field, 99)
    with pytest.raises(RemoteProtocolError) as caught:
        Grant.decode(replace(made, **{field: value}).encode())
    assert caught.value.code == "grant-wrong-signer"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "halle/grant/2"},
        {"scopes": ["ship", "publish"]},
        {"scopes": ["publish", "publish"]},
        {"scopes": "publish"},
        {"scopes": ["x" * 25]},
        {"operator": bytes(20)},
        {"operator": bytes(19)},
        {"sequence": -1},
        {"sequence": True},
        {"peer_id": ""},
        {"extra": 1},
        {"sig": bytes(64)},
    ],
)
def test_grant_is_refused_when_its_shape_is_wrong(change: dict[str, Any]) -> None:
    value = dagcbor.decode(grant().encode()) | change
    with pytest.raises(RemoteProtocolError) as caught:
        Grant.decode(dagcbor.encode(value))
    assert caught.value.code == "grant-shape"


def test_grant_is_refused_when_too_large() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Grant.decode(bytes(1401))
    assert caught.value.code == "grant-too-large"


def test_signing_a_grant_refuses_a_peer_id_that_is_too_long() -> None:
    from halle_protocol.grant import sign_grant

    with pytest.raises(LocalProtocolError) as caught:
        sign_grant(STRANGER_KEY, OPERATOR, "x" * 81, not_before=0, not_after=1, sequence=1)
    assert caught.value.code == "grant-shape"
