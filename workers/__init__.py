"""What happens beside the calls: holds that run out, payments, refunds, tidying.

PostgreSQL holds the schedule, in columns that say when something is due; messages in Redis only say "look now". So a
message lost, doubled, reordered or late costs nothing but a moment, and neither does a worker that is killed at any
line: what it had begun is found in the database and done again.
"""
