"""Hypothesis without a deadline: a busy machine is not a defect of the protocol."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("halle", deadline=None)
settings.load_profile("halle")
