"""The `halle` command: translates a command line into one call on a node, and errors into words and exit codes."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

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
    "doctor": ("home", "doctor"),
    "import": ("products", "import_csv"),
    "product": ("products", "product"),
    "order": ("orders", "order"),
    "search": ("market", "search"),
    "peers": ("market", "peers"),
    "contracts": ("contracts", "contracts"),
    "chain": ("contracts", "chain"),
}

MISSING_EXTRA = "This is the light Halle protocol library; the node is an extra.\nInstall it with: pip install 'halle[node]'"


def run() -> None:
    """Run the command line and exit the process; never shows a traceback to a person."""
    try:
        import click
    except ImportError:
        sys.stderr.write(MISSING_EXTRA + "\n")
        sys.exit(EXIT_CODES["config-error"])
    from halle_cli.console import report
    from halle_protocol.errors import HalleError

    try:
        status = build_group().main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Abort:
        sys.stderr.write("\nStopped.\n")
        sys.exit(130)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`halle search … | head`): not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    except HalleError as error:
        report(error)
        sys.exit(exit_code(error))
    except ImportError as error:
        if (error.name or "").split(".")[0].startswith("halle_"):
            raise
        sys.stderr.write(f"{MISSING_EXTRA}\n(missing: {error.name})\n")
        sys.exit(EXIT_CODES["config-error"])


def exit_code(error: Exception) -> int:
    """Return the documented exit code of an error by its place in the tree."""
    for kind in type(error).__mro__:
        code = EXIT_CODES.get(kind.__dict__.get("code", ""))
        if code is not None:
            return code
    return 1


def build_group() -> click.Group:  # type: ignore[name-defined]  # noqa: F821  click is imported late
    """Return the command group; sub-commands load their module when first looked up."""
    import click

    class LazyGroup(click.Group):
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

        configure_logging(verbose)
        ctx.obj = home
        if paths:
            print_paths(home)
            ctx.exit(0)
        if ctx.invoked_subcommand is None:
            ctx.invoke(import_module("halle_cli.commands.up").up)

    return halle
