"""Traces by OpenTelemetry: off unless asked for, and then absent from the code that runs.

Where nobody asked, no span is made, no module of this package but this one is imported, and the classes that make
spans are not in use: ``server.parts`` builds the plain ones. Where somebody did (``ROWLOCK_TRACING_ENDPOINT``), there
are spans of RPCs (``rpc``), of transactions and statements (``database``), of the ledger's commands and batches
(``ledger``), of publication (``feed``), and by ``span`` of what workers do.

A caller's W3C ``traceparent`` is taken up: the id of the trace is the ``trace_id`` of the log. A trace that begins
here has the id that the log says, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from server.config import Settings, StartError, variable_name

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import SpanContext, Tracer

Kind = Literal["internal", "client", "server"]
Origin: TypeAlias = "SpanContext"
"""Which span something was asked for in."""

_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_TRACES_PATH: Final = "/v1/traces"

_tracer: Tracer | None = None


def is_on() -> bool:
    """Whether spans are made in this process. Parts are built before the first call, so ask when building."""
    return _tracer is not None


def tracer() -> Tracer:
    """What makes spans; only where ``is_on``."""
    assert _tracer is not None, "asked for where nobody wants traces"  # noqa: S101
    return _tracer


def origin() -> Origin:
    """The span that surrounds the caller; only where ``is_on``."""
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - an optional package

    return get_current_span().get_span_context()


def span(
    name: str,
    attributes: Mapping[str, str | int] | None = None,
    *,
    kind: Kind = "internal",
    root: bool = False,
    links: Sequence[Origin] = (),
) -> AbstractContextManager[object]:
    """A span around a block, for code that is not hot; nothing at all where traces are off.

    Args:
        name: few different ones: no ids.
        attributes: what to know of this one; no names, addresses or codes of people.
        kind: whether it asks somebody else.
        root: begin a trace of its own, whatever surrounds it.
        links: the spans for which it is done, where those are several.
    """
    if _tracer is None:
        return _NOTHING
    from opentelemetry.context import Context  # noqa: PLC0415 - an optional package
    from opentelemetry.trace import Link, SpanKind  # noqa: PLC0415

    return _tracer.start_as_current_span(
        name,
        context=Context() if root else None,
        kind=SpanKind[kind.upper()],
        attributes=attributes,
        links=[Link(one) for one in links],
    )


def start_tracing(settings: Settings, service: str) -> Callable[[], None]:
    """Make spans from now on, if the settings name a collector; call it before anything is built.

    Args:
        settings: of this process.
        service: what the process is, such as ``rowlock-server``.

    Returns:
        What ends it, after sending what was not sent yet.

    Raises:
        StartError: the packages are not installed.
    """
    if not settings.tracing_endpoint:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise StartError(
            f"{variable_name('tracing_endpoint')} is set, and OpenTelemetry is not installed. "
            "Install it: pip install 'rowlock[tracing]'; or unset the variable."
        ) from None
    exporter = OTLPSpanExporter(endpoint=settings.tracing_endpoint + _TRACES_PATH)
    return begin(BatchSpanProcessor(exporter), service, settings.tracing_ratio, instance=str(settings.process_index))


def begin(processor: SpanProcessor, service: str, ratio: float = 1.0, *, instance: str = "0") -> Callable[[], None]:
    """Make spans from now on and give them to ``processor``; returns what ends it.

    Args:
        processor: gets every span that ends.
        service: what the process is.
        ratio: share of traces that are kept, decided by their id.
        instance: which of several alike.
    """
    global _tracer  # noqa: PLW0603 - like the registry of metrics, it is the process's
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    from server.tracing.choice import Chosen, SameIds  # noqa: PLC0415

    provider = TracerProvider(
        sampler=Chosen(ratio),
        id_generator=SameIds(),
        resource=Resource.create({"service.name": service, "service.instance.id": instance}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("rowlock")

    def end() -> None:
        global _tracer  # noqa: PLW0603
        _tracer = None
        provider.shutdown()

    return end
