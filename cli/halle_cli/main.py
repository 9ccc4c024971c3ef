"""The `halle` command: translates a command line into one call on a node, and errors into words and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from halle_protocol.errors import HalleError

EXIT_CODES = {
    "config-error": 2,
    "refused": 3,
    "unavailable": 4,
    "protocol-error": 5,
}
"""Exit code of each branch of the error tree; 0 is success, 1 anything unforeseen, 130 Ctrl-C."""

# Command → module of `halle_cli.commands` and the object in it: loaded only when called, so that
# `halle --help` does not pay for the network and the chain.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("home", "init"),
    "up": ("up", "up"),
    "open": ("up", "open_pages"),
    "demo": ("demo", "demo"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "doctor": ("home", "doctor"),
    "import": ("products", "import_csv"),
    "product": ("products", "product"),
    "site": ("site", "site"),
    "order": ("orders", "order"),
    "messages": ("messages", "messages"),
    "notify": ("notify", "notify"),
    "customer": ("customer", "customer"),
    "arbiter": ("roles", "arbiter"),
    "carrier": ("roles", "carrier"),
    "underwriter": ("underwriting", "underwriter"),
    "cover": ("cover", "cover"),
    "search": ("market", "search"),
    "peers": ("market", "peers"),
    "reachability": ("reachability", "reachability"),
    "block": ("access", "block"),
    "allow": ("access", "allow"),
    "pins": ("storage", "pins"),
    "gc": ("storage", "gc"),
    "mailbox": ("mailbox", "mailbox"),
    "contracts": ("contracts", "contracts"),
    "chain": ("contracts", "chain"),
}

MISSING_EXTRA = (
    "This is the light Halle protocol library; the node is an extra.\nInstall it with: pip install 'halle[node]'"
)


STOPPED = 130
HEARD_AFTER_S = 0.05


class ReaderGone(Exception):
    """Whoever read our output went away. Not an OSError, which click would answer by itself."""


def run() -> None:
    """Run the command line and exit the process; never shows a traceback to a person."""
    sys.unraisablehook = hear_interrupt
    try:
        status = _obey()
    except (BrokenPipeError, ReaderGone):
        # The reader of our output went away (`halle search … | head`): not an error of ours.
        status = 0
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        status = STOPPED
    _let_output_go()
    # Nothing is left to do that another Ctrl-C could harm: from here on it just ends the process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(status)


def hear_interrupt(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a Ctrl-C that fell into a destructor or a callback of the import system, where Python drops it."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        # A moment later, because here too it would be dropped.
        again = threading.Timer(HEARD_AFTER_S, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)


def _let_output_go() -> None:
    """Write what waits, or drop it: Python's own attempt at the end would change the exit code when it fails."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _obey() -> int:
    """Run the command and return the exit code; what went wrong is told on stderr."""
    try:
        import click
    except ImportError:
        sys.stderr.write(MISSING_EXTRA + "\n")
        return EXIT_CODES["config-error"]
    from halle_cli.console import report, speak_any_terminal
    from halle_protocol.errors import HalleError

    speak_any_terminal()
    try:
        status = build_group().main(standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HalleError as error:
        report(error)
        return exit_code(error)
    except ImportError as error:
        return _missing(error)
    except BrokenPipeError:
        raise
    except (OSError, UnicodeEncodeError) as error:
        outside = _from_outside(error)
        report(outside)
        return exit_code(outside)


def _missing(error: ImportError) -> int:
    if (error.name or "").split(".")[0].startswith("halle_"):
        raise error
    sys.stderr.write(f"{MISSING_EXTRA}\n(missing: {error.name})\n")
    return EXIT_CODES["config-error"]


def _from_outside(error: OSError | UnicodeEncodeError) -> HalleError:
    """Return what the machine refused as an error of ours: a file that cannot be read, words that are no text."""
    from halle_protocol.errors import ConfigError, Unavailable

    if isinstance(error, UnicodeEncodeError):
        return ConfigError("The command line holds bytes that are not text.", code="text-malformed", hint="Use UTF-8.")
    what = f"{error.filename}: " if error.filename else ""
    return Unavailable(f"{what}{error.strerror or error}.", code="system-error", hint="Correct that, then try again.")


def exit_code(error: Exception) -> int:
    """Return the documented exit code of an error by its place in the tree."""
    for kind in type(error).__mro__:
        code = EXIT_CODES.get(kind.__dict__.get("code", ""))
        if code is not None:
            return code
    return 1


@contextmanager
def _noticing_the_reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error


def build_group() -> click.Group:
    """Return the command group; sub-commands load their module when first looked up."""
    import click

    class LazyGroup(click.Group):
        def make_context(self, *args: Any, **extra: Any) -> click.Context:
            with _noticing_the_reader():
                return super().make_context(*args, **extra)

        def invoke(self, ctx: click.Context) -> Any:
            with _noticing_the_reader():
                return super().invoke(ctx)

        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(COMMANDS)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name not in COMMANDS:
                return None
            module, name = COMMANDS[cmd_name]
            command: click.Command = getattr(import_module(f"halle_cli.commands.{module}"), name)
            return command

    @click.group(
        cls=LazyGroup,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    @click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="HALLE_HOME",
        help="The node's folder (default: the platform's data folder; also HALLE_HOME).",
    )
    @click.option("--paths", is_flag=True, help="Print where everything is kept, and exit.")
    @click.option("-v", "--verbose", is_flag=True, help="Show the log on stderr.")
    @click.version_option(package_name="halle", prog_name="halle")
    @click.pass_context
    def halle(ctx: click.Context, home: Path | None, paths: bool, verbose: bool) -> None:
        """Halle: a market hall without an owner. `halle` alone means `halle up`."""
        from halle_cli.console import configure_logging, print_paths

        configure_logging(home, verbose=verbose)
        ctx.obj = home
        if paths:
            print_paths(home)
            ctx.exit(0)
        if ctx.invoked_subcommand is None:
            ctx.invoke(import_module("halle_cli.commands.up").up)

    return halle
