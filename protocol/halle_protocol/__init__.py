"""The open protocol as values: bytes in, frozen objects out. No I/O, clock, randomness or logging."""
