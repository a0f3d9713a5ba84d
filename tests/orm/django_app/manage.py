"""A Django application: the same models make the tables of both sides, and then work on them.

    python -m tests.orm.django_app.manage migrate|seed|use DATABASE

DATABASE is a path for SQLite, or a postgresql:// DSN.
"""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.core.management import call_command


def database(text: str) -> dict[str, str]:
    """What Django wants to know of a database."""
    if not text.startswith("postgresql://"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": text}
    parts = urlsplit(text)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "postgres",
        "PASSWORD": parts.password or "",
        "HOST": host,
        "PORT": str(parts.port or ""),
    }


settings.configure(
    DATABASES={"default": database(sys.argv[2])},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tests.orm.django_app"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    SECRET_KEY="of no use",  # noqa: S106 - nobody signs anything here
)
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.db.models import F  # noqa: E402

from tests.orm.django_app.models import Author, Book, Tag  # noqa: E402


def seed() -> None:
    """What the application has written while it lived on SQLite."""
    user = User.objects.create_user("ada", "ada@example.org", "secret")
    user.groups.add(Group.objects.create(name="editors"))
    user.user_permissions.add(Permission.objects.get(codename="add_book"))
    tags = [Tag.objects.create(name=name) for name in ("math", "история", "it's")]
    mentor = None
    for number in range(1, 41):
        mentor = Author.objects.create(
            name=f"Author {number}",
            email=f"a{number}@example.org",
            born=dt.date(1900 + number, 2, 28) if number % 3 else None,
            joined=dt.datetime(2024, 3, 31, 1, 30, number % 60, number, tzinfo=dt.UTC),
            active=number % 2 == 0,
            balance=Decimal(number) / 4,
            uid=uuid.UUID(int=number),
            took=dt.timedelta(days=number, microseconds=number) if number % 4 else None,
            prefs={"theme": "dark", "n": number, "list": [1, None, True]},
            photo=bytes([0, number, 255]),
            wakes=dt.time(6, number % 60, 1, 500),
            score=number / 7,
            level=number,
            address=f"10.0.0.{number}" if number % 2 else "2001:db8::1",
            mentor=mentor,
        )
        book = Book.objects.create(title=f"Book {number}", author=mentor)
        book.tags.set(tags[: number % 4])


def use() -> None:
    """What it does on PostgreSQL afterwards: reads, inserts, updates, deletes."""
    author = Author.objects.get(email="a5@example.org")
    assert author.uid == uuid.UUID(int=5)
    assert author.took == dt.timedelta(days=5, microseconds=5), author.took
    assert author.joined == dt.datetime(2024, 3, 31, 1, 30, 5, 5, tzinfo=dt.UTC)
    assert author.balance == Decimal("1.25")
    assert author.prefs == {"theme": "dark", "n": 5, "list": [1, None, True]}
    assert bytes(author.photo) == b"\x00\x05\xff"
    assert author.wakes == dt.time(6, 5, 1, 500)
    assert author.address == "10.0.0.5"
    assert author.score == 5 / 7
    assert author.mentor is not None
    assert author.mentor.name == "Author 4"
    assert Author.objects.filter(prefs__n=7).count() == 1
    assert Book.objects.filter(tags__name="история").count() == 20
    user = User.objects.get(username="ada")
    assert user.check_password("secret")
    assert user.has_perm("django_app.add_book")
    assert [group.name for group in user.groups.all()] == ["editors"]
    book = Book.objects.create(title="New", author=author)
    assert book.pk == 41, book.pk
    book.tags.add(Tag.objects.create(name="new"))
    Author.objects.filter(pk=author.pk).update(balance=F("balance") + 1)
    author.refresh_from_db()
    assert author.balance == Decimal("2.25")
    assert author.book_set.count() == 2
    author.delete()
    assert not Book.objects.filter(title="New").exists()
    call_command("migrate", run_syncdb=True, verbosity=0)  # nothing is left to do, and it may do so


if __name__ == "__main__":
    match sys.argv[1]:
        case "migrate":
            call_command("migrate", run_syncdb=True, verbosity=0)
        case "seed":
            seed()
        case "use":
            use()
