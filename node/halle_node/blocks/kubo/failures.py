"""What a daemon answers, or fails to answer, as one Halle error with the next step."""

from __future__ import annotations

from pydantic_core import from_json

from halle_protocol.errors import ConfigError, HalleError, Refused, RemoteProtocolError, Unavailable

MAX_WORDS = 300
# Kubo has no codes: these are words of its own and of the operating system under it.
_FULL = ("no space left", "disk quota", "file too large", "storage is full", "storagemax")
_LOCKED = ("someone else has the lock", "repo.lock", "lock is held", "already locked")
_GONE = ("removed, use", "command not found", "404 page not found", "command is removed")
_ABSENT = ("not found locally", "could not find", "block not found")
_UNPINNED = ("not pinned", "is not pinned")
_BEHIND = ("existing ipns record has sequence",)


def down(shown: str, cause: object) -> Unavailable:
    return Unavailable(
        f"The IPFS daemon at {shown} does not answer: {cause}.",
        code="kubo-down",
        hint="Start it with `ipfs daemon`; end other ipfs commands that hold its repository. It is asked again later.",
    )


def slow(shown: str, path: str, seconds: float) -> Unavailable:
    return Unavailable(
        f"The IPFS daemon at {shown} did not finish {path} in {seconds:g} s.",
        code="kubo-slow",
        hint="It is asked again later; raise kubo_timeout_s if it is always so slow.",
    )


def nonsense(path: str, what: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"The IPFS daemon answered {path} with {what}.",
        code="kubo-answer",
        hint="Check that kubo_api is the address of a Kubo RPC and of nothing else.",
    )


def full(words: str) -> Unavailable:
    return Unavailable(
        f"The IPFS daemon has no room left: {words}.",
        code="kubo-full",
        hint="Free some space there (`ipfs repo gc`) or raise its Datastore.StorageMax.",
    )


def wrong_cid(path: str, ours: object, theirs: object) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"The IPFS daemon calls {theirs} what is {ours} (answer to {path}).",
        code="kubo-wrong-cid",
        hint="Do not use this daemon: it, or something on the way to it, changes what it is given.",
    )


def gone(path: str) -> Refused:
    return Refused(
        f"The IPFS daemon does not serve {path} any more.",
        code="kubo-call-gone",
        hint="Use a version of Kubo and a setting kubo_client that both know this call.",
    )


def answered(path: str, status: int, body: str) -> HalleError:
    """Return the error for an answer other than 200."""
    words = _words(body)
    low = words.lower()
    if status in (401, 403):
        return ConfigError(
            f"The IPFS daemon refuses us: {words or status}.",
            code="kubo-auth",
            hint="Compare HALLE_KUBO_AUTH with API.Authorizations in the daemon's settings.",
        )
    if status in (404, 405) or any(word in low for word in _GONE):
        return gone(path)
    if any(word in low for word in _FULL):
        return full(words)
    if any(word in low for word in _LOCKED):
        return Unavailable(
            f"The IPFS daemon's repository is locked: {words}.",
            code="kubo-locked",
            hint="End the other ipfs command that holds it; it is asked again later.",
        )
    for needles, code in ((_ABSENT, "kubo-absent"), (_UNPINNED, "kubo-unpinned")):
        if any(word in low for word in needles):
            return Unavailable(f"The IPFS daemon lacks it: {words}.", code=code, hint="It is sent again later.")
    if any(word in low for word in _BEHIND):
        return Refused(
            f"The store's name already leads further: {words}.",
            code="kubo-name-behind",
            hint="Another machine has published under this peer key; use one machine for one store.",
        )
    return Unavailable(
        f"The IPFS daemon failed at {path}: {words or status}.",
        code="kubo-failed",
        hint="Its own log says more; it is asked again later.",
    )


def _words(body: str) -> str:
    try:
        value = from_json(body)
    except ValueError:
        return body.strip()[:MAX_WORDS]
    message = value.get("Message") if isinstance(value, dict) else None
    return str(message if message is not None else body).strip()[:MAX_WORDS]
