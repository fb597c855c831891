package web

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

const (
	tracesPath = "/v1/traces"
	lastSpans  = 2 * time.Second // for what was not sent yet at the end
)

// startTracing makes what makes spans, if the settings name a collector, and what ends it; without, both do nothing.
//
// The same traces are kept as by Rowlock's other programs, by their ids. What a caller says of keeping its trace decides
// only against it: strangers may not fill our storage.
func startTracing(s *Settings) (api.Tracer, func(), error) {
	if s.TracingEndpoint == "" {
		return nil, func() {}, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		slog.Warn("spans were not sent", "error", err.Error())
	}))
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(s.TracingEndpoint+tracesPath))
	if err != nil {
		return nil, nil, fmt.Errorf("-tracing-endpoint: %w", err)
	}
	ours := resource.NewSchemaless(attribute.String("service.name", "rowlock-gateway"))
	about, err := resource.Merge(resource.Default(), ours)
	if err != nil {
		about = ours
	}
	share := trace.TraceIDRatioBased(s.TracingRatio)
	provider := trace.NewTracerProvider(
		trace.WithBatcher(exporter),
		trace.WithResource(about),
		trace.WithSampler(trace.ParentBased(share, trace.WithRemoteParentSampled(share))),
	)
	end := func() {
		limit, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		_ = provider.Shutdown(limit)
	}
	return provider.Tracer("rowlock"), end, nil
}
