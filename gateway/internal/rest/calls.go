package rest

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// requestID puts the Idempotency-Key of a call into the field that repeated requests are known by. Calls that change
// nothing have no such field, and then the key is without meaning.
//
// A key that is no valid request_id is refused by the server, by the rules of the field.
func requestID(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	sent, _ := metadata.FromOutgoingContext(ctx)
	keys := sent.Get(idempotencyKey)
	if len(keys) == 0 {
		return invoke(ctx, method, request, reply, connection, options...)
	}
	sent = sent.Copy()
	sent.Delete(idempotencyKey)
	ctx = metadata.NewOutgoingContext(ctx, sent)
	message := request.(proto.Message).ProtoReflect()
	field := message.Descriptor().Fields().ByName("request_id")
	if field != nil {
		given := message.Get(field).String()
		if given != "" && given != keys[0] {
			return status.Error(codes.InvalidArgument, "Idempotency-Key and requestId differ: send one of them")
		}
		message.Set(field, protoreflect.ValueOfString(keys[0]))
	}
	return invoke(ctx, method, request, reply, connection, options...)
}

// inTime gives every call that is no stream an end.
func inTime(limit time.Duration) grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
		options ...grpc.CallOption,
	) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return invoke(ctx, method, request, reply, connection, options...)
	}
}
