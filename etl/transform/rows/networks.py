"""The scalar rules for inet, cidr and the hardware addresses.

Invariant: what is accepted means one address to every reader: no leading zeros, netmasks, zones or
abbreviations.
"""

from __future__ import annotations

import ipaddress
import re

from etl.model import PgType, StorageClass
from etl.transform.rows.outcomes import Converted, Outcome, refuse

_ADDRESS = re.compile(rb"([0-9A-Fa-f:.]{2,45})(?:/([0-9]{1,3}))?")
_HEX = rb"[0-9A-Fa-f]"
# Pairs with colons or dashes, Cisco's groups of four, or digits alone; bytes → pattern.
_HARDWARE = {
    "macaddr": re.compile(
        rb"%(h)s{2}([:-])(?:%(h)s{2}\1){4}%(h)s{2}|(?:%(h)s{4}\.){2}%(h)s{4}|%(h)s{12}" % {b"h": _HEX}
    ),
    "macaddr8": re.compile(
        rb"%(h)s{2}([:-])(?:%(h)s{2}\1){6}%(h)s{2}|(?:%(h)s{4}\.){3}%(h)s{4}|%(h)s{16}" % {b"h": _HEX}
    ),
}


def inet_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for an IPv4 or IPv6 address, with ``/bits`` or without; for cidr no bit right of the mask is set."""
    match = _ADDRESS.fullmatch(value)
    if match is None:
        return refuse(value, StorageClass.TEXT, target)
    try:
        address = ipaddress.ip_address(match[1].decode())
    except ValueError:
        return refuse(value, StorageClass.TEXT, target)
    bits = address.max_prefixlen if match[2] is None else int(match[2])
    if bits > address.max_prefixlen:
        return refuse(value, StorageClass.TEXT, target)
    if target.name == "cidr" and int(address) & ((1 << (address.max_prefixlen - bits)) - 1):
        return refuse(value, StorageClass.TEXT, target, "has bits set to the right of its mask", "inet")
    bare = bits == address.max_prefixlen and target.name == "inet"
    return Converted(str(address) if bare else f"{address}/{bits}")


def macaddr_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for six or eight bytes in one of the usual spellings; written with colons in lower case."""
    if _HARDWARE[target.name].fullmatch(value) is None:
        return refuse(value, StorageClass.TEXT, target)
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", value).decode().lower()
    return Converted(":".join(digits[place : place + 2] for place in range(0, len(digits), 2)))
