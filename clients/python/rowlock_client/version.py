"""The one place where the version is written: of the server, of the client library, and of both wheels."""

__version__ = "0.1.0"
