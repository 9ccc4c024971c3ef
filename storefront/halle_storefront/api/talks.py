"""The owner's API of conversations and notices."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from aiohttp import web

from halle_node.notify import KINDS, MailSettings
from halle_protocol.errors import Refused

from ..node_access import ServedNode
from . import forms

MAX_PHOTOS = 8


def photos_of(form: Mapping[str, Any]) -> list[bytes]:
    """Return the photos of a body, a list of base64. Raises: Refused "form-invalid", "photos-too-many"."""
    texts = forms.names(form, "photos")
    if len(texts) > MAX_PHOTOS:
        raise Refused(f"At most {MAX_PHOTOS} photos.", code="photos-too-many", hint="Choose the clearest ones.")
    try:
        return [base64.b64decode(text, validate=True) for text in texts]
    except (binascii.Error, ValueError):
        raise forms.refuse("photos", "is not a list of base64") from None


async def list_conversations(node: ServedNode, request: web.Request) -> Any:
    talks = node.trade.talks
    return {"conversations": talks.listing(request.query.get("role", "")), "unread": talks.unread()}


async def ask_shop(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    key = await node.trade.talks.ask(
        forms.text(form, "store"),
        forms.text(form, "text"),
        handle=forms.text(form, "handle"),
        photos=photos_of(form),
        name=forms.text(form, "name"),
    )
    return node.trade.talks.show(key)


async def show_conversation(node: ServedNode, request: web.Request) -> Any:
    return node.trade.talks.show(request.match_info["key"])


async def say(node: ServedNode, request: web.Request) -> Any:
    form, key = await forms.body_of(request), request.match_info["key"]
    text, order = forms.text(form, "text"), forms.text(form, "order_key")
    await node.trade.talks.say(key, text, photos=photos_of(form), order_key=order)
    return node.trade.talks.show(key)


async def mark_conversation_read(node: ServedNode, request: web.Request) -> Any:
    await node.trade.talks.mark_read(request.match_info["key"])
    return node.trade.talks.unread()


async def note_on_conversation(node: ServedNode, request: web.Request) -> Any:
    await node.trade.talks.note(request.match_info["key"], forms.text(await forms.body_of(request), "note"))
    return node.trade.talks.show(request.match_info["key"])


async def conversation_file(node: ServedNode, request: web.Request) -> Any:
    name, mime, data = await node.trade.talks.file(request.match_info["key"], request.match_info["file"])
    return {"name": name, "mime": mime, "content": base64.b64encode(data).decode()}


async def list_saved_answers(node: ServedNode, _: web.Request) -> Any:
    return {"answers": node.trade.talks.saved_answers()}


async def set_saved_answers(node: ServedNode, request: web.Request) -> Any:
    await node.trade.talks.set_saved_answers(forms.names(await forms.body_of(request), "answers"))
    return {"answers": node.trade.talks.saved_answers()}


async def list_notices(node: ServedNode, request: web.Request) -> Any:
    unread_only = request.query.get("unread", "").lower() in ("1", "true", "yes")
    limit = min(max(forms.whole(request.query, "limit", 200), 1), 1_000)
    return {"notices": node.notify.listing(unread_only=unread_only, limit=limit), "unread": node.notify.unread()}


async def mark_notices_read(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    if "notice_id" in form:
        await node.notify.open(forms.whole(form, "notice_id"))
    else:
        await node.notify.read_all()
    return {"unread": node.notify.unread()}


async def show_mail_settings(node: ServedNode, _: web.Request) -> Any:
    mail = node.notify.mail()
    return {"mail": mail, "kinds": {kind: mail.settings.how(kind) for kind in KINDS}}


async def set_mail_settings(node: ServedNode, request: web.Request) -> Any:
    """Change the fields that are given; `password` too, which is never told again."""
    form, old = await forms.body_of(request), node.notify.mail().settings
    known = {field.name: getattr(old, field.name) for field in fields(MailSettings)}
    unknown = sorted(set(form) - set(known) - {"password"})
    if unknown:
        raise forms.refuse(unknown[0][:40], "is unknown")
    given: dict[str, Any] = {name: _read(form, name, known[name]) for name in form if name != "password"}
    password = forms.text(form, "password") if "password" in form else None
    await node.notify.set_mail(MailSettings(**known | given), password)
    return await show_mail_settings(node, request)


def _read(form: Mapping[str, Any], name: str, old: object) -> Any:
    if isinstance(old, bool):
        if not isinstance(form[name], bool):
            raise forms.refuse(name, "is neither true nor false")
        return form[name]
    if isinstance(old, int):
        return forms.whole(form, name)
    if isinstance(old, Mapping):
        return {**old, **forms.words(form, name)}
    return forms.text(form, name)


async def send_test_mail(node: ServedNode, _: web.Request) -> Any:
    await node.notify.send_test()
    return {}
