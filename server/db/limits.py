"""What a connection may do and for how long, said where PostgreSQL hears it, whatever stands between.

A direct connection is told once, when it is made, by startup options. A pooler such as PgBouncer lets one connection
serve many callers and cannot pass these on; it is told to ignore them. So each new connection is asked whether they
hold, and if they do not, every transaction begins by saying them, together with what it says first anyway: no round
trip more, and nothing that outlasts the transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Parameters of PostgreSQL for connections of one kind.

    Args:
        values: by name, written as PostgreSQL shows them.
    """

    values: Mapping[str, str]

    @property
    def options(self) -> str:
        """As startup options."""
        return " ".join(f"-c {name}={value}" for name, value in self.values.items())

    @property
    def question(self) -> str:
        """What asks a connection for them."""
        return "SELECT " + ", ".join(f"current_setting('{name}')" for name in self.values)

    @property
    def statements(self) -> str:
        """For the current transaction alone: statements, each with its semicolon."""
        return "".join(f"SET LOCAL {name} = '{value}';" for name, value in self.values.items())

    def hold(self, answer: Sequence[str]) -> bool:
        """Whether the answer to the question says that they do."""
        return list(answer) == list(self.values.values())
