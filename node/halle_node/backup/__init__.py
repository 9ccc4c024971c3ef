"""One encrypted file that holds a whole node, and the way back from it."""

from __future__ import annotations

from halle_node.backup.service import BackupService, BackupState, LastBackup

__all__ = ["BackupService", "BackupState", "LastBackup"]
