"""Random defaults: ``randomblob(n)``, alone or as hexadecimal digits.

Invariant: as many bytes or digits as SQLite makes, from the server's random uuids: of 16 bytes 122 bits are random.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from etl.model import PgType
from etl.transform.schema.syntax import Untranslatable, unwrapped

UUID_BYTES = 16
MAX_BYTES = 256
ONE_UUID = "uuid_send(gen_random_uuid())"


@dataclass(frozen=True, slots=True)
class RandomBytes:
    """``count`` random bytes; ``digits`` is '' or how SQLite spells them: lower or upper."""

    count: int
    digits: str = ""


def random_bytes(node: exp.Expression) -> RandomBytes | None:
    """The random value that the expression makes; None for any other expression."""
    node = unwrapped(node)
    if not isinstance(node, exp.Anonymous) or len(node.expressions) != 1:
        return None
    name, argument = node.name.lower(), unwrapped(node.expressions[0])
    if name == "randomblob" and isinstance(argument, exp.Literal) and str(argument.this).isdigit():
        return RandomBytes(int(str(argument.this)))
    inner = random_bytes(argument)
    if inner is None:
        return None
    if name == "hex" and not inner.digits:
        return RandomBytes(inner.count, "upper")
    return RandomBytes(inner.count, name) if name in {"lower", "upper"} and inner.digits else None


def render_random(value: RandomBytes, type_: PgType) -> str:
    """The bytes or digits for a column of this type. Raises Untranslatable."""
    if not 1 <= value.count <= MAX_BYTES:
        raise Untranslatable(f"randomblob({value.count}) is not translated")
    uuids = -(-value.count // UUID_BYTES)
    raw = " || ".join([ONE_UUID] * uuids)
    if value.count % UUID_BYTES:
        raw = f"substring({raw} from 1 for {value.count})"
    if type_.name == "bytea" and not value.digits:
        return raw if uuids == 1 or value.count % UUID_BYTES else f"({raw})"
    fits = type_.name == "text" or (type_.name == "varchar" and (type_.length or 0) >= 2 * value.count)
    if fits and value.digits:
        return f"encode({raw}, 'hex')" if value.digits == "lower" else f"upper(encode({raw}, 'hex'))"
    raise Untranslatable(f"random bytes in a {type_} column are not translated")
