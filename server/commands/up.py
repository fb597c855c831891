"""`rowlock up`: everything on one machine, under one log."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from server import gateway_build
from server.commands.children import add_copy, child_environment, command_line
from server.commands.health import ask_server
from server.config import Environment, LogFormat, Settings, SettingsError, StartError, load_settings, variable_name
from server.db.engine import Database
from server.db.migrate import upgrade
from server.embedded import EmbeddedServers
from server.embedded.mail_catcher import free_address
from server.listening import tls_credentials, why_not
from server.start_checks import shown_database, shown_redis, wait_for_database, wait_for_redis
from server.supervisor import MergedLog, Supervisor, second_signal, stop_signals

app = typer.Typer()

_DRAIN_SECONDS = 3
_STOP_SECONDS = 15.0
"""Far more than children take that end at all: a busy machine is no reason to kill them. A second Ctrl-C is."""

_READY_LIMIT = 60.0


@app.command()
def up(
    address: Annotated[str | None, typer.Option(help="Serve here instead of ROWLOCK_GRPC_ADDRESS (host:port).")] = None,
    processes: Annotated[int | None, typer.Option(help="Server processes; instead of ROWLOCK_PROCESSES.")] = None,
    gateway: Annotated[bool, typer.Option(help="Serve REST, its documentation and the screens, too.")] = True,
    console: Annotated[bool, typer.Option(help="Serve the back office, too.")] = True,
    demo_venue: Annotated[bool, typer.Option(help="Load a theatre and a cinema with performances on sale.")] = True,
) -> None:
    """Run everything: database, Redis, server, workers, scheduler, gateway, console, and a demo venue to book in.

    What has no URL in the settings is brought along: a real PostgreSQL and a real Valkey, with their data in
    `.rowlock`, and a mail server that keeps mails in `.rowlock/mail` and delivers none. Ctrl-C stops it all in good
    order; a second Ctrl-C stops it at once.
    """
    settings = load_settings(
        {
            "grpc_address": address,
            "processes": processes,
            "gateway_address": None if gateway else "off",
            "console_address": None if console else "off",
        }
    )
    log = MergedLog(plain=settings.log_format is LogFormat.JSON)
    tls_credentials(settings)  # what cannot be used is told before anything starts
    _require_free_ports(settings)
    supervisor = Supervisor(log, stop_time=_STOP_SECONDS)
    status = 0
    with stop_signals():
        try:
            with EmbeddedServers(settings, log) as servers:
                try:
                    _prepare(servers, log, demo_venue=demo_venue)
                    _start_children(supervisor, _gateway_if_it_can_be(servers.settings, log))
                    status = _look_after(supervisor, servers, log)
                finally:
                    # Before the database and Redis go, so that what is under way can end.
                    with second_signal(supervisor.hurry):
                        supervisor.stop()
        except KeyboardInterrupt:
            log("rowlock", "stopped")
    sys.exit(status)


def _prepare(servers: EmbeddedServers, log: MergedLog, *, demo_venue: bool) -> None:
    settings = servers.settings
    wait_for_database(settings)
    wait_for_redis(settings)
    embedded = servers.postgres and f"embedded PostgreSQL, data in {servers.postgres.folder}"
    log("rowlock", f"database {embedded or shown_database(settings.database_url)}")
    log("rowlock", f"redis    {'embedded Valkey' if servers.valkey else shown_redis(settings.redis_url)}")
    upgrade(settings.database_url)
    if demo_venue:
        from server.demo_venue import load

        database = Database(settings.database_url, threads=1)
        try:
            venue = database.run_transaction(lambda session: load(session, settings))
        finally:
            database.close()
        added = f", {venue.made} of them new" if venue.made else ""
        log("rowlock", f"demo     {len(venue.performances)} performances on sale{added}")


def _catch_mails(supervisor: Supervisor, settings: Settings, shared: Mapping[str, object]) -> Settings:
    """Where no mail server is named, and nobody expects real mails: keep them as files, and show them in the log."""
    if settings.smtp_url or settings.environment is Environment.PRODUCTION:
        return settings
    address, folder = free_address(), settings.data_dir.resolve() / "mail"
    supervisor.add("mail", command_line("mail", "catch", address, str(folder)), child_environment(settings, **shared))
    return settings.model_copy(update={"smtp_url": f"smtp://{address}"})


def _start_children(supervisor: Supervisor, settings: Settings) -> None:
    shared: dict[str, object] = {
        "log_format": settings.log_format.value,
        "drain_time": f"{_DRAIN_SECONDS}s",
        "gateway_drain_time": f"{_DRAIN_SECONDS}s",
    }
    settings = _catch_mails(supervisor, settings, shared)
    if settings.gateway_address or settings.console_address:
        # They are of this machine, and tell the servers who called them.
        shared["trusted_proxies"] = ",".join({*settings.trusted_proxies, "127.0.0.1/32"})
    for index in range(settings.processes):
        add_copy(supervisor, "server", "serve", index, child_environment(settings, process_index=index, **shared))
    for index in range(settings.worker_processes):
        add_copy(supervisor, "worker", "worker", index, child_environment(settings, process_index=index, **shared))
    add_copy(supervisor, "scheduler", "scheduler", 0, child_environment(settings, **shared))
    if settings.gateway_address:
        add_copy(supervisor, "gateway", "gateway", 0, child_environment(settings, **shared))
    if settings.console_address:
        add_copy(supervisor, "console", "console", 0, child_environment(settings, **shared))


def _gateway_if_it_can_be(settings: Settings, log: MergedLog) -> Settings:
    """The settings without a gateway, where there is neither one nor a Go to build it with; and a word about it."""
    if not settings.gateway_address or settings.gateway_binary or gateway_build.binary().exists():
        return settings
    try:
        gateway_build.go()
    except gateway_build.NoGoError as error:
        log("rowlock", f"gateway  not started: {error}")
        return settings.model_copy(update={"gateway_address": ""})
    return settings


def _look_after(supervisor: Supervisor, servers: EmbeddedServers, log: MergedLog) -> int:
    """Say when the server answers, and keep everything alive. Ends by KeyboardInterrupt or a wrong setting."""
    settings = servers.settings
    announced = False
    slow_after: float | None = time.monotonic() + _READY_LIMIT
    while (status := supervisor.watch()) is None:
        for name in servers.revive():
            log("rowlock", f"{name} had ended and was started again")
        if announced:
            continue
        if _answers(settings):
            announced = True
            for line in _what_to_try(settings):
                log("rowlock", line)
        elif slow_after is not None and time.monotonic() > slow_after:
            slow_after = None
            log("rowlock", f"the server does not answer at {settings.grpc_address} yet; the log above may say why")
    return status


def _what_to_try(settings: Settings) -> list[str]:
    address = settings.grpc_address
    program = _program()
    plaintext = "" if settings.tls_cert_file else "-plaintext "
    steps = [
        (f"{program} events", "what is on"),
        (f"{program} sign-up", "an account"),
        (f"{program} book --best 2", "hold the two best seats"),
        (f"{program} pay", "make them yours"),
        (f"{program} watch", "the hall, live"),
        (f"grpcurl {plaintext}{address} rowlock.v1.EventService/ListPerformances", ""),
    ]
    if settings.gateway_address:
        steps.append((f"http://{settings.gateway_address}/kiosk/", "the hall in a browser, once the gateway is up"))
        steps.append((f"http://{settings.gateway_address}/docs/", "REST, to read and to try"))
    if settings.console_address:
        steps.append((f"{program} create-admin --email you@example.org", "an account for the back office"))
        steps.append((f"http://{settings.console_address}/", "the back office"))
    if address != "127.0.0.1:50051":
        steps.insert(0, (f"export ROWLOCK_SERVER={address}", "where the commands find it"))
    width = max(len(command) for command, meaning in steps if meaning) + 3
    return [
        "",
        f"Rowlock is up at {address}. In a second shell, try:",
        *(f"  {command:<{width}}{meaning}".rstrip() for command, meaning in steps),
        "Ctrl-C here stops everything.",
        "",
    ]


def _program() -> str:
    """How to call this program from the same folder."""
    if shutil.which("rowlock"):
        return "rowlock"
    return os.path.relpath(Path(sys.executable).with_name("rowlock"))


def _require_free_ports(settings: Settings) -> None:
    """Our server processes share their port on purpose, so a stranger on it would go unnoticed: look first.

    Raises:
        SettingsError: a port is taken, or an address is not of this machine.
    """
    wanted = [("grpc_address", settings.grpc_address, 1)]
    if settings.gateway_address:
        wanted.append(("gateway_address", settings.gateway_address, 1))
        if settings.gateway_metrics_address:
            wanted.append(("gateway_metrics_address", settings.gateway_metrics_address, 1))
    if settings.console_address:
        wanted.append(("console_address", settings.console_address, 1))
    wanted += [
        (name, address, settings.processes)
        for name in ("admin_address", "metrics_address")
        if (address := str(getattr(settings, name)))
    ]
    for name, address, count in wanted:
        host, _, port = address.rpartition(":")
        if port == "0":
            if name == "grpc_address":
                raise SettingsError(f"{variable_name(name)}={address}: `rowlock up` needs a port that is known")
            continue
        for number in range(int(port), int(port) + count):
            if problem := why_not(f"{host}:{number}", shared=False):
                raise SettingsError(
                    f"{variable_name(name)}={address}: cannot listen on port {number}: {problem}. "
                    "Free it, or choose another."
                )


def _answers(settings: Settings) -> bool:
    try:
        ask_server(settings)
    except StartError:
        return False
    return True
