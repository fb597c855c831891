"""Questions to the house, and where the house can be found."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.accounts import User
from server.db.models.base import Base, Timestamps


class Inquiry(Base):
    """A question; once it is answered, with its answer."""

    __tablename__ = "inquiries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sender_name: Mapped[str] = mapped_column(Text)
    sender_email: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    answerer_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"))
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    answer_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(answer IS NULL) = (answer_time IS NULL)", name="answered"),
        Index("ix_inquiries_create_time", "create_time", "id"),
        Index("ix_inquiries_open", "create_time", "id", postgresql_where=text("answer_time IS NULL")),
    )


class ContactInfo(Timestamps, Base):
    """Where the house can be found and reached: one row, which the schema brings along."""

    __tablename__ = "contact_info"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    display_name: Mapped[str] = mapped_column(Text, default="", server_default="")
    email: Mapped[str] = mapped_column(Text, default="", server_default="")
    phone: Mapped[str] = mapped_column(Text, default="", server_default="")
    address: Mapped[str] = mapped_column(Text, default="", server_default="")
    opening_hours: Mapped[str] = mapped_column(Text, default="", server_default="")

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


class SocialLink(Timestamps, Base):
    """A link to the house elsewhere."""

    __tablename__ = "social_links"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    display_name: Mapped[str] = mapped_column(Text)
    uri: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    __table_args__ = (Index("ix_social_links_position", "position", "id"),)
