"""The terms in a person's words: who holds the money, what happens when, and who decides.

Sentences are chosen from the terms alone, so that no face can promise something else than the contract does.
Spec: docs/spec/09-terms.md §4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from halle_protocol.keys import NO_CODE, ZERO_ADDRESS, to_checksum

if TYPE_CHECKING:
    from halle_protocol.terms import Terms

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "amount": "You pay {amount}. The escrow contract holds it; neither the shop nor this software can take it.",
        "valid": "The offer can be paid until {until} UTC.",
        "accept": "If the shop has not accepted within {accept}, you get everything back.",
        "ship": "The shop must ship within {ship} of accepting; otherwise you can take everything back.",
        "proof-code": "Delivery is proven by your delivery code: give it only when you have the goods in hand.",
        "proof-carrier": "Delivery is proven by the carrier {carrier}.",
        "proof-both": "Delivery is proven by your delivery code or by the carrier {carrier}.",
        "proof-none": "Delivery needs no proof: the shop says that it shipped.",
        "deliver-proof": "Without that proof within {deliver} of shipping, you can take everything back.",
        "deliver": "Without a proof, delivery counts as done {deliver} after shipping.",
        "inspect": "After delivery you have {inspect} to inspect and object; then the shop is paid.",
        "release": "You can pay the shop earlier, in part or whole, whenever you like.",
        "arbiter": "A dispute is decided by {arbiter} within {arbitrate}; their fee is {fee} of what is held.",
        "backup": "If they stay silent, {backup} decides within another {arbitrate}.",
        "default": "If nobody decides, you get {share} of what is held and the shop the rest.",
        "no-arbiter": "There is no arbiter: in a dispute without agreement you get {share} after {arbitrate}.",
    },
    "fr": {
        "amount": "Vous payez {amount}. Le contrat de séquestre garde la somme ; ni la boutique ni ce "
        "logiciel "
        "ne peuvent la prendre.",
        "valid": "L’offre peut être payée jusqu’au {until} UTC.",
        "accept": "Si la boutique n’a pas accepté sous {accept}, tout vous est rendu.",
        "ship": "La boutique doit expédier sous {ship} après son accord ; sinon vous pouvez tout reprendre.",
        "proof-code": "La remise est prouvée par votre code de livraison : ne le donnez qu’avec la "
        "marchandise en main.",
        "proof-carrier": "La remise est prouvée par le transporteur {carrier}.",
        "proof-both": "La remise est prouvée par votre code de livraison ou par le transporteur {carrier}.",
        "proof-none": "La remise ne demande pas de preuve : la boutique déclare avoir expédié.",
        "deliver-proof": "Sans cette preuve sous {deliver} après l’expédition, vous pouvez tout reprendre.",
        "deliver": "Sans preuve, la livraison est réputée faite {deliver} après l’expédition.",
        "inspect": "Après la livraison vous avez {inspect} pour vérifier et contester ; ensuite la boutique est payée.",
        "release": "Vous pouvez payer la boutique plus tôt, en partie ou en entier, quand vous voulez.",
        "arbiter": "Un litige est tranché par {arbiter} sous {arbitrate} ; ses frais sont de {fee} de "
        "la somme retenue.",
        "backup": "En cas de silence, {backup} tranche sous {arbitrate} de plus.",
        "default": "Si personne ne tranche, vous recevez {share} de la somme retenue et la boutique le reste.",
        "no-arbiter": "Il n’y a pas d’arbitre : en cas de litige sans accord vous recevez {share} après {arbitrate}.",
    },
}
_UNITS = {
    "en": {
        86400: ("day", "days"),
        3600: ("hour", "hours"),
        60: ("minute", "minutes"),
        1: ("second", "seconds"),
    },
    "fr": {
        86400: ("jour", "jours"),
        3600: ("heure", "heures"),
        60: ("minute", "minutes"),
        1: ("seconde", "secondes"),
    },
}


def sentences(terms: Terms, locale: str, symbol: str, decimals: int | None) -> list[str]:
    """Return the sentences that apply, in the order of the order's life."""
    language = "fr" if locale.split("-")[0] == "fr" else "en"
    values = _values(terms, language, symbol, decimals)
    return [_WORDS[language][name].format(**values) for name in _chosen(terms)]


def duration(seconds: int, language: str) -> str:
    """Return `3 days`, `36 hours`, `90 minutes`: the largest unit that divides exactly."""
    for unit, (one, many) in _UNITS[language].items():
        if seconds % unit == 0 and (seconds or unit == 1):
            count = seconds // unit
            return f"{count} {one if count == 1 else many}"
    return f"{seconds} s"


def _chosen(terms: Terms) -> list[str]:
    code, carrier = terms.delivery_code != NO_CODE, terms.carrier != ZERO_ADDRESS
    proof = {(True, True): "both", (True, False): "code", (False, True): "carrier"}.get((code, carrier), "none")
    names = ["amount", "valid", "accept", "ship", f"proof-{proof}"]
    names += ["deliver-proof" if terms.proof_required else "deliver", "inspect", "release"]
    if terms.arbiter == ZERO_ADDRESS:
        return [*names, "no-arbiter"]
    backup = ["backup"] if terms.backup_arbiter != ZERO_ADDRESS else []
    return [*names, "arbiter", *backup, "default"]


def _values(terms: Terms, language: str, symbol: str, decimals: int | None) -> dict[str, str]:
    return {
        "amount": _amount(terms, language, symbol, decimals),
        "until": utc_text(terms.valid_until),
        "accept": duration(terms.accept_within, language),
        "ship": duration(terms.ship_within, language),
        "deliver": duration(terms.deliver_within, language),
        "inspect": duration(terms.inspect_within, language),
        "arbitrate": duration(terms.arbiter_within, language),
        "carrier": to_checksum(terms.carrier),
        "arbiter": to_checksum(terms.arbiter),
        "backup": to_checksum(terms.backup_arbiter),
        "fee": _percent(terms.arbiter_fee_bps, language),
        "share": _percent(terms.default_buyer_bps, language),
    }


def _amount(terms: Terms, language: str, symbol: str, decimals: int | None) -> str:
    if decimals is None:
        unit = symbol or to_checksum(terms.token)
        return f"{terms.amount} ({unit})"
    whole, part = divmod(terms.amount, 10**decimals)
    digits = str(part).zfill(decimals).rstrip("0") if decimals else ""
    digits = digits.ljust(min(2, decimals), "0") if digits else ""
    mark = "," if language == "fr" else "."
    return f"{whole}{mark + digits if digits else ''} {symbol}".rstrip()


def _percent(bps: int, language: str) -> str:
    whole, part = divmod(bps, 100)
    mark, space = (",", "\u00a0") if language == "fr" else (".", "")
    digits = f"{mark}{part:02d}".rstrip("0") if part else ""
    return f"{whole}{digits}{space}%"


def utc_text(at: int) -> str:
    """Return `2026-11-22 10:20` for unix seconds, by the civil-from-days rule; any uint40 has a text."""
    days, rest = divmod(at, 86400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = era * 400 + year_of_era + (month <= 2)
    return f"{year:04d}-{month:02d}-{day:02d} {rest // 3600:02d}:{rest % 3600 // 60:02d}"
