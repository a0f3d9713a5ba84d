"""inet, cidr and hardware addresses.

Invariant: an address is its bytes and the length of its mask; no spelling that two readers read differently is one.
"""

from __future__ import annotations

import re
import socket
import struct

from etl.model import PgType, Reading, StorageClass

ADDRESS = re.compile(rb"([0-9A-Fa-f:.]+)(?:/([0-9]{1,3}))?")
FAMILIES = ((socket.AF_INET, 2), (socket.AF_INET6, 3))  # and how inet_send calls them (inet.h: PGSQL_AF_INET…)
HARDWARE_BYTES = {"macaddr": 6, "macaddr8": 8}
_PAIR = rb"[0-9A-Fa-f]{2}"
_HARDWARE = re.compile(
    rb"%(p)s(?P<mark>[:-])%(p)s(?:(?P=mark)%(p)s)+|%(p)s%(p)s(?:\.%(p)s%(p)s)+|(?:%(p)s)+" % {b"p": _PAIR}
)


def address_payload(storage: StorageClass, value: int | float | bytes, kind: PgType, reading: Reading) -> bytes | None:
    """What inet and cidr hold for an address: family, bits of the mask, whether it is a cidr, the bytes."""
    match = ADDRESS.fullmatch(value) if isinstance(value, bytes) and storage is StorageClass.TEXT else None
    if match is None:
        return None
    for family, number in FAMILIES:
        try:
            address = socket.inet_pton(family, match[1].decode())
        except OSError:
            continue
        bits = 8 * len(address) if match[2] is None else int(match[2])
        if bits > 8 * len(address) or (kind.name == "cidr" and _beyond(address, bits)):
            return None
        return struct.pack("BBBB", number, bits, kind.name == "cidr", len(address)) + address
    return None


def _beyond(address: bytes, bits: int) -> bool:
    """Whether a bit is set to the right of the mask."""
    rest = 8 * len(address) - bits
    return int.from_bytes(address, "big") & ((1 << rest) - 1) != 0


def hardware_payload(storage: StorageClass, value: int | float | bytes, kind: PgType, reading: Reading) -> bytes | None:
    """The six or eight bytes of a hardware address."""
    if not isinstance(value, bytes) or storage is not StorageClass.TEXT or _HARDWARE.fullmatch(value) is None:
        return None
    address = bytes.fromhex(re.sub(rb"[:.-]", b"", value).decode())
    return address if len(address) == HARDWARE_BYTES[kind.name] else None


def show_address(payload: bytes) -> str:
    """``192.168.0.1/24``; of an inet without the bits where they are all of them."""
    family = next(family for family, number in FAMILIES if number == payload[0])
    address = socket.inet_ntop(family, payload[4:])
    whole = payload[1] == 8 * payload[3] and not payload[2]
    return address if whole else f"{address}/{payload[1]}"
