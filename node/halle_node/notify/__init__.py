"""What the owner should hear of: notices in the pages, and the same by e-mail when they want it.

Rule: a notice is a row written in the transaction of what it tells of; mail is sent from that row afterwards and tried
again until the server takes it, so that a server that is down delays nothing else.
"""

from __future__ import annotations

from halle_node.notify.kinds import KINDS, Kind
from halle_node.notify.service import Letter, NotifyService
from halle_node.notify.settings import MailSettings

__all__ = ["KINDS", "Kind", "Letter", "MailSettings", "NotifyService"]
