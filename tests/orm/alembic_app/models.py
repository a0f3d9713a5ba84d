"""An application on SQLAlchemy and Alembic: the same models on both sides.

python -m tests.orm.alembic_app.models upgrade|seed|use URL
"""

from __future__ import annotations

import datetime as dt
import enum
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    create_engine,
    func,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Status(enum.Enum):
    draft = "draft"
    sent = "sent"
    paid = "paid"


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    uid: Mapped[uuid.UUID] = mapped_column(unique=True)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    birthday: Mapped[dt.date | None]
    logo: Mapped[bytes | None]
    referrer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    invoices: Mapped[list[Invoice]] = relationship(back_populates="customer")


class Invoice(Base):
    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("customer_id", "number"),
        CheckConstraint("net >= 0", name="net_not_negative"),
        Index("invoice_open", "customer_id", postgresql_where="paid is false"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id", ondelete="CASCADE"))
    status: Mapped[Status]
    paid: Mapped[bool]
    net: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    gross: Mapped[Decimal] = mapped_column(Numeric(12, 2), Computed("net * 2", persisted=True))
    rate: Mapped[float]
    opens: Mapped[dt.time | None]
    customer: Mapped[Customer] = relationship(back_populates="invoices")


class Line(Base):
    __tablename__ = "line"
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


def upgrade(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    command.upgrade(config, "head")


def seed(session: Session) -> None:
    """What the application has written while it lived on SQLite."""
    for number in range(1, 31):
        customer = Customer(
            name=f"Customer {number} ☂",
            uid=uuid.UUID(int=number),
            created_at=dt.datetime(2024, 10, 27, 1, 30, number, number),
            birthday=dt.date(1950 + number, 1, 31) if number % 2 else None,
            logo=bytes(range(number)),
            referrer_id=number - 1 or None,
        )
        session.add(customer)
        session.flush()
        invoice = Invoice(
            number=number, customer=customer, status=list(Status)[number % 3], paid=number % 2 == 0,
            net=Decimal(number) / 4, rate=number / 3, opens=dt.time(8, number, 0, number),
        )  # fmt: skip
        session.add(invoice)
        session.flush()
        session.add_all(Line(invoice_id=invoice.id, position=place, text=f"line {place}") for place in range(3))
    session.commit()


def use(session: Session) -> None:
    """What it does on PostgreSQL afterwards: reads, inserts, updates, deletes."""
    customer = session.scalars(select(Customer).where(Customer.uid == uuid.UUID(int=7))).one()
    assert customer.created_at == dt.datetime(2024, 10, 27, 1, 30, 7, 7, tzinfo=dt.UTC)
    assert (customer.birthday, customer.logo, customer.referrer_id) == (dt.date(1957, 1, 31), bytes(range(7)), 6)
    (invoice,) = customer.invoices
    assert (invoice.status, invoice.paid, invoice.net) == (Status.sent, False, Decimal("1.75")), invoice.net
    assert invoice.opens == dt.time(8, 7, 0, 7)
    assert session.scalar(select(func.count()).select_from(Line)) == 90
    new = Customer(name="New", uid=uuid.UUID(int=99), created_at=dt.datetime.now(dt.UTC), referrer_id=customer.id)
    session.add(new)
    session.flush()
    assert new.id == 31, new.id
    added: Any = Invoice(number=1, customer=new, status=Status.paid, paid=True, net=Decimal("1.25"), rate=0.5)
    session.add(added)
    session.flush()
    assert (added.id, added.gross) == (31, Decimal("2.50"))
    invoice.net += 1
    session.delete(added)
    session.commit()
    assert session.scalar(select(Invoice.net).where(Invoice.id == invoice.id)) == Decimal("2.75")


def main(action: str, url: str) -> None:
    if action == "upgrade":
        upgrade(url)
        return
    with Session(create_engine(url)) as session:
        (seed if action == "seed" else use)(session)


if __name__ == "__main__":
    main(*sys.argv[1:])
