"""Receives Rowlock's webhooks: checks who sent them, does nothing twice, and answers at once. Standard library only.

    ROWLOCK_WEBHOOK_SECRET=whsec_… python examples/python/webhook_receiver.py 8088

Put it behind something that speaks TLS: Rowlock sends to https addresses only.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE = 5 * 60  # seconds: what is older may be somebody who repeats what was overheard
LARGEST = 1 << 20


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the signatures was made with our secret, just now. While a secret is rotated there are two."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        message_id, seconds = headers["webhook-id"], int(headers["webhook-timestamp"])
        offered = headers["webhook-signature"].split()
    except (KeyError, ValueError, binascii.Error):
        return False
    if abs(time.time() - seconds) > TOLERANCE:
        return False
    signed = f"{message_id}.{seconds}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in offered)


def take(database: sqlite3.Connection, message_id: str, message: dict) -> bool:
    """Do what there is to do, once: the id is kept in the same transaction. False: we had it before."""
    with database:
        new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (message_id,)).rowcount
        if new and message["type"] != "test":
            # Yours goes here. Of one performance, messages come in order; `position` says where we are in the log.
            database.execute(
                "INSERT INTO log VALUES (?, ?, ?)",
                (int(message["position"]), message["type"], message["data"]["name"]),
            )
    return bool(new)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for what is kept (now or before), 401 for what is not signed."""

    secret = ""
    database: sqlite3.Connection

    def do_POST(self) -> None:
        """One message."""
        length = int(self.headers.get("content-length", "0"))
        if length > LARGEST:
            self.answer(413)
            return
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not is_signed(self.secret, headers, body):
            self.answer(401)
            return
        message = json.loads(body)
        if take(self.database, headers["webhook-id"], message):
            print(message["type"], message["data"].get("name", ""), flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library has
        """Say nothing of each request."""


def serve(port: int, secret: str, file: str = "webhooks.sqlite") -> HTTPServer:
    """A receiver on a port (0: any); call `serve_forever`."""
    database = sqlite3.connect(file, check_same_thread=False)
    with database:
        database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
        database.execute("CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY, type TEXT, name TEXT)")
    return HTTPServer(("127.0.0.1", port), type("Mine", (Receiver,), {"secret": secret, "database": database}))


if __name__ == "__main__":
    serve(int(sys.argv[1]), os.environ["ROWLOCK_WEBHOOK_SECRET"]).serve_forever()
