"""Worker processes that a test may have struck at a chosen line."""

from collections.abc import Iterator

import pytest

from server.config import Settings
from tests.struck_workers import Workers, Workshop


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    workshop = Workshop()
    yield workshop
    workshop.close()


@pytest.fixture
def workers(workshop: Workshop, settings: Settings) -> Workers:
    """Workers with the settings of the module, or of the test."""
    return Workers(workshop, settings)
