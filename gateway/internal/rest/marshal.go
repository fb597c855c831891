package rest

import (
	"io"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What answers can look like. A client asks by Accept; without, it gets JSON, and of streams one object a line.
const (
	JSON        = "application/json"
	JSONLines   = "application/x-ndjson"
	EventStream = "text/event-stream"
)

// The public JSON: lowerCamelCase names, 64-bit numbers as strings, zeros shown, and no field that we do not know.
var publicJSON = runtime.JSONPb{
	MarshalOptions:   protojson.MarshalOptions{EmitDefaultValues: true},
	UnmarshalOptions: readJSON,
}

// jsonMarshaler gives one JSON object, or google.api.HttpBody as what it is (a PDF, a CSV).
func jsonMarshaler() runtime.Marshaler {
	return &lines{HTTPBodyMarshaler: runtime.HTTPBodyMarshaler{Marshaler: &publicJSON}}
}

// eventMarshaler gives the same, but a stream as Server-Sent Events.
func eventMarshaler() runtime.Marshaler {
	answers := &events{JSONPb: publicJSON}
	return &eventBodies{events: answers, HTTPBodyMarshaler: runtime.HTTPBodyMarshaler{Marshaler: answers}}
}

// lines gives a stream as newline-delimited JSON.
type lines struct{ runtime.HTTPBodyMarshaler }

func (*lines) StreamContentType(any) string { return JSONLines }

func (*lines) NewDecoder(r io.Reader) runtime.Decoder { return strictDecoder(r) }

func (*lines) Delimiter() []byte { return []byte("\n") }

// eventBodies is events that also knows google.api.HttpBody.
type eventBodies struct {
	*events
	runtime.HTTPBodyMarshaler
}

func (e *eventBodies) Marshal(value any) ([]byte, error) { return e.HTTPBodyMarshaler.Marshal(value) }

func (e *eventBodies) Unmarshal(data []byte, value any) error { return e.events.Unmarshal(data, value) }

func (e *eventBodies) NewDecoder(r io.Reader) runtime.Decoder { return strictDecoder(r) }

func (e *eventBodies) NewEncoder(w io.Writer) runtime.Encoder { return e.events.NewEncoder(w) }

func (e *eventBodies) ContentType(value any) string { return e.HTTPBodyMarshaler.ContentType(value) }

func (e *eventBodies) Delimiter() []byte { return e.events.Delimiter() }

// events gives a stream as Server-Sent Events: {"result": …} becomes an event `message` and {"error": …} one called
// `error`. An event whose message has a revision carries it as its id, so that a browser which reconnects by itself
// sends it back as Last-Event-ID.
type events struct{ runtime.JSONPb }

// ContentType is asked for what is no stream: an error before the first event of one, too.
func (*events) ContentType(any) string { return JSON }

func (*events) StreamContentType(any) string { return EventStream }

func (*events) Delimiter() []byte { return []byte("\n\n") }

func (e *events) Marshal(value any) ([]byte, error) {
	switch chunk := value.(type) {
	case map[string]proto.Message:
		return e.event("error", "", chunk["error"])
	case map[string]any:
		message, _ := chunk["result"].(proto.Message)
		return e.event("message", eventID(message), message)
	default:
		return e.JSONPb.Marshal(value)
	}
}

func (e *events) event(kind, id string, message proto.Message) ([]byte, error) {
	data, err := publicJSON.MarshalOptions.Marshal(message)
	if err != nil {
		return nil, err
	}
	text := make([]byte, 0, len(data)+64)
	if kind != "message" {
		text = append(text, "event: "+kind+"\n"...)
	}
	if id != "" {
		text = append(text, "id: "+id+"\n"...)
	}
	return append(append(text, "data: "...), data...), nil
}

func (e *events) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(value any) error {
		data, err := e.Marshal(value)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// eventID is the revision of a message that has one, such as a change of seats.
func eventID(message proto.Message) string {
	if message == nil {
		return ""
	}
	reflected := message.ProtoReflect()
	field := reflected.Descriptor().Fields().ByName("revision")
	if field == nil || field.Kind() != protoreflect.Int64Kind {
		return ""
	}
	return strconv.FormatInt(reflected.Get(field).Int(), 10)
}
