"""What must never be wrong with the messages of payment providers. See ``server.audit``."""

from typing import Final

ALWAYS: Final = {
    "a provider's message that is no longer due says what came of it": """
        SELECT id FROM provider_webhooks WHERE state <> 1 AND outcome IS NULL""",
    "a provider's message is kept once": """
        SELECT provider, event_id FROM provider_webhooks GROUP BY provider, event_id HAVING count(*) > 1""",
}

QUIET: Final = {
    "every provider's message was acted on, or waits for staff": """
        SELECT id FROM provider_webhooks WHERE state = 1""",
}
