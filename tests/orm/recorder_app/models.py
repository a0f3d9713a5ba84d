"""An application on SQLAlchemy alone, after the manner of a recorder of states: `create_all` makes both sides.

python -m tests.orm.recorder_app.models create|seed|use URL
"""

from __future__ import annotations

import datetime as dt
import enum
import sys
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    create_engine,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite gives numbers to an INTEGER PRIMARY KEY alone
START = 1_709_287_200.125
ROWS = 40


class Base(DeclarativeBase):
    pass


class Kind(enum.Enum):
    measured = "measured"
    counted = "counted"


label = Table(
    "device_label",
    Base.metadata,
    Column("area", String(20), primary_key=True),
    Column("device", SmallInteger, primary_key=True),
    Column("label", String(30), primary_key=True),
    ForeignKeyConstraint(["area", "device"], ["device.area", "device.number"], ondelete="CASCADE"),
)


class Device(Base):
    """Its key has two columns, neither of which is numbered."""

    __tablename__ = "device"
    area: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    kind: Mapped[Kind] = mapped_column(Enum(Kind, native_enum=False, length=10))
    settings: Mapped[Any] = mapped_column(JSON().with_variant(JSONB, "postgresql"))
    type: Mapped[str] = mapped_column(String(10), server_default="device")
    __mapper_args__ = {"polymorphic_on": "type", "polymorphic_identity": "device"}


class Meter(Device):
    """A table that shares the key of its parent."""

    __tablename__ = "meter"
    __table_args__ = (ForeignKeyConstraint(["area", "number"], ["device.area", "device.number"]),)
    area: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    factor: Mapped[float] = mapped_column(Double)
    __mapper_args__ = {"polymorphic_identity": "meter"}


class State(Base):
    """Each row leads to the one before."""

    __tablename__ = "states"
    __table_args__ = (
        ForeignKeyConstraint(["area", "device"], ["device.area", "device.number"]),
        Index("states_by_time", "area", "device", "at"),
    )
    state_id: Mapped[int] = mapped_column(NUMBER, Identity(), primary_key=True)
    area: Mapped[str] = mapped_column(String(20))
    device: Mapped[int] = mapped_column(SmallInteger)
    value: Mapped[str | None] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Double)
    context: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    written: Mapped[dt.datetime] = mapped_column(DateTime, server_default=func.now())
    before_id: Mapped[int | None] = mapped_column(ForeignKey("states.state_id"), index=True)
    before: Mapped[State | None] = relationship(remote_side=[state_id])


def seed(session: Session) -> None:
    """What the application has recorded while it lived on SQLite."""
    session.add(Device(area="hall", number=1, kind=Kind.counted, settings={"ä": [1, 2.5, None], "on": True}))
    session.add(Meter(area="attic", number=2, kind=Kind.measured, settings=[], factor=1 / 3))
    session.flush()
    session.execute(label.insert(), [{"area": "hall", "device": 1, "label": name} for name in ("Licht", "灯")])
    before = None
    for number in range(ROWS):
        written = dt.datetime(2024, 3, 1, 10, 0, 0, number)
        state = State(
            area="hall", device=1, value=None if number % 5 == 0 else f"{number}°", at=START + number / 7,
            context=bytes([number]) * 16, written=written, before=before,
        )  # fmt: skip
        session.add(state)
        session.flush()
        before = state
    session.commit()


def use(session: Session) -> None:
    """What it does on PostgreSQL afterwards."""
    meter = session.get_one(Meter, ("attic", 2))
    assert (meter.factor, meter.kind, meter.settings) == (1 / 3, Kind.measured, [])
    hall = session.get_one(Device, ("hall", 1))
    assert hall.settings == {"ä": [1, 2.5, None], "on": True}
    assert session.scalars(select(label.c.label).order_by(label.c.label.collate("C"))).all() == ["Licht", "灯"]
    last = session.scalars(select(State).order_by(State.at.desc()).limit(1)).one()
    assert (last.state_id, last.at, last.context) == (ROWS, START + (ROWS - 1) / 7, bytes([ROWS - 1]) * 16)
    assert last.before is not None
    assert (last.before.state_id, last.written.microsecond) == (ROWS - 1, ROWS - 1)
    new = State(area="attic", device=2, value="0", at=START, before=last)
    session.add(new)
    session.flush()
    assert new.state_id == ROWS + 1, new.state_id
    last.value = "later"
    session.execute(label.delete().where(label.c.label == "灯"))
    session.commit()
    assert session.scalar(select(func.count()).select_from(State).where(State.value == "later")) == 1


def main(action: str, url: str) -> None:
    engine = create_engine(url)
    if action == "create":
        Base.metadata.create_all(engine)
        return
    with Session(engine) as session:
        (seed if action == "seed" else use)(session)


if __name__ == "__main__":
    main(*sys.argv[1:])
