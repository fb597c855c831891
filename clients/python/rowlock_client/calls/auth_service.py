"""Accounts and sessions."""

from __future__ import annotations

from rowlock.v1 import auth_pb2, auth_pb2_grpc
from rowlock_client.rpc import Rpc

_Auth = auth_pb2_grpc.AuthServiceStub


def sign_up(email: str, password: str, display_name: str, *, locale: str = "") -> Rpc[auth_pb2.SignUpResponse]:
    """Open an account. The answer does not say whether the address had one already; then log in."""
    request = auth_pb2.SignUpRequest(email=email, password=password, display_name=display_name, locale=locale)
    return Rpc(_Auth, "SignUp", request, sends_token=False)


def log_in(email: str, password: str) -> Rpc[auth_pb2.LogInResponse]:
    """Begin a session."""
    request = auth_pb2.LogInRequest(email=email, password=password)
    return Rpc(_Auth, "LogIn", request, sends_token=False, repeatable=True)


def refresh_token(refresh_token: str) -> Rpc[auth_pb2.RefreshTokenResponse]:
    """Get a session's next tokens. Repeated within 10 s, it gives the same ones."""
    request = auth_pb2.RefreshTokenRequest(refresh_token=refresh_token)
    return Rpc(_Auth, "RefreshToken", request, sends_token=False, repeatable=True)


def exchange_api_key(api_key: str) -> Rpc[auth_pb2.ExchangeApiKeyResponse]:
    """Get a token for an API key."""
    request = auth_pb2.ExchangeApiKeyRequest(api_key=api_key)
    return Rpc(_Auth, "ExchangeApiKey", request, sends_token=False, repeatable=True)


def log_out(refresh_token: str) -> Rpc[auth_pb2.LogOutResponse]:
    """End a session."""
    request = auth_pb2.LogOutRequest(refresh_token=refresh_token)
    return Rpc(_Auth, "LogOut", request, sends_token=False, repeatable=True)


def log_out_everywhere(name: str = "users/me") -> Rpc[auth_pb2.LogOutEverywhereResponse]:
    """End every session of a user, this one included; administrators those of anybody."""
    return Rpc(_Auth, "LogOutEverywhere", auth_pb2.LogOutEverywhereRequest(name=name))


def verify_email(code: str) -> Rpc[auth_pb2.VerifyEmailResponse]:
    """Show that an address is one's own, by the code that was mailed to it."""
    return Rpc(_Auth, "VerifyEmail", auth_pb2.VerifyEmailRequest(code=code), sends_token=False)


def resend_verification(email: str) -> Rpc[auth_pb2.ResendVerificationResponse]:
    """Have another verification code mailed. The answer does not say whether there is an account to verify."""
    request = auth_pb2.ResendVerificationRequest(email=email)
    return Rpc(_Auth, "ResendVerification", request, sends_token=False)


def request_password_reset(email: str) -> Rpc[auth_pb2.RequestPasswordResetResponse]:
    """Have a code mailed by which a new password can be set. The answer does not say whether there is an account."""
    request = auth_pb2.RequestPasswordResetRequest(email=email)
    return Rpc(_Auth, "RequestPasswordReset", request, sends_token=False)


def confirm_password_reset(code: str, new_password: str) -> Rpc[auth_pb2.ConfirmPasswordResetResponse]:
    """Set a new password by a mailed code. Every session ends; then log in."""
    request = auth_pb2.ConfirmPasswordResetRequest(code=code, new_password=new_password)
    return Rpc(_Auth, "ConfirmPasswordReset", request, sends_token=False)


def change_password(current_password: str, new_password: str) -> Rpc[auth_pb2.ChangePasswordResponse]:
    """Replace one's password. Every session ends, this one included; then log in again."""
    request = auth_pb2.ChangePasswordRequest(
        name="users/me", current_password=current_password, new_password=new_password
    )
    return Rpc(_Auth, "ChangePassword", request)


def me() -> Rpc[auth_pb2.User]:
    """Read who is logged in."""
    return Rpc(_Auth, "GetUser", auth_pb2.GetUserRequest(name="users/me"))


def jwks() -> Rpc[auth_pb2.GetJwksResponse]:
    """Read the public keys by which tokens, tickets and entry lists are verified."""
    return Rpc(_Auth, "GetJwks", auth_pb2.GetJwksRequest(), sends_token=False)
