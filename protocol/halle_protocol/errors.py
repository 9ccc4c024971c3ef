"""Every error Halle raises on purpose. One tree; the same `code` on the wire, in HTTP problems and CLI exits."""

from __future__ import annotations


class HalleError(Exception):
    """Say what happened, with values, then the next step.

    `code` is kebab-case and stable: programs match on it, people read `message` and `hint`.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ProtocolError(HalleError):
    """A rule of the protocol is broken; retrying the same bytes cannot help."""

    code = "protocol-error"


class LocalProtocolError(ProtocolError):
    """We were about to break a rule ourselves."""

    code = "local-protocol-error"


class RemoteProtocolError(ProtocolError):
    """Bytes from outside break a rule."""

    code = "remote-protocol-error"


class Unavailable(HalleError):
    """Something needed is out of reach now; retrying later may help."""

    code = "unavailable"


class Refused(HalleError):
    """A valid request that the state, a limit or a policy forbids."""

    code = "refused"


class ConfigError(HalleError):
    """A setting, file or command line is wrong."""

    code = "config-error"
