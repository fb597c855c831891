"""`rowlock import-seat-map`: a seat map file becomes a seat map of a venue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from rowlock.v1 import seat_map_pb2, venue_pb2
from server import resources
from server.commands.checking import require_valid
from server.commands.database import reachable_database
from server.config import load_settings
from server.db.engine import Database
from server.db.models.catalogue import Venue
from server.domain import seat_maps, venues
from server.errors import RowlockError
from server.seats.seat_map_faults import SeatMapFileError
from server.seats.seat_map_import import read
from server.start_checks import require_schema

app = typer.Typer()


@app.command("import-seat-map")
def import_seat_map(
    file: Annotated[
        Path, typer.Argument(help="Rowlock's own JSON or a pretix seating plan.", exists=True, dir_okay=False)
    ],
    venue: Annotated[
        str, typer.Option(help="venues/ID of an existing venue, or the name of one, which is made if there is none.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the seat map; instead of the one in the file.")] = None,
) -> None:
    """Check a seat map file and store it. A file with faults is told every fault, and nothing is stored."""
    if not venue.startswith("venues/"):
        asked = venue_pb2.CreateVenueRequest(venue=venue_pb2.Venue(display_name=venue))
        require_valid(asked, {"venue.display_name": "--venue"})
    require_valid(seat_map_pb2.SeatMap(display_name=name or ""), {"display_name": "--name"})
    try:
        document = read(file.read_bytes())
    except SeatMapFileError as error:
        for fault in error.faults:
            typer.echo(f"{file}: {fault}", err=True)
        if error.total > len(error.faults):
            typer.echo(f"{file}: and {error.total - len(error.faults)} more faults", err=True)
        raise typer.Exit(1) from None
    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        database = Database(settings.database_url, threads=1)
        try:
            stored, places = database.run_transaction(lambda session: _store(session, venue, name, document))
        except RowlockError as error:
            raise typer.BadParameter(error.message, param_hint="--venue") from None
        finally:
            database.close()
    typer.echo(f"{stored}: {places} places")


def _store(session: Session, venue_name: str, name: str | None, document: dict[str, Any]) -> tuple[str, int]:
    """Store the document as a new seat map; returns its resource name and the number of its places."""
    venue = _venue(session, venue_name)
    drawing = seat_maps.Drawing.of(document)
    seat_map = seat_maps.create(session, venue.id, name or str(document["name"]), drawing).seat_map
    return resources.seat_map(venue.id, seat_map.id), len(drawing.hall)


def _venue(session: Session, name: str) -> Venue:
    if name.startswith("venues/"):
        return venues.get(session, resources.parse_venue(name))
    found = session.scalar(select(Venue).where(Venue.display_name == name).order_by(Venue.id).limit(1))
    return found or venues.create(session, venues.VenueValues(name, "", "", ""))
