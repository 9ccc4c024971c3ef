"""Write the parts of docs/ that the code knows best: settings, commands, errors, API. `--check` only compares.

Run with `make docs`; `make check` fails when a page no longer tells the truth.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("protocol", "contracts/halle_contracts", "node", "storefront", "cli")
NOTE = "<!-- Written by docs/build.py from the code: change it there, then run `make docs`. -->\n\n"


def settings_page() -> str:
    """Return docs/settings.md."""
    from halle_node.chain.depths import CHAINS, LOCAL, UNKNOWN_CHAIN
    from halle_node.config import describe

    lines = [
        "# Settings\n",
        "In `halle.toml` in the node's folder, in the environment, or as options of `halle up`;",
        "the later wins. `halle --paths` prints where the folder is.\n",
        "| name | environment | default | unit | what it does |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| `{s.name}` | `{s.env}` | {_code(s.default)} | {s.unit} | {s.help} |" for s in describe()]
    lines += [
        "\n## Usual confirmations\n",
        "What `confirmations_safe` and `confirmations_final` are while they are 0; the payment's block is the first.\n",
        "| chain | id | safe | final |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {name} | {number} | {usual.safe} | {usual.final} |" for number, (name, usual) in CHAINS.items()]
    lines += [f"| the embedded chain | | {LOCAL.safe} | {LOCAL.final} |"]
    lines += [f"| any other | | {UNKNOWN_CHAIN.safe} | {UNKNOWN_CHAIN.final} |"]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return docs/cli.md: the help text of every command."""
    import click

    from halle_cli.main import EXIT_CODES, build_group

    def pages(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
        context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
        yield f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None:
                    yield from pages(found, child, context)

    codes = "\n".join(f"| {number} | `{kind}` |" for kind, number in EXIT_CODES.items())
    head = (
        "# The command line\n\nEvery read takes `--json`. Progress and errors go to stderr, answers to stdout; "
        "`NO_COLOR` is honoured.\n\n| exit code | meaning |\n| --- | --- |\n| 0 | done |\n| 1 | `doctor` or "
        "`import` found something wrong; anything unforeseen |\n"
        f"{codes}\n| 130 | Ctrl-C |\n\n"
    )
    return head + "\n".join(pages(build_group(), "halle", None))


def errors_page() -> str:
    """Return docs/errors.md: every code the sources raise, with the room it comes from."""
    found: dict[str, set[str]] = {}
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for code in error_codes(path):
                found.setdefault(code, set()).add(room_of(path))
    rows = (f"| `{code}` | {', '.join(sorted(rooms))} |" for code, rooms in sorted(found.items()))
    return (
        "# Error codes\n\nThe same code on the wire, in HTTP problems (`code`) and on the command line. "
        "The message says what happened, the hint what to do.\n\n| code | raised in |\n| --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )


# Functions that take the code as a plain argument, by the convention of their module.
TAKE_A_CODE = {"Rejected", "_refuse", "refusal", "_refusal", "_unencodable", "_changed", "_lose", "_whole"}
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")


def error_codes(path: Path) -> Iterator[str]:
    """Yield the literal code of every error that a source file raises."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from _literals(node.value)
        elif isinstance(node, ast.Call) and _callee(node) in TAKE_A_CODE:
            yield from (text for part in node.args[:2] for text in _literals(part) if CODE.fullmatch(text))
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.Assign) and any(getattr(t, "id", "") == "code" for t in item.targets):
                    yield from _literals(item.value)


def _literals(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.IfExp):
        yield from _literals(value.body)
        yield from _literals(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
        yield value.value


def _callee(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def room_of(path: Path) -> str:
    """Return the dotted room of a source file, e.g. `halle_node.chain`."""
    parts = path.relative_to(ROOT).parts[1:]
    return ".".join(part.removesuffix(".py") for part in parts[:2])


def api_page() -> str:
    """Return docs/api.md: the owner's routes."""
    from halle_storefront.api import public_routes
    from halle_storefront.api.owner import PREFIX, ROUTES

    rows = (f"| {method} | `{PREFIX}{path}` | {call.__name__.replace('_', ' ')} |" for method, path, call in ROUTES)
    return (
        "# The owner's API\n\n"
        "On the local listener only, with `Authorization: Bearer <token>`; address and token of the running node are "
        "in `run/node.json` in its folder, readable by its owner alone. Answers are JSON; errors are RFC 9457 "
        "problems with our [error codes](errors.md). Money is `{amount_minor, currency}`, token amounts are in the "
        "token's smallest unit, bytes are `0x…`, times are unix seconds.\n\n"
        "`halle` itself uses nothing else.\n\n| method | path | what |\n| --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n\nBoth listeners, without a token:\n\n| method | path | what |\n| --- | --- | --- |\n"
        + "\n".join(f"| {route.method} | `{route.path}` | {route.handler.__name__} |" for route in public_routes())
        + "\n"
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


PAGES = {
    "settings.md": settings_page,
    "cli.md": commands_page,
    "errors.md": errors_page,
    "api.md": api_page,
}


def main() -> int:
    """Write every page, or with `--check` name those that are out of date."""
    check, stale = "--check" in sys.argv[1:], []
    for name, make in PAGES.items():
        path, text = ROOT / "docs" / name, NOTE + make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(("out of date, run `make docs`: " if check else "written: ") + ", ".join(stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
