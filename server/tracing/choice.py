"""Which traces are kept, and what they are called."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from server import call


class SameIds(RandomIdGenerator):
    """Gives a trace that begins with a call the id by which the log knows that call."""

    def generate_trace_id(self) -> int:
        """The call's id, or a new one."""
        known = call.trace_id.get()
        return int(known, 16) if known else super().generate_trace_id()


class Chosen(Sampler):
    """Keeps a share of the traces by their ids, so that every process keeps the same ones.

    What a caller says about keeping its trace decides only against it: strangers may not fill our storage. A span that
    is linked to others, as a batch is to its commands, is kept if one of those is.

    Args:
        ratio: the share, from 0 to 1.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        share = TraceIdRatioBased(ratio)
        self._share = ParentBased(root=share, remote_parent_sampled=share)

    def should_sample(  # noqa: PLR0917 - the SDK calls it like this
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide for one span."""
        if links:
            kept = any(link.context.trace_flags.sampled for link in links)
            return SamplingResult(Decision.RECORD_AND_SAMPLE if kept else Decision.DROP, attributes)
        return self._share.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """What the SDK calls it."""
        return f"Rowlock, {self._ratio:g} of all traces"
