"""The merchant's pages: today, orders, products, network, settings."""

from __future__ import annotations

from aiohttp import web

from ..i18n import LANGUAGE_PATTERN
from . import backup, home, imports, messages, network, notices, orders, products, roles, settings


def routes() -> list[web.AbstractRouteDef]:
    base = f"/{LANGUAGE_PATTERN}/admin"
    return [
        web.get(f"{base}/", home.today),
        web.get(f"{base}/products", products.listing),
        web.get(f"{base}/products/new", products.blank),
        web.post(f"{base}/products/new", products.create),
        web.get(base + "/products/{handle}", products.edit),
        web.post(base + "/products/{handle}", products.save),
        web.post(base + "/products/{handle}/photos", products.add_photos),
        web.post(base + "/products/{handle}/photos/{cid}/remove", products.remove_photo),
        web.post(base + "/products/{handle}/remove", products.remove),
        web.post(base + "/products/{handle}/restore", products.restore),
        web.post(f"{base}/publish", products.publish),
        web.get(f"{base}/import", imports.ask),
        web.post(f"{base}/import", imports.check),
        web.post(base + "/import/{file_id}/apply", imports.apply),
        web.post(base + "/import/{import_id}/undo", imports.undo),
        web.get(f"{base}/orders", orders.listing),
        web.get(base + "/orders/{key}", orders.order),
        web.post(base + "/orders/{key}/act/{action}", orders.act),
        web.get(base + "/orders/{key}/file/{file}", orders.file),
        web.get(f"{base}/messages", messages.inbox),
        web.post(f"{base}/saved-answers", messages.save_answers),
        web.get(base + "/messages/{key}", messages.talk),
        web.post(base + "/messages/{key}", messages.say),
        web.post(base + "/messages/{key}/note", messages.note),
        web.post(base + "/messages/{key}/block", messages.block),
        web.get(base + "/messages/{key}/file/{file}", messages.photo),
        web.get(f"{base}/notices", notices.listing),
        web.post(f"{base}/notices/read", notices.read_all),
        web.get(base + r"/notices/{id:\d{1,12}}", notices.follow),
        web.post(base + "/orders/{key}/erase-customer", orders.erase_customer),
        web.get(f"{base}/roles", roles.overview),
        web.post(base + "/roles/{role}", roles.offer),
        web.post(base + "/roles/parcels/{shipment}", roles.attest),
        web.get(base + "/roles/cases/{key}", roles.case),
        web.post(base + "/roles/cases/{key}/act/{action}", roles.act_on_case),
        web.get(base + "/roles/cases/{key}/file/{file}", roles.case_file),
        web.post(base + "/roles/certificates/{name}/act/{action}", roles.act_on_certificate),
        web.post(base + "/products/{handle}/digital", products.add_digital),
        web.post(base + "/products/{handle}/digital/{id}/remove", products.remove_digital),
        web.get(f"{base}/network", network.overview),
        web.get(f"{base}/network/kept", network.kept),
        web.get(f"{base}/network/waiting", network.waiting),
        web.post(f"{base}/network/waiting/retry", network.retry_waiting),
        web.post(f"{base}/network/waiting/quarantine", network.retry_quarantined),
        web.post(f"{base}/network/clean-up", network.clean_up),
        web.post(f"{base}/network/connect", network.connect),
        web.post(f"{base}/network/sync", network.sync),
        web.post(f"{base}/network/rules", network.add_rule),
        web.post(f"{base}/network/rules/remove", network.remove_rule),
        web.get(f"{base}/settings", settings.show),
        web.post(f"{base}/settings/profile", settings.save_profile),
        web.post(f"{base}/settings/shipping", settings.save_shipping),
        web.post(f"{base}/settings/mailboxes", settings.save_mailboxes),
        web.post(f"{base}/settings/policies", settings.save_policies),
        web.post(f"{base}/settings/parties", settings.save_parties),
        web.post(f"{base}/settings/rules", settings.save_rules),
        web.post(f"{base}/settings/notify", settings.save_mail),
        web.post(f"{base}/settings/notify/test", settings.test_mail),
        web.post(f"{base}/settings/backup", backup.start),
    ]
