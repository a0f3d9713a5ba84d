"""The scalar rules for inet, cidr and the hardware addresses.

Invariant: what is accepted means one address to every reader: no leading zeros, netmasks, zones or
abbreviations.
"""

from __future__ import annotations

import ipaddress
import re

from etl.model import PgType, StorageClass
from etl.transform.rows.outcomes import Converted, Outcome, refuse

_ADDRESS = re.compile(rb"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?")
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
    text = value.decode("ascii", "replace")
    if _ADDRESS.fullmatch(value) is None:
        return refuse(value, StorageClass.TEXT, target)
    try:
        interface = ipaddress.ip_interface(text)
        if target.name == "cidr" and interface.ip != interface.network.network_address:
            return refuse(value, StorageClass.TEXT, target, "has bits set to the right of its mask", "inet")
    except ValueError:
        return refuse(value, StorageClass.TEXT, target)
    bare = interface.network.prefixlen == interface.max_prefixlen and target.name == "inet"
    return Converted(str(interface.ip) if bare else str(interface))


def macaddr_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for six or eight bytes in one of the usual spellings; written with colons in lower case."""
    if _HARDWARE[target.name].fullmatch(value) is None:
        return refuse(value, StorageClass.TEXT, target)
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", value).decode().lower()
    return Converted(":".join(digits[place : place + 2] for place in range(0, len(digits), 2)))
