package rest

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// Facts is what is learned of a request while it is served. Whoever serves it reads them when that is over.
type Facts struct {
	// RPC is package.Service/Method; empty if the request led to none.
	RPC string
	// Code and Reason are how it was refused; OK and empty if it was not.
	Code   codes.Code
	Reason string
	// TraceID is that of the caller's trace, or of one that begins here.
	TraceID string
	// Streams says that the answer is a stream.
	Streams bool

	idempotencyKey string
	headOnly       bool
	maskGiven      bool
	query          []string
	called         bool
	attempts       int
	limits         metadata.MD
	span           trace.Span
}

type factsKey struct{}

// WithFacts gives a request its facts.
func WithFacts(ctx context.Context) (context.Context, *Facts) {
	facts := &Facts{}
	return context.WithValue(ctx, factsKey{}, facts), facts
}

// factsOf finds them; a call that no request asked for, such as one for health, has its own.
func factsOf(ctx context.Context) *Facts {
	if facts, ok := ctx.Value(factsKey{}).(*Facts); ok {
		return facts
	}
	return &Facts{}
}

// begin notes that the server is asked now: what goes wrong from here on may be of its making.
func (f *Facts) begin(method string) {
	f.RPC = method[1:]
	f.called = true
}
