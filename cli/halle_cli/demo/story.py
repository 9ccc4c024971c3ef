"""The first market day, act by act. Every step goes through a node's public door, as a person's would."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from halle_cli.console import money
from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.drawing import draw
from halle_cli.demo.goods import ADDRESS, KAWA_PRODUCTS, PICTURES
from halle_cli.demo.stage import Stage
from halle_cli.demo.trading import (
    Deal,
    ask_quote,
    has_quote,
    is_paying,
    is_settled,
    is_shipped,
    knows,
    order_of,
)
from halle_protocol.errors import LocalProtocolError

DAY_S = 86_400
Json = dict[str, Any]


class Market:
    """The chain, three nodes and what happens between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stage = Stage()
        self.chain = ChainProcess(folder / "chain")
        self.camille = self._person("Atelier Camille", "camille", language="fr")
        self.kawa = self._person("Kawa Roasters", "kawa", language="fr")
        self.noe = self._person("Noé", "noe", language="fr")
        self.stores: dict[str, str] = {}

    def _person(self, name: str, folder: str, *, language: str) -> NodeProcess:
        settings = {"language": language, "country": "FR", "currency": "EUR"}
        return NodeProcess(name, self.folder / folder, self.chain.rpc_url, settings)

    @property
    def _people(self) -> tuple[tuple[str, NodeProcess], ...]:
        return ("Camille", self.camille), ("Kawa", self.kawa), ("Noé", self.noe)

    def tell(self) -> None:
        """Tell the whole story. Raises: HalleError when something is not as it must be."""
        self.open_chain()
        self.open_shops()
        self.import_products()
        self.publish_coffee()
        self.search()
        self.happy_order()
        self.offline_order()
        self.settled_order()
        self.reckon()

    def close(self) -> None:
        """End every process."""
        for _, person in self._people:
            person.stop()
        self.chain.stop()

    def leave_open(self) -> None:
        """Leave the market open until Ctrl-C."""
        self.stage.line("\nThe market stays open. Ctrl-C closes it and removes everything.")
        while True:
            time.sleep(3600)  # until KeyboardInterrupt

    # --- acts

    def open_chain(self) -> None:
        """Act 1: a chain with the contracts and test money."""
        self.stage.act(1, "A chain of our own")
        with self.stage.timed("chain", "starts an embedded EVM and deploys the contracts"):
            self.chain.start()
        self.stage.fact("endpoint", self.chain.rpc_url)

    def open_shops(self) -> None:
        """Act 2: two merchants open; the buyer makes a home and comes later."""
        self.stage.act(2, "Three homes, three keys, three processes")
        for who, person in self._people:
            with self.stage.timed(who, f"halle init — {person.name}"):
                made = person.init()
            self.stores[who] = made["store"]
            self.stage.fact("store", made["store"])
            self.stage.fact("peer ", made["peer"])
        self._up("Camille", self.camille)
        self._up("Kawa", self.kawa, *self.camille.found.addrs)

    def _up(self, who: str, person: NodeProcess, *peers: str) -> None:
        with self.stage.timed(who, "halle up"):
            person.start(*peers)
        self.stage.fact("shop ", person.found.shop_url)
        summary = person.api.get("/node")
        self.stage.fact("chain", f"{summary['chain']['chain_id']} at block {summary['chain']['block']}")
        wallet = person.api.post("/wallet/test-money")
        held = ", ".join(f"{token['text']} {token['symbol']}" for token in wallet["tokens"])
        self.stage.says(who, f"receives test money: {held}")

    def import_products(self) -> None:
        """Act 3: a Shopify export becomes signed listings."""
        self.stage.act(3, "Camille brings her shop along")
        source = self._write_files()
        report = self._import(source, dry_run=True)
        self.stage.says("Camille", f"dry run of {source.name}: {_totals(report)}")
        for row in report["rows"]:
            told = f"  {row['message']}" if row["code"] else ""
            self.stage.fact(f"line {row['line']:>2}", f"{row['verdict']:<8} {row['handle']}{told}")
        with self.stage.timed("Camille", "imports for real, pictures and all"):
            report = self._import(source, dry_run=False)
        with self.stage.timed("Camille", "publishes"):
            published = self.camille.api.post("/publish")
        self.stage.fact("catalog", published["catalog_root"])
        self.stage.fact("head", f"number {published['head']['seq']}, {len(published['changed'])} entries signed")
        shirt = self.camille.api.get("/products/chemise-bleue-lin")
        self.stage.fact("listing", shirt["published_cid"])
        self.stage.fact("picture", f"{shirt['photos'][0]['cid']} (UnixFS, unixfs-v1-2025)")

    def _write_files(self) -> Path:
        source = self.folder / "camille-files"
        pictures = source / "images"
        pictures.mkdir(parents=True, exist_ok=True)
        for name, (motif, colour, ground) in PICTURES.items():
            draw(pictures / f"{name}.png", motif, colour, ground)
        csv = source / "atelier-camille.csv"
        shutil.copyfile(str(files("halle_cli.demo").joinpath("data/atelier-camille.csv")), csv)
        return csv

    def _import(self, source: Path, *, dry_run: bool) -> Json:
        report: Json = self.camille.api.upload(
            "/imports", source.read_bytes(), "text/csv", dry_run=dry_run, base_dir=str(source.parent)
        )
        return report

    def publish_coffee(self) -> None:
        """Act 4, first half: the buyer arrives late, then Kawa publishes."""
        self.stage.act(4, "The hall hears of it")
        self._up("Noé", self.noe, *self.camille.found.addrs)
        with self.stage.timed("Noé", "came late: learns Camille's head by reconciliation"):
            until("Noé knows Camille's shop", lambda: knows(self.noe, self.stores["Camille"], listings=8))
        for fields in KAWA_PRODUCTS:
            picture, alt = fields["picture"]
            body = {name: value for name, value in fields.items() if name != "picture"}
            handle = self.kawa.api.post("/products", body)["handle"]
            photo = (self.folder / "camille-files/images" / f"{picture}.png").read_bytes()
            self.kawa.api.upload(f"/products/{handle}/photos", photo, "image/png", filename=f"{picture}.png", alt=alt)
        published = self.kawa.api.post("/publish")
        self.stage.says("Kawa", "publishes a coffee in two sizes, a workshop and a download")
        self.stage.fact("catalog", published["catalog_root"])
        with self.stage.timed("Noé", "hears Kawa's head by gossip, fetches what is new, checks every signature"):
            until("Noé knows Kawa's shop", lambda: knows(self.noe, self.stores["Kawa"], listings=3))

    def search(self) -> None:
        """Act 4, second half: search, offline, in two languages."""
        for words in ("chemise bleue", "shirt", "coffee"):
            page = until(f"“{words}” is found", lambda words=words: self._hits(words))  # type: ignore[misc]
            first = page["hits"][0]
            self.stage.says("Noé", f"searches “{words}”: {page['total']} found, first {first['title']}")
            self.stage.fact("price", f"{money(first['price'])} at {first['store_name']}")

    def _hits(self, words: str) -> Json | None:
        page: Json = self.noe.api.get("/search", q=words, locale="fr")
        return page if page["total"] else None

    def happy_order(self) -> None:
        """Act 5: from cart to review, with a warranty claim."""
        self.stage.act(5, "Noé buys a shirt")
        lines = [("chemise-bleue-lin", "CHB-M", 1), ("bonnet-sapin", "BON", 1)]
        deal = self._ask("Camille", self.camille, lines)
        self._quoted(deal)
        self._move(deal, "Noé", "approve", "approves: the money goes into escrow, not to Camille")
        self._funded(deal, "Camille")
        self._move(deal, "Camille", "ship", "packs and ships", carrier="Colissimo", tracking="8R00012345675")
        order = self._seen(deal, self.noe, "Noé sees the parcel", is_shipped)
        code = order["delivery_code"]
        self.stage.says("Noé", f"shows the delivery code at the door: {code[:8]}…")
        self._move(deal, "Camille", "hand_over", "enters the code: delivery is proven on chain", code=code)
        self._seen(deal, self.noe, "Noé has it", lambda order: order["summary"]["status"] == "delivered")
        self._pass_time(8, "the inspection window passes")
        order = self._seen(deal, self.camille, "her node claims what is due, by itself", is_settled)
        self.stage.says("Camille", f"is paid {money(order['total'])}")
        _show_last_tx(self.stage, order)
        self._seen(deal, self.noe, "Noé's node sees it too", is_settled)
        text = "Très belle chemise, et un mot manuscrit dans le colis."
        self._move(deal, "Noé", "review", "publishes a review", rating=5, text=text, handle="chemise-bleue-lin")
        self._review_is_shown()
        self._warranty(deal)

    def _ask(self, who: str, merchant: NodeProcess, lines: list[tuple[str, str, int]]) -> Deal:
        key = ask_quote(self.noe, self.stores[who], lines, name=ADDRESS["name"], address=ADDRESS)
        order = order_of(self.noe, key)
        self.stage.says("Noé", f"fills a cart at {merchant.name}: {money(order['total'])} with delivery")
        self.stage.says("Noé", f"sends a sealed order request, {key[:12]}")
        return Deal(self.noe, merchant, key)

    def _quoted(self, deal: Deal) -> None:
        order = self._seen(deal, self.noe, "a signed quote comes back", has_quote)
        self.stage.words(order["terms_words"])

    def _funded(self, deal: Deal, who: str) -> None:
        self._seen(deal, self.noe, "Noé sees the money in escrow", is_paying("escrowed"))
        order = self._seen(deal, deal.merchant, f"{who} sees it too", is_paying("escrowed"))
        _show_last_tx(self.stage, order)

    def _move(self, deal: Deal, who: str, action: str, what: str, **form: Any) -> None:
        node = self.noe if who == "Noé" else deal.merchant
        with self.stage.timed(who, what):
            deal.move(node, action, **form)

    def _seen(self, deal: Deal, node: NodeProcess, what: str, test: Callable[[Json], Any]) -> Json:
        begun = time.monotonic()
        order = deal.reaches(node, what, test)
        self.stage.fact("then", f"{what} ({time.monotonic() - begun:.1f} s)")
        return order

    def _pass_time(self, days: int, why: str) -> None:
        self.noe.api.post("/chain/advance", {"seconds": days * DAY_S})
        self.stage.says("chain", f"its clock is moved {days} days ahead: {why}")

    def _review_is_shown(self) -> None:
        path = f"/listings/{self.stores['Camille']}/chemise-bleue-lin"

        def look() -> Json | None:
            reviews = self.camille.api.get(path)["reviews"]
            return next((review for review in reviews if review["verified"]), None)

        review = until("the review reaches Camille", look)
        self.stage.says("Camille", f"shows it: {'★' * review['rating']} by {review['author_name']}, verified purchase")
        self.stage.fact("review", review["cid"])

    def _warranty(self, deal: Deal) -> None:
        self._move(deal, "Camille", "issue_warranty", "backs it with a funded warranty of two years", days=730)
        order = self._seen(deal, self.noe, "Noé holds the certificate", _certificate_is("active"))
        self.stage.fact("certificate", f"ERC-721 token {order['certificates'][0]['certificate_id']:x}"[:40] + "…")
        self._move(deal, "Noé", "open_warranty_claim", "claims: a seam has opened", text="Couture ouverte.")
        self._move(deal, "Camille", "accept_warranty_claim", "accepts; the bond pays")
        order = self._seen(deal, self.noe, "the claim is paid", _certificate_is("paid"))
        _show_last_tx(self.stage, order)

    def offline_order(self) -> None:
        """Act 6: the merchant's machine is off; the order is found again from the chain."""
        self.stage.act(6, "Kawa's machine is off")
        self.kawa.stop()
        self.stage.says("Kawa", "closes the node and goes home")
        deal = self._ask("Kawa", self.kawa, [("cafe-ethiopie-guji", "GUJ-250", 2)])
        self._move(deal, "Noé", "make_offer", "funds it as an offer, on Kawa's published terms")
        order = self._seen(deal, self.noe, "it is on chain", lambda order: order["balance"]["held"])
        self.stage.words(order["terms_words"][:2])
        _show_last_tx(self.stage, order)
        with self.stage.timed("Kawa", "comes back and runs halle up"):
            self.kawa.start(*self.camille.found.addrs)
        self._seen(deal, self.kawa, "Kawa's node finds the order", lambda order: True)
        self._seen(deal, self.kawa, "stock is there: the node accepts by itself", is_paying("escrowed"))
        self._move(deal, "Kawa", "ship", "ships", carrier="Chronopost", tracking="XY123456789FR")
        code = self._seen(deal, self.noe, "Noé sees the parcel", is_shipped)["delivery_code"]
        self._move(deal, "Kawa", "hand_over", "hands it over against the code", code=code)
        self._move(deal, "Noé", "release", "is happy and releases the money at once")
        self._seen(deal, self.kawa, "Kawa is paid", is_settled)

    def settled_order(self) -> None:
        """Act 7: a mutual settlement refunds a part, without any arbiter."""
        self.stage.act(7, "A flaw, and two people who agree")
        deal = self._ask("Camille", self.camille, [("echarpe-prune", "ECH", 1)])
        self._quoted(deal)
        self._move(deal, "Noé", "approve", "approves")
        self._funded(deal, "Camille")
        self._move(deal, "Camille", "ship", "ships", carrier="Colissimo", tracking="8R00012345682")
        held = self._seen(deal, self.noe, "Noé sees the parcel", is_shipped)["balance"]["held"]
        share = held * 3 // 10
        self._move(deal, "Noé", "propose_settlement", "a pulled thread: proposes 30 % back", buyer_share=share)
        self._move(deal, "Camille", "accept_settlement", "agrees and signs")
        order = self._seen(deal, self.noe, "both are paid at once", is_settled)
        _show_last_tx(self.stage, order)

    def reckon(self) -> None:
        """Act 8: every order, every coin, every block."""
        self.stage.act(8, "The reckoning")
        sheet = self.noe.api.get("/balances")
        rows = sheet["balances"]
        self.stage.table(
            ("order", "state", "in", "to merchant", "to buyer", "to arbiter", "held", ""),
            [self._balance_row(row) for row in rows],
            title="Money in = money out",
        )
        self._check_escrow(sheet)
        for who, node in self._people:
            report = node.api.get("/blocks/verify")
            if report["corrupt"] or report["missing"]:
                raise LocalProtocolError(f"{who}'s blocks do not verify: {report}", code="demo-blocks-wrong")
            self.stage.says(who, f"re-reads {report['checked']} blocks from disk: every CID is right")
        self.stage.line("\nThe three faces; a link to admin and market opens once, within 30 minutes:")
        for _, person in self._people:
            self.stage.line(f"  {person.name}")
            self.stage.line(f"    admin and market  {person.api.new_setup_url()}")
            self.stage.line(f"    shop              {person.found.shop_url}")
        self.stage.line(f"\nThe whole story took {self.stage.seconds:.0f} s.")

    def _check_escrow(self, sheet: Json) -> None:
        """All orders of this market are Noé's: what the contract has must be what they say is held or credited."""
        for token in sheet["escrow"]:
            rows = [row for row in sheet["balances"] if row["token_symbol"] == token["symbol"]]
            owed = sum(row["balance"]["held"] + row["credited"] for row in rows)
            if int(token["amount"]) != owed:
                raise LocalProtocolError(
                    f"The escrow has {token['amount']} {token['symbol']} and owes {owed}.", code="demo-money-missing"
                )
            self.stage.says("chain", f"the escrow contract has {token['text']} {token['symbol']}: what the orders say")

    def _balance_row(self, row: Json) -> tuple[object, ...]:
        balance = row["balance"]
        parts = [balance[name] for name in ("to_merchant", "to_buyer", "to_arbiter", "held")]
        if balance["total_in"] != sum(parts) or not balance["total_in"]:
            raise LocalProtocolError(f"Money is missing: {row}", code="demo-money-missing")
        unit = 10 ** row["token_decimals"]
        texts = [f"{amount / unit:.2f}" for amount in (balance["total_in"], *parts)]
        return row["order_key"][:12], row["status"], f"{texts[0]} {row['token_symbol']}", *texts[1:], "✓"


def _totals(report: Json) -> str:
    return ", ".join(f"{count} {name}" for name, count in report["totals"].items())


def _certificate_is(status: str) -> Callable[[Json], bool]:
    return lambda order: any(certificate["status"] == status for certificate in order["certificates"])


def _show_last_tx(stage: Stage, order: Json) -> None:
    on_chain = [entry for entry in order["timeline"] if entry["tx_hash"]]
    if on_chain:
        last = on_chain[-1]
        stage.fact("tx", f"{last['tx_hash']} (block {last['block_number']}, {last['finality']})")
