"""`halle notify`: what the owner should hear of, and how it is mailed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from halle_cli.console import err, print_facts, print_json, print_rows, when
from halle_cli.session import node_session
from halle_protocol.errors import ConfigError

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
NUMBERS = ("port", "digest_hour")


@click.group()
def notify() -> None:
    """Notices of orders, messages, deadlines and troubles, in the pages and by mail to you, the owner.

    A mail is a postcard: it says that something happened, never who, what or how much.
    """


@notify.command("list")
@click.option("--unread", is_flag=True, help="Only what you have not seen.")
@JSON
@click.pass_obj
def listing(home: Path | None, /, unread: bool, as_json: bool) -> None:
    """List notices, newest first. Works offline."""
    with node_session(home) as node:
        found = node.get("/notices", unread=unread or None)["notices"]
    if as_json:
        print_json(found)
        return
    print_rows(
        ("notice", "when", "kind", "about", "who and what", "mail"),
        (
            (
                f"{one['notice_id']}{'' if one['read'] else ' new'}",
                when(one["at"]),
                one["kind"],
                one["subject"][:12],
                ", ".join(str(value) for name, value in one["params"].items() if name in ("who", "what", "name")),
                one["error_code"] or one["mail"] or "—",
            )
            for one in found
        ),
        empty="Nothing happened yet.",
    )


@notify.command("read")
@click.argument("notice_id", type=int, required=False)
@click.pass_obj
def read(home: Path | None, /, notice_id: int | None) -> None:
    """Mark a notice as read, or all of them. Works offline."""
    with node_session(home) as node:
        left = node.post("/notices/read", {} if notice_id is None else {"notice_id": notice_id})["unread"]
    err.print(f"{left} unread.")


@notify.command("set")
@click.argument("fields", nargs=-1)
@click.option("--on/--off", "enabled", default=None, help="Send mail, or send none.")
@click.option("--password", "ask_password", is_flag=True, help="Read the mail account's password from the terminal.")
@JSON
@click.pass_obj
def set_(
    home: Path | None, /, fields: tuple[str, ...], enabled: bool | None, ask_password: bool, as_json: bool
) -> None:
    """Show the mail settings, or change some. Works offline.

    FIELDS are name=value: to, sender, host, port, security (tls, starttls, none), user, ca_file, language,
    digest_hour; or a kind of notice = mail, digest, app or off. For example:
    host=smtp.example.org user=camille to=camille@example.org sender=camille@example.org low-stock=off
    """
    with node_session(home) as node:
        shown = node.get("/notify")
        form = read_settings(fields, set(shown["kinds"]))
        if enabled is not None:
            form["enabled"] = enabled
        if ask_password:
            form["password"] = _password()
        if form:
            shown = node.post("/notify", form)
    if as_json:
        print_json(shown)
        return
    mail = shown["mail"]
    settings = {name: value for name, value in mail["settings"].items() if name != "kinds"}
    waiting = f"{mail['waiting']} {mail['error_code']}".strip()
    print_facts(settings | {"password": "kept" if mail["has_password"] else "none", "waiting": waiting})
    print_facts(shown["kinds"])


@notify.command()
@click.pass_obj
def test(home: Path | None, /) -> None:
    """Send a test mail now. Works offline."""
    with node_session(home) as node:
        node.post("/notify/test")
    err.print("The mail server took the letter. Look into your mailbox.")


def read_settings(fields: tuple[str, ...], kinds: set[str]) -> dict[str, Any]:
    """Return name=value words as the API takes them. Raises: ConfigError field-malformed."""
    form: dict[str, Any] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or name == "password":
            hint = "Use --password." if name == "password" else "e.g. host=smtp.example.org"
            raise ConfigError(f"“{name}” is not name=value.", code="field-malformed", hint=hint)
        if name in kinds:
            form.setdefault("kinds", {})[name] = value
        else:
            form[name] = int(value) if name in NUMBERS and value.isdigit() else value
    return form


def _password() -> str:
    """Return a password typed unseen, or the first line of a pipe: a command line is seen by others."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password of the mail account", hide_input=True, default="", show_default=False))
