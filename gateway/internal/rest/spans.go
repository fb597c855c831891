package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var w3c propagation.TraceContext

// beginSpan begins the span of a request, in the trace that its headers name if one was given, and has the server's be
// within it.
func beginSpan(tracer trace.Tracer, r *http.Request, facts *Facts, given bool) {
	ctx := context.Background()
	if given {
		ctx = w3c.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	ctx, facts.span = tracer.Start(
		ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method)),
	)
	facts.TraceID = facts.span.SpanContext().TraceID().String()
	r.Header.Del("Tracestate")
	w3c.Inject(ctx, propagation.HeaderCarrier(r.Header))
}

// EndSpan ends the span of a request, if it has one, with what has become of it: the call, and how it was answered.
// Names, addresses and texts of requests are people's and stay out of it.
func (f *Facts) EndSpan(httpCode int) {
	if f.span == nil {
		return
	}
	f.span.SetAttributes(attribute.Int("http.response.status_code", httpCode))
	if service, method, found := strings.Cut(f.RPC, "/"); found {
		f.span.SetName(fmt.Sprintf("gateway %s", f.RPC))
		f.span.SetAttributes(
			attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", service),
			attribute.String("rpc.method", method), attribute.Int("rowlock.attempts", f.attempts),
		)
	}
	if f.Reason != "" {
		f.span.SetAttributes(attribute.String("rowlock.reason", f.Reason))
	}
	if httpCode >= http.StatusInternalServerError && httpCode != http.StatusNotImplemented {
		f.span.SetStatus(codes.Error, f.Reason)
	}
	f.span.End()
}
