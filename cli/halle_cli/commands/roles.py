"""`halle arbiter`, `halle carrier`: roles anyone can take on for others in the hall."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from halle_cli.commands.orders import JSON, print_order
from halle_cli.console import out, print_facts, print_json, print_rows
from halle_cli.session import live_session, node_session

DAY_S = 86_400
CHECKPOINTS = (
    "accepted",
    "in-transit",
    "out-for-delivery",
    "ready-for-pickup",
    "failed-attempt",
    "delivered",
    "returned",
    "exception",
)


@click.group()
def arbiter() -> None:
    """Decide disputes between buyers and shops, or choose who decides yours."""


@click.group()
def carrier() -> None:
    """Carry parcels whose delivery your record proves, or choose who carries yours."""


def offer_command(role: str) -> click.Command:
    """Return the command that takes a role on."""

    @click.command("offer")
    @click.option("--terms", required=True, help="What you do and how; @FILE reads it from a file.")
    @click.option("--about", default="", help="Who you are, in a sentence.")
    @click.option("--fee", type=float, default=0.0, show_default=True, help="Your share in percent, at most 10.")
    @click.option("--days", type=int, default=7, show_default=True, help="Within how many days you answer.")
    @click.pass_obj
    def command(home: Path | None, /, terms: str, about: str, fee: float, days: int) -> None:
        """Take this role on, or change its terms, and publish the offer."""
        form = {"terms": text_of(terms), "about": about, "fee_bps": round(fee * 100), "respond_within_s": days * DAY_S}
        with node_session(home) as node:
            node.post(f"/services/{role}", form)
        out.print(f"Offered. Everybody who knows this node can name it as {role} now.")

    return command


def withdraw_command(role: str) -> click.Command:
    """Return the command that gives a role up."""

    @click.command("withdraw")
    @click.pass_obj
    def command(home: Path | None, /) -> None:
        """Give this role up; what is open stays yours to finish."""
        with node_session(home) as node:
            node.delete(f"/services/{role}")
        out.print("Withdrawn.")

    return command


def list_command(role: str) -> click.Command:
    """Return the command that lists who offers a role."""

    @click.command("list")
    @JSON
    @click.pass_obj
    def command(home: Path | None, /, as_json: bool) -> None:
        """List who offers this role, with what the chain says of their work."""
        with node_session(home) as node:
            services = node.get(f"/services/{role}")["services"]
        if as_json:
            print_json(services)
            return
        print_rows(
            ("name", "address", "fee", "answers within", "record"),
            (
                (
                    each["name"] + (" (you)" if each["own"] else ""),
                    each["address"],
                    f"{each['fee_bps'] / 100:g} %",
                    f"{each['respond_within_s'] // DAY_S} d",
                    ", ".join(f"{word} {count}" for word, count in each["record"].items()) or "—",
                )
                for each in services
            ),
            empty=f"Nobody this node knows offers to be {role}.",
        )

    return command


for _group in (arbiter, carrier):
    for _make in (offer_command, withdraw_command, list_command):
        _group.add_command(_make(str(_group.name)))


# --- arbiter


@arbiter.command("use")
@click.argument("address")
@click.option("--backup", default=None, help="Who decides when the first is silent.")
@click.pass_obj
def arbiter_use(home: Path | None, /, address: str, backup: str | None) -> None:
    """Name who decides disputes about your future orders; “none” names nobody."""
    form = {"arbiter": _named(address)} | ({} if backup is None else {"backup": _named(backup)})
    with node_session(home) as node:
        node.post("/parties", form)
    out.print("Published with your terms.")


@arbiter.command("cases")
@JSON
@click.pass_obj
def arbiter_cases(home: Path | None, /, as_json: bool) -> None:
    """List the disputes that name you."""
    with node_session(home) as node:
        cases = node.get("/cases")["cases"]
    if as_json:
        print_json(cases)
        return
    print_rows(
        ("case", "what", "shop", "buyer", "status", "next"),
        (
            (
                case["order_key"][:12],
                case["title"] or "—",
                case["store_name"] or case["store"],
                case["customer"] or case["buyer"],
                case["status"],
                ", ".join(case["next_actions"]) or "—",
            )
            for case in cases
        ),
        empty="No dispute names you.",
    )


@arbiter.command("show")
@click.argument("key")
@JSON
@click.pass_obj
def arbiter_show(home: Path | None, /, key: str, as_json: bool) -> None:
    """Show a case: the terms, the money, and the evidence of both sides as it was checked."""
    with node_session(home) as node:
        case = node.get(f"/orders/{key}")
    if as_json:
        print_json(case)
        return
    print_order(case)
    for bundle in case["bundles"]:
        out.print(f"[bold]{bundle['by']}[/]: {escape(bundle['text']) or '—'}")
        checks = {name: "yes" if good else "no" for name, good in bundle["findings"].items()}
        print_facts(checks | {"messages": str(bundle["messages"]), "photos": str(len(bundle["photos"]))})


@arbiter.command("ask")
@click.argument("key")
@click.argument("party", type=click.Choice(("buyer", "merchant", "both")))
@click.argument("text")
@click.pass_obj
def arbiter_ask(home: Path | None, /, key: str, party: str, text: str) -> None:
    """Ask one side of a case, or both."""
    with live_session(home) as node:
        node.post(f"/orders/{key}/ask_party", {"party": party, "text": text})
    out.print("Asked.")


@arbiter.command("rule")
@click.argument("key")
@click.option("--buyer", type=click.FloatRange(0, 100), required=True, help="The buyer's share in percent.")
@click.option("--because", default="", help="Your reasons; both sides read them.")
@click.pass_obj
def arbiter_rule(home: Path | None, /, key: str, buyer: float, because: str) -> None:
    """Rule a case: what is held is shared out, after your fee. It cannot be undone."""
    with live_session(home) as node:
        case = node.post(f"/orders/{key}/rule", {"buyer_bps": round(buyer * 100), "text": because})
    print_order(case)


# --- carrier


@carrier.command("use")
@click.argument("address")
@click.pass_obj
def carrier_use(home: Path | None, /, address: str) -> None:
    """Name the carrier of your products whose proof of delivery is “carrier”; “none” names nobody."""
    with node_session(home) as node:
        node.post("/parties", {"carrier": _named(address)})
    out.print("Published with your terms.")


@carrier.command("parcels")
@JSON
@click.pass_obj
def carrier_parcels(home: Path | None, /, as_json: bool) -> None:
    """List the parcels you carry."""
    with node_session(home) as node:
        parcels = node.get("/parcels")["parcels"]
    if as_json:
        print_json(parcels)
        return
    print_rows(
        ("parcel", "tracking", "to", "last checkpoint"),
        (
            (
                parcel["shipment_id"][2:14],
                parcel["tracking"] or "—",
                ", ".join((parcel["address"] or {}).get(name, "") for name in ("postcode", "city", "country"))
                if parcel["address"]
                else "—",
                parcel["status"] or "—",
            )
            for parcel in parcels
        ),
        empty="No shop has handed you a parcel.",
    )


@carrier.command("attest")
@click.argument("parcel")
@click.argument("status", type=click.Choice(CHECKPOINTS))
@click.option("--place", default="", help="Where it happened.")
@click.option("--note", default="", help="What else there is to say; only the shop and the buyer read it.")
@click.pass_obj
def carrier_attest(home: Path | None, /, parcel: str, status: str, place: str, note: str) -> None:
    """Record a checkpoint of a parcel on the chain. PARCEL may be its first letters."""
    with live_session(home) as node:
        node.post(f"/parcels/{parcel}", {"status": status, "place": place, "text": note})
    out.print(f"Recorded: {status}.")


def text_of(value: str) -> str:
    """Return a text, read from its file when it is @FILE."""
    return Path(value[1:]).read_text("utf-8") if value.startswith("@") else value


def _named(address: str) -> str:
    return "" if address == "none" else address
