"""What Prometheus can ask about the work of one worker process. Its labels are words of ours: kinds, never names."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

RUNS: Final = Counter(
    "rowlock_work_runs", "Looks at the schedule, by kind of work and what came of it", ("work", "outcome")
)
RUN_SECONDS: Final = Histogram("rowlock_work_run_seconds", "How long those looks took", ("work",), buckets=_SECONDS)
LAST_RUN: Final = Gauge(
    "rowlock_work_last_success_timestamp_seconds", "When this process last looked without a failure", ("work",)
)
ROWS: Final = Counter("rowlock_work_rows", "Rows worked on, by kind and what came of it", ("kind", "outcome"))
ROWS_AT_WORK: Final = Gauge("rowlock_work_rows_at_work", "Rows in work at this moment", ("kind",))
PROVIDER_SECONDS: Final = Histogram(
    "rowlock_provider_call_seconds",
    "How long payment providers took to answer, by provider, question and answer",
    ("provider", "call", "answer"),
    buckets=_SECONDS,
)
MAILS: Final = Counter("rowlock_mails", "Mails handed to the mail server, by what came of it", ("outcome",))
ADMISSIONS: Final = Counter("rowlock_admissions", "Customers admitted from waiting rooms")
SCHEDULED: Final = Counter("rowlock_schedule_messages", "Messages to workers to look at the schedule")
SCHEDULE_FAILURES: Final = Counter("rowlock_schedule_failures", "Such messages that Redis did not take")
