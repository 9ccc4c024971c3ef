"""What holds for every command: help, exit codes, streams, and a next step for every mistake."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.conftest import Halle, environment
from halle_cli.main import COMMANDS, EXIT_CODES, build_group, exit_code
from halle_protocol.errors import (
    ConfigError,
    HalleError,
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    Unavailable,
)


def every_command(command: click.Command | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups included."""
    found = build_group() if command is None else command
    yield path
    if isinstance(found, click.Group):
        context = click.Context(found)
        for name in found.list_commands(context):
            yield from every_command(found.get_command(context, name), (*path, name))


EVERY = list(every_command())
LIVE = [
    ("peers",),
    ("mailbox", "collect"),
    ("mailbox", "retry"),
    ("mailbox", "replay", "0x00", "00"),
    ("reachability",),
    ("open",),
    ("order", "do", "3f2a", "accept"),
]


def test_commands_are_all_found() -> None:
    assert {path[0] for path in EVERY if path} == set(COMMANDS)
    assert len(EVERY) > 20


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_explains_every_command_and_option(bare: Halle, path: tuple[str, ...]) -> None:
    told = bare(*path, "--help")
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith("Usage:")
    assert len(told.out.split("\n\n")[1].strip()) > 10


def test_halle_answers_in_a_shell(shell: Halle) -> None:
    assert "halle, version" in shell("--version").out
    assert shell("zork").status == 2
    assert shell("product", "list", "--bad").status == 2
    assert shell("restore", "--phrase-file", "/absent").status == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HalleError("x"), 1),
        (ConfigError("x", code="a-code-of-its-own"), 2),
        (Refused("x", code="a-code-of-its-own"), 3),
        (Unavailable("x", code="a-code-of-its-own"), 4),
        (ProtocolError("x"), 5),
        (LocalProtocolError("x", code="a-code-of-its-own"), 5),
        (RemoteProtocolError("x", code="a-code-of-its-own"), 5),
    ],
)
def test_exit_code_is_that_of_the_error_s_branch(error: HalleError, status: int) -> None:
    assert exit_code(error) == status
    assert status == 1 or status in EXIT_CODES.values()


def test_paths_are_absolute_and_inside_the_home(bare: Halle, tmp_path: Path) -> None:
    told = bare("--home", tmp_path / "h", "--paths")
    assert told.status == 0
    for line in told.out.splitlines():
        assert Path(line.split(maxsplit=1)[1]).is_relative_to(tmp_path / "h")
    assert not (tmp_path / "h").exists()


def test_home_is_taken_from_the_environment(bare: Halle, home: Path) -> None:
    assert str(home / "halle.db") in bare("--paths", env={"HALLE_HOME": str(home)}).out


@pytest.mark.parametrize("path", [path for path in EVERY if path in {("up",), ("doctor",), ("peers",), ("open",)}])
def test_commands_name_the_next_step_when_there_is_no_home(bare: Halle, tmp_path: Path, path: tuple[str, ...]) -> None:
    told = bare("--home", tmp_path / "absent", *path)
    assert (told.status, told.code) == (2, "home-missing")
    assert "halle init" in told.err
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("words", LIVE, ids=" ".join)
def test_live_commands_say_that_the_node_does_not_run(halle: Halle, words: tuple[str, ...]) -> None:
    told = halle(*words)
    assert (told.status, told.code) == (4, "node-not-running")
    assert "halle up" in told.err


def test_commands_work_beside_a_note_that_a_crash_left(halle: Halle, home: Path) -> None:
    (home / "run").mkdir(exist_ok=True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    note = f'{{"pid": {os.getpid()}, "local_url": "http://127.0.0.1:{port}", "shop_url": "", "token": "t"}}'
    (home / "run" / "node.json").write_text(note)
    assert halle("product", "list").status == 0
    assert halle("peers").code == "node-not-running"
    (home / "run" / "node.json").write_text("{ torn")
    assert halle("product", "list").status == 0


def test_orders_are_listed_without_a_running_node(halle: Halle) -> None:
    assert halle("order", "list").status == 0
    assert halle("order", "list", "--json").json == []
    assert halle("order", "show", "zz").code == "order-unknown"
    assert halle("order", "list", "--view", "nonsense").status in (0, 2, 3)
    assert halle("order", "do", "3f2a", "ship", "no-value").code == "field-malformed"


def test_doctor_names_what_is_not_there_yet(halle: Halle) -> None:
    checks = {check["name"]: check for check in halle("doctor", "--json").json}
    assert checks["keys"]["state"] == "ok"
    assert checks["catalog"]["hint"]
    told = halle("doctor")
    assert told.status == 0
    assert "halle up" in told.out


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("colour = 1", "setting-unknown"),
        ("[[[", "config-file-unreadable"),
        ('password = "x"', "password-in-file"),
        ("local_port = 70000", "config-invalid"),
        ('p2p_port = "x"', "config-invalid"),
    ],
)
def test_settings_file_is_answered_by_name_when_it_is_wrong(halle: Halle, home: Path, line: str, code: str) -> None:
    with (home / "halle.toml").open("a") as settings:
        settings.write(f"\n{line}\n")
    told = halle("product", "list")
    assert (told.status, told.code) == (2, code)
    assert "→" in told.err


def test_settings_are_answered_by_name_when_the_environment_is_wrong(halle: Halle) -> None:
    told = halle("product", "list", env={"HALLE_P2P_PORT": "none"})
    assert (told.status, told.code) == (2, "config-invalid")
    assert "HALLE_P2P_PORT" in told.err


@pytest.mark.parametrize("key", ["zz", "11" * 31, "", "\udcff"])
def test_contracts_deploy_refuses_what_is_no_key(bare: Halle, tmp_path: Path, key: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(key.encode("utf-8", "surrogateescape"))
    told = bare("contracts", "deploy", "--rpc", "http://127.0.0.1:1", "--key-file", path)
    assert (told.status, told.code) == (2, "key-malformed")
    assert "11" * 31 not in told.err


def test_contracts_deploy_says_so_when_nobody_answers(bare: Halle, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("0x" + "11" * 32)
    deploy = ("contracts", "deploy", "--key-file", path, "--rpc")
    assert bare(*deploy, "http://127.0.0.1:1").code == "rpc-down"
    assert bare(*deploy, "not an address").code == "rpc-url"


@pytest.mark.parametrize("words", [("--help",), ("product", "list"), ("product", "list", "--json"), ("--paths",)])
def test_output_may_lose_its_reader(home: Path, words: tuple[str, ...]) -> None:
    """`halle … | head`: whoever reads goes away before the first word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "halle_cli", "--home", str(home), *words],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
    assert done.returncode == 0


def test_output_says_so_when_it_has_no_room(home: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "halle_cli", "--home", str(home), "product", "list", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
            check=False,
        )
    assert done.returncode == 4
    assert b"Traceback" not in done.stderr


def test_colour_is_left_out_when_asked(home: Path) -> None:
    """A terminal gets colour; NO_COLOR takes it away."""
    script = "import halle_cli.console as c; c.out.print('[green]x[/]')"

    def says(**given: str) -> bytes:
        env = {**environment(**given), "TERM": "xterm-256color", "FORCE_COLOR": "1"}
        return subprocess.run([sys.executable, "-c", script], capture_output=True, env=env, check=True).stdout

    assert b"\x1b[3" in says()
    assert b"\x1b[3" not in says(NO_COLOR="1")


def test_interrupt_is_heard_where_python_drops_it() -> None:
    script = """
import sys, time, halle_cli.main
sys.unraisablehook = halle_cli.main.hear_interrupt
class Falls:
    def __del__(self): raise KeyboardInterrupt
try:
    Falls()
    time.sleep(10)
except KeyboardInterrupt:
    print("heard")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert (done.stdout, done.stderr) == ("heard\n", "")


def test_commands_survive_a_terminal_without_our_letters(shell: Halle, home: Path) -> None:
    told = shell("--home", home, "doctor", env={"PYTHONIOENCODING": "ascii"})
    assert told.status == 0
    assert "?" in told.out


def test_block_and_allow_lists_are_kept_and_taken_back(halle: Halle) -> None:
    assert halle("block", "list").err.startswith("The list is empty.")
    made = halle("block", "add", "203.0.113.9/24", "--note", "spam", "--json").json
    assert (made["subject"], made["kind"], made["allows"]) == ("203.0.113.0/24", "net", False)
    assert [rule["note"] for rule in halle("block", "list", "--json").json] == ["spam"]
    assert halle("allow", "list", "--json").json == []
    assert "halle block add 203.0.113.0/24" in halle("block", "remove", "203.0.113.0/24").err
    assert halle("block", "remove", "203.0.113.0/24").code == "access-unknown"
    assert halle("allow", "add", "nobody").code == "access-subject"
