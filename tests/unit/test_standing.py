"""What is said of the target when a run does not come to its end."""

from __future__ import annotations

import contextlib

import pytest

from etl.errors import EtlError, TargetError, UnknownOutcomeError
from etl.standing import AS_BEFORE, Standing


def test_what_was_rolled_back_is_as_before() -> None:
    """A COMMIT that the server has refused changes nothing; while it is on its way, nobody knows."""
    standing = Standing()
    assert standing.words() == AS_BEFORE
    with contextlib.suppress(TargetError), standing.deciding(["a"]):
        assert "nobody knows whether the COMMIT of a took effect" in standing.words()
        raise TargetError("refused")
    assert standing.words() == AS_BEFORE


@pytest.mark.parametrize("end", [UnknownOutcomeError("lost"), KeyboardInterrupt()])
def test_what_nobody_knows_stays_in_doubt(end: BaseException) -> None:
    """Neither done nor as before; other COMMITs are known all the same."""
    standing = Standing()
    with contextlib.suppress(BaseException), standing.deciding(["a"]):
        raise end
    with standing.deciding(["b"]):
        pass
    assert "the COMMIT of a took effect" in standing.words()
    assert "there to stay: b" in standing.words()
    assert AS_BEFORE not in standing.words()


async def test_an_error_tells_how_to_go_on() -> None:
    """The flags can be pasted, whatever the tables are called."""
    standing = Standing()
    with standing.deciding(["a b", "c*"]):
        pass
    with pytest.raises(EtlError) as caught:
        async with standing.told(keeps=True):
            raise EtlError("t (id=1): refused", "correct it")
    assert (
        caught.value.message == "t (id=1): refused; committed before, and there to stay: a b, c*; all else is as before"
    )
    assert caught.value.hint == "correct it; then with --keep 'a b' --keep 'c[*]'"
    with pytest.raises(EtlError) as untouched:
        async with Standing().told(keeps=True):
            raise EtlError("t (id=1): refused", "correct it")
    assert (untouched.value.message, untouched.value.hint) == ("t (id=1): refused", "correct it")
