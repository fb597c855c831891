"""Accounts and API keys as callers see them."""

from rowlock.v1 import auth_pb2
from server import resources
from server.db.models import accounts
from server.domain.etags import etag_of
from server.domain.key_uses import Use
from server.domain.signing_keys import PublicKey
from server.services.wire import timestamp
from server.states import Role

_UNUSED = Use()


def role_number(role: Role) -> auth_pb2.Role.ValueType:
    """The role on the wire: the same number."""
    return auth_pb2.Role.ValueType(role)


def user_message(user: accounts.User) -> auth_pb2.User:
    """An account."""
    return auth_pb2.User(
        name=resources.user(user.id),
        email=user.email,
        display_name=user.display_name,
        locale=user.locale,
        role=role_number(user.role),
        email_verified=user.email_verify_time is not None,
        disabled=user.disable_time is not None,
        etag=etag_of(user.version),
        create_time=timestamp(user.create_time),
        update_time=timestamp(user.update_time),
    )


def api_key_message(key: accounts.ApiKey, used: Use = _UNUSED) -> auth_pb2.ApiKey:
    """An API key, without its secret, which nobody has; ``used`` is what it has used up today."""
    return auth_pb2.ApiKey(
        name=resources.api_key(key.user_id, key.id),
        display_name=key.display_name,
        role=role_number(key.role),
        scopes=key.scopes,
        prefix=key.prefix,
        expire_time=timestamp(key.expire_time),
        revoke_time=timestamp(key.revoke_time),
        last_use_time=timestamp(key.use_time),
        create_time=timestamp(key.create_time),
        permissions=[auth_pb2.ApiKey.Permission.ValueType(permission) for permission in key.permissions],
        calls_per_minute=key.calls_per_minute,
        held_places_per_day=key.held_places_per_day,
        sold_places_per_day=key.sold_places_per_day,
        held_places_today=used.held_places,
        sold_places_today=used.sold_places,
        rotated_from="" if key.rotated_from is None else resources.api_key(key.user_id, key.rotated_from),
    )


def jwk_message(key: PublicKey) -> auth_pb2.Jwk:
    """A public key as RFC 8037 lays down."""
    return auth_pb2.Jwk(kty="OKP", crv="Ed25519", x=key.x, kid=key.kid, use="sig", alg="EdDSA")
