"""Network namespaces: networks of our own on one machine, with real links between them. Needs root and iproute2.

Sockets and processes belong to the namespace of the thread that makes them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

from requirements import missing

_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def run_ip(*words: str) -> None:
    """Run iproute2's `ip`. Raises: CalledProcessError."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Namespaces:
    """Namespaces by short names; the full ones carry the number of this process."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._links = 0

    def make(self) -> None:
        """Make them, each with its loopback up, or skip the test."""
        if shutil.which("ip") is None:
            missing("iproute2", "on Debian, apt-get install iproute2")
        try:
            for name in self._names:
                run_ip("netns", "add", self.full(name))
                run_ip("-n", self.full(name), "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.raze()
            missing("network namespaces", "run the tests as root")

    def full(self, name: str) -> str:
        """The name that `ip netns` knows."""
        return f"halle{os.getpid()}-{name}"

    def link(self, left: str, left_addr: str, right: str, right_addr: str) -> tuple[str, str]:
        """Lay a cable between two namespaces; return the interfaces' names. Addresses as 192.0.2.1/24."""
        self._links += 1
        ends = (f"eth{self._links}a", f"eth{self._links}b")
        inner = self.full(right)
        run_ip("-n", self.full(left), "link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", inner)
        for name, addr, end in ((left, left_addr, ends[0]), (right, right_addr, ends[1])):
            run_ip("-n", self.full(name), "addr", "add", addr, "dev", end)
            run_ip("-n", self.full(name), "link", "set", end, "up")
        return ends

    def route(self, name: str, target: str, via: str) -> None:
        """Tell a namespace the way to a network."""
        run_ip("-n", self.full(name), "route", "add", target, "via", via)

    def command(self, name: str) -> list[str]:
        """What to write before a command line so that it runs there."""
        return ["ip", "netns", "exec", self.full(name)]

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Have this thread make its sockets and processes there for a while."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.full(name)}", os.O_RDONLY)
        try:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(there)
            os.close(home)

    def can_reach(self, name: str, host: str, port: int) -> bool:
        """Tell whether a TCP connection from a namespace succeeds."""
        with self.inside(name), socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((host, port)) == 0

    def raze(self) -> None:
        """Remove the namespaces and with them their links."""
        for name in self._names:
            subprocess.run(["ip", "netns", "del", self.full(name)], check=False, capture_output=True)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
