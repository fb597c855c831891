"""People, their sessions, their keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber, Timestamps
from server.states import CodePurpose, Role


class User(Timestamps, Base):
    """A person, or the owner of devices. ``email_key`` is the address folded for comparison."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(Text, default="", server_default="")
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(EnumNumber(Role))
    email_verify_time: Mapped[datetime | None]
    disable_time: Mapped[datetime | None]

    __table_args__ = (Index(None, "create_time", "id"),)


class Session(Base):
    """One sign-in: the family of refresh tokens that descend from it.

    ``successor_key`` makes each refresh token's successor from its text (HMAC), so that the same token can be
    answered alike twice although only hashes are stored. Neither it nor a token alone gives another token.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    expire_time: Mapped[datetime] = mapped_column(index=True)
    revoke_time: Mapped[datetime | None]
    revoke_reason: Mapped[str | None] = mapped_column(Text)
    successor_key: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (Index(None, "revoke_time", postgresql_where=text("revoke_time IS NOT NULL")),)


class RefreshToken(Base):
    """One refresh token, by the SHA-256 of its text; used at most once."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    use_time: Mapped[datetime | None]


class ApiKey(Base):
    """A device's or partner's key: a public prefix, and the SHA-256 of the whole.

    ``permissions`` empty: all that its role may do. A quota of 0: there is none. ``family_id`` is the first key of a
    chain of successors, on whose account all of them use up what they may do: rotation is no way to more. None: it is
    the first itself.
    """

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    display_name: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(EnumNumber(Role))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    prefix: Mapped[str] = mapped_column(Text)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    expire_time: Mapped[datetime | None]
    revoke_time: Mapped[datetime | None]
    use_time: Mapped[datetime | None]
    permissions: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), default=list, server_default="{}")
    calls_per_minute: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    held_places_per_day: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    sold_places_per_day: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    rotated_from: Mapped[UUID | None]
    family_id: Mapped[UUID | None]


class AccountCode(Base):
    """An address to verify or a password to reset: sent by mail, stored hashed, used once.

    One row per account and purpose: a newer code takes the place of the older one, whose link so stops working.
    ``email_key`` is the address that the code was mailed to; it is worth nothing once the account has another one.
    """

    __tablename__ = "account_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    purpose: Mapped[CodePurpose] = mapped_column(Text, primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    email_key: Mapped[str] = mapped_column(Text)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    expire_time: Mapped[datetime] = mapped_column(index=True)
    use_time: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("purpose IN ('verify_email', 'reset_password')", name="purpose"),)


class SigningKey(Base):
    """A key that signs access tokens, where none is configured: shared by all processes through this row."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    private_key: Mapped[str] = mapped_column(Text)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    retire_time: Mapped[datetime | None]


class RequestResult(Base):
    """The first answer to a mutating request, given again to the same request_id for at least 24 hours."""

    __tablename__ = "request_results"

    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    request_id: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
