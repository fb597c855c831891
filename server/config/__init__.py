"""Every setting of Rowlock, and the only place that reads the environment.

`Settings` is frozen: a process reads it once at start and hands it down. `load_settings()` is what programs
call; it also reads `.env` in the working directory and turns a wrong value into a `SettingsError` whose text
names the environment variable, the value that was given and what is accepted.

There is a file per area, with what its values have to be beside them; `values.py` has the kinds that several take.
The descriptions are the documentation: `scripts/configuration.py` writes `docs/configuration.md` and
`.env.example` from them.
"""

from server.config.area import PREFIX, Area, variable_name
from server.config.errors import SettingsError, StartError
from server.config.installation import Environment, LogFormat, LogLevel
from server.config.payments import PayPalMode
from server.config.seats import LedgerScope
from server.config.serving import ServerRole
from server.config.settings import Settings, load_settings

__all__ = [
    "PREFIX",
    "Area",
    "Environment",
    "LedgerScope",
    "LogFormat",
    "LogLevel",
    "PayPalMode",
    "ServerRole",
    "Settings",
    "SettingsError",
    "StartError",
    "load_settings",
    "variable_name",
]
