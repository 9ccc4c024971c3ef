"""Forge's fuzz tests and campaigns with ever new seeds, through the profile `soak`."""

from __future__ import annotations

import re
import secrets
import time

from contracts.npm_tools import forge, run_on_contracts

LEAST_S = 60.0
"""What is left at the end and too short for another round."""


def soak(seconds: float) -> None:
    """Run rounds of the whole suite until the time is over."""
    end = time.monotonic() + seconds
    number = 0
    while number == 0 or end - time.monotonic() > LEAST_S:
        number += 1
        seed = "0x" + secrets.token_hex(8)
        # About a hundred fuzz tests and two campaigns share the cores: each stops early, so that a round ends in time.
        left = end - time.monotonic()
        limits = {
            "FOUNDRY_FUZZ_TIMEOUT": str(max(1, int(left / 200))),
            "FOUNDRY_INVARIANT_TIMEOUT": str(max(1, int(left / 3))),
        }
        done = run_on_contracts(
            [str(forge()), "test", "--fuzz-seed", seed, "--no-match-contract", "HandlerTest"],
            "legacy",
            FOUNDRY_PROFILE="soak",
            **limits,
        )
        campaigns = re.findall(r"\[PASS\] (invariant_\w+)\(\) \(runs: (\d+), calls: (\d+)", done.stdout)
        print(f"   round {number}, seed {seed}: {last_line(done.stdout)}; {campaigns}", flush=True)
        if done.returncode:
            command = f"FOUNDRY_PROFILE=soak forge test --fuzz-seed {seed}"
            raise AssertionError(f"{command}\n{done.stdout[-6_000:]}{done.stderr[-2_000:]}")


def last_line(output: str) -> str:
    """Return forge's own summary."""
    return next((line for line in reversed(output.splitlines()) if line.startswith("Ran ")), "no tests ran")
