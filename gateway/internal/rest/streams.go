package rest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Streams ends those that are open when the gateway stops: each says `reconnect`, as a server that stops has it say.
type Streams struct {
	stopping context.Context
	stop     context.CancelFunc
	spread   time.Duration
}

// NewStreams makes them; when they are to end they do so within `spread`, each at its own moment, so that those who
// watch do not come back all at once.
func NewStreams(spread time.Duration) *Streams {
	stopping, stop := context.WithCancel(context.Background())
	return &Streams{stopping, stop, spread}
}

// End has every stream end.
func (s *Streams) End() { s.stop() }

// watch opens a stream, and waits for its first message: what is refused is then refused with the right HTTP status.
func (s *Streams) watch(
	ctx context.Context, desc *grpc.StreamDesc, connection *grpc.ClientConn, method string, open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	facts := factsOf(ctx)
	facts.begin(method)
	facts.Streams = true
	facts.attempts++
	if facts.headOnly {
		return nil, Refusal(
			codes.Unimplemented, rowlock.ErrorReason_NOT_IMPLEMENTED, "a stream has no end that HEAD could wait for",
		).Err()
	}
	caller := ctx
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, limitsWanted, "1"))
	opened, err := open(ctx, desc, connection, method, options...)
	if err != nil {
		cancel()
		return nil, err
	}
	forget := context.AfterFunc(s.stopping, func() {
		time.AfterFunc(rand.N(s.spread+time.Millisecond), cancel)
	})
	return &watched{ClientStream: opened, all: s, caller: caller, method: method, end: func() { forget(); cancel() }}, nil
}

// watched is one stream.
type watched struct {
	grpc.ClientStream
	all      *Streams
	caller   context.Context
	method   string
	end      func()
	first    proto.Message
	revision int64
	over     bool
}

// Header waits for the first message, too.
func (w *watched) Header() (metadata.MD, error) {
	header, err := w.ClientStream.Header()
	if err != nil {
		return nil, err
	}
	message := answerOf(w.method)
	if message == nil {
		return header, nil
	}
	switch err := w.ClientStream.RecvMsg(message); {
	case errors.Is(err, io.EOF):
		w.over = true
	case err != nil:
		factsOf(w.ClientStream.Context()).limits = w.ClientStream.Trailer()
		w.end()
		if w.all.stopping.Err() != nil && w.caller.Err() == nil {
			said := "this gateway is stopping; try again, and another answers"
			return nil, Refusal(codes.Unavailable, rowlock.ErrorReason_DRAINING, said, soon).Err()
		}
		return nil, err
	default:
		w.first = message
	}
	return header, nil
}

// RecvMsg gives the next message; the last one of a stream that this gateway ends is of its own making.
func (w *watched) RecvMsg(into any) error {
	message := into.(proto.Message)
	switch {
	case w.first != nil:
		proto.Merge(message, w.first)
		w.first = nil
	case w.over:
		w.end()
		return io.EOF
	default:
		if err := w.ClientStream.RecvMsg(message); err != nil {
			w.end()
			if errors.Is(err, io.EOF) || w.all.stopping.Err() == nil || w.ClientStream.Context().Err() == nil {
				return err
			}
			w.over = true
			proto.Reset(message)
			w.farewell(message.ProtoReflect())
			return nil
		}
	}
	if field := message.ProtoReflect().Descriptor().Fields().ByName("revision"); field != nil {
		w.revision = message.ProtoReflect().Get(field).Int()
	}
	return nil
}

// farewell says that the stream ends, and from where to go on.
func (w *watched) farewell(message protoreflect.Message) {
	fields := message.Descriptor().Fields()
	if field := fields.ByName("revision"); field != nil {
		message.Set(field, protoreflect.ValueOfInt64(w.revision))
	}
	if field := fields.ByName("reconnect"); field != nil {
		again := &rowlock.Reconnect{Reason: rowlock.Reconnect_DRAIN}
		message.Set(field, protoreflect.ValueOfMessage(again.ProtoReflect()))
	}
}

func answerOf(method string) proto.Message {
	described := methodOf(method)
	if described == nil {
		return nil
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(described.Output().FullName())
	if err != nil {
		return nil
	}
	return kind.New().Interface()
}
