"""No password leaves the program, whatever form the DSN has."""

from __future__ import annotations

import pytest

from etl.redaction import find_secrets, mask_dsn, redact

DSNS = [
    ("postgresql://ada:s3cret@db.example/app", "s3cret"),
    ("postgresql+asyncpg://ada:s3cret@db.example:5432/app?ssl=require", "s3cret"),
    ("postgres://ada:p%40ss%2Fw%3Aord@db.example/app", "p@ss/w:ord"),
    ("postgresql://ada:p@ss/w?rd@db.example/app", "p@ss/w?rd"),
    ("postgresql://ada:@db.example/app?password=s3cret&x=1", "s3cret"),
    ("postgresql://:s3cret@db.example/app", "s3cret"),
    ("postgresql:///app?host=/run&user=ada&password=with+plus", "with plus"),
    ("host=db.example user=ada password=s3cret dbname=app", "s3cret"),
    (r"host=db.example password = 'it\'s a \\ secret' dbname=app", r"it's a \ secret"),
    (r"password=back\ slash host=x", "back slash"),
    ("sslpassword=s3cret host=x", "s3cret"),
]


@pytest.mark.parametrize(("dsn", "password"), DSNS)
def test_a_masked_dsn_does_not_hold_the_password(dsn: str, password: str) -> None:
    """Neither as it was written nor decoded."""
    masked = mask_dsn(dsn)
    assert "***" in masked
    assert password not in masked
    for secret in find_secrets(dsn, {}):
        assert secret not in masked


@pytest.mark.parametrize(("dsn", "password"), DSNS)
def test_the_password_is_found_as_the_server_would_read_it(dsn: str, password: str) -> None:
    """A driver may quote the decoded password in its message, so that form is known too."""
    assert password in find_secrets(dsn, {})


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://db.example/app",
        "postgresql://ada@db.example:5432/app?application_name=x",
        "postgresql://postgres@/app?host=/run/postgresql",
        "host=db.example dbname=app",
        "",
    ],
)
def test_a_dsn_without_password_stays_as_it_is(dsn: str) -> None:
    """Host, port, user and database are what a user needs to read in a message."""
    assert mask_dsn(dsn) == dsn


def test_a_message_that_quotes_the_password_is_cleaned() -> None:
    """Both the whole DSN and the bare password disappear."""
    dsn = "postgresql://ada:s3cret%21@db.example/app"
    text = f"could not use {dsn}: password 's3cret!' refused"
    cleaned = redact(text, [dsn], {})
    assert "s3cret" not in cleaned
    assert "db.example" in cleaned


def test_the_password_of_the_environment_is_cleaned_too() -> None:
    """PGPASSWORD is as secret as one in the DSN."""
    assert redact("login as hunter22 failed", [""], {"PGPASSWORD": "hunter22"}) == "login as *** failed"


def test_a_short_password_does_not_eat_the_message() -> None:
    """One letter cannot be taken out of every word; the DSN itself is masked all the same."""
    dsn = "postgresql://ada:a@h/app"
    assert redact(f"a table was in the way of {dsn}", [dsn], {}) == (
        "a table was in the way of postgresql://ada:***@h/app"
    )
