package rest

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// How often a call is made at most, and the longest wait between two tries; whoever is to wait longer is told so.
const (
	attempts    = 3
	longestWait = time.Second
)

var soon = &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}

// inTime gives every call that is no stream an end.
func inTime(limit time.Duration) grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
		options ...grpc.CallOption,
	) error {
		factsOf(ctx).begin(method)
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return invoke(ctx, method, request, reply, connection, options...)
	}
}

// askForLimits has the server say how near the caller is to its limits, and keeps the answer.
func askForLimits(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	var trailer metadata.MD
	ctx = metadata.AppendToOutgoingContext(ctx, limitsWanted, "1")
	err := invoke(ctx, method, request, reply, connection, append(options, grpc.Trailer(&trailer))...)
	facts := factsOf(ctx)
	facts.limits = trailer
	facts.attempts++
	return err
}

// asMeant puts into the message what HTTP says elsewhere: the Idempotency-Key, and what a PATCH leaves out.
func asMeant(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	facts, message := factsOf(ctx), request.(proto.Message).ProtoReflect()
	if err := allInBody(method, facts.query); err != nil {
		return err
	}
	if err := putRequestID(message, facts.idempotencyKey); err != nil {
		return err
	}
	if !facts.maskGiven {
		keepChangeable(message)
	}
	return invoke(ctx, method, request, reply, connection, options...)
}

// allInBody refuses a query where all of a request is told in its body, since nobody would look at it.
func allInBody(method string, query []string) error {
	described := methodOf(method)
	if described == nil || len(query) == 0 {
		return nil
	}
	rule, _ := proto.GetExtension(described.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule.GetBody() != "*" {
		return nil
	}
	field, path := fieldAt(described.Input(), query[0])
	if field == nil {
		return &fault{join("", query[0]), "there is no such field"}
	}
	return &fault{path, "must be told in the body"}
}

// putRequestID writes a key into the field that repeated requests are known by. Calls that change nothing have no such
// field, and then the key is without meaning. One that is no valid request_id is refused by the server.
func putRequestID(message protoreflect.Message, key string) error {
	field := message.Descriptor().Fields().ByName("request_id")
	if key == "" || field == nil {
		return nil
	}
	given := message.Get(field).String()
	if !utf8.ValidString(key) || (given != "" && given != key) {
		said := "Idempotency-Key and requestId differ: send one of them"
		if given == "" || given == key {
			said = "Idempotency-Key is not UTF-8"
		}
		wrong := &errdetails.BadRequest_FieldViolation{Field: "request_id", Description: said}
		return Refusal(
			codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, said,
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{wrong}},
		).Err()
	}
	message.Set(field, protoreflect.ValueOfString(key))
	return nil
}

// keepChangeable narrows the update_mask that the names in the body of a PATCH make: to whole fields, as a body has
// them, and to what can be changed at all. So what a GET gave can be sent back with one value changed.
func keepChangeable(message protoreflect.Message) {
	masked, isUpdate := message.Interface().(interface{ GetUpdateMask() *fieldmaskpb.FieldMask })
	if !isUpdate || len(masked.GetUpdateMask().GetPaths()) == 0 {
		return
	}
	kind := resourceOf(message.Descriptor())
	if kind == nil {
		return
	}
	mask := masked.GetUpdateMask()
	var kept []string
	seen := make(map[string]bool)
	for _, path := range mask.GetPaths() {
		name, _, _ := strings.Cut(path, ".")
		field := kind.Fields().ByTextName(name)
		if name == "" || seen[name] || (field != nil && !changeable(field)) {
			continue
		}
		seen[name] = true
		kept = append(kept, name)
	}
	mask.Paths = kept
}

// resourceOf is the one message of the contract that an update has.
func resourceOf(request protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	for index := range request.Fields().Len() {
		part := request.Fields().Get(index).Message()
		if part != nil && part.ParentFile().Package() == request.ParentFile().Package() {
			return part
		}
	}
	return nil
}

func changeable(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	for _, behavior := range behaviors {
		switch behavior {
		case annotations.FieldBehavior_OUTPUT_ONLY, annotations.FieldBehavior_IDENTIFIER,
			annotations.FieldBehavior_IMMUTABLE:
			return false
		}
	}
	return field.Name() != "name" && field.Name() != "etag"
}

// again makes a call that found no server, or one that stops, once more at another, if that can do no harm: because
// it changes nothing, or because its request_id makes it the same call.
func again(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	for attempt := 1; ; attempt++ {
		err := invoke(ctx, method, request, reply, connection, options...)
		if attempt == attempts || !elsewhere(err) || !harmless(method, request.(proto.Message)) {
			return err
		}
		wait := 25 * time.Millisecond << attempt
		for _, detail := range status.Convert(err).Details() {
			if asked, ok := detail.(*errdetails.RetryInfo); ok {
				wait = max(wait, asked.GetRetryDelay().AsDuration())
			}
		}
		if wait > longestWait {
			return err
		}
		select {
		case <-time.After(wait + rand.N(wait)):
		case <-ctx.Done():
			return err
		}
	}
}

// elsewhere says whether another server may well answer: this one was not reached, or said that it stops.
func elsewhere(err error) bool {
	said := status.Convert(err)
	if said.Code() != codes.Unavailable {
		return false
	}
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason() == rowlock.ErrorReason_DRAINING.String()
		}
	}
	return true
}

func harmless(method string, request proto.Message) bool {
	if identified, ok := request.(interface{ GetRequestId() string }); ok {
		return identified.GetRequestId() != ""
	}
	return verbOf(method) == http.MethodGet
}

func verbOf(rpc string) string {
	method := methodOf(rpc)
	if method == nil {
		return ""
	}
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule.GetGet() != "" {
		return http.MethodGet
	}
	return http.MethodPost
}
