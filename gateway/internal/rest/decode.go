package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Messages of the contract are nested a few levels deep; JSON that is nested deeper than this is no request of ours.
const deepest = 100

var readJSON = protojson.UnmarshalOptions{RecursionLimit: deepest}

// strictDecoder reads one message from JSON and nothing else: no unknown name, no name twice, nothing after the end.
// An empty body is an empty message.
func strictDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(into any) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return readStrictly(text, into)
	})
}

func readStrictly(text []byte, into any) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return io.EOF
	}
	if err := checkForm(text); err != nil {
		return err
	}
	message := messageOf(into)
	if message == nil {
		return publicJSON.Unmarshal(text, into)
	}
	if readJSON.Unmarshal(text, message) == nil {
		return nil
	}
	return locate(message.ProtoReflect().Descriptor(), text, "")
}

// checkForm refuses what is no JSON, before anything looks for fields in it.
func checkForm(text []byte) error {
	if !utf8.Valid(text) {
		return &fault{"", "the body is not UTF-8"}
	}
	depth, quoted := 0, false
	for index := 0; index < len(text); index++ {
		switch character := text[index]; {
		case quoted && character == '\\':
			index++
		case character == '"':
			quoted = !quoted
		case quoted:
		case character == '{' || character == '[':
			if depth++; depth > deepest {
				return &fault{"", fmt.Sprintf("the body is nested more than %d levels deep", deepest)}
			}
		case character == '}' || character == ']':
			depth--
		}
	}
	var wrong *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); errors.As(err, &wrong) {
		return &fault{"", fmt.Sprintf("the body is not JSON: see byte %d", wrong.Offset)}
	} else if err != nil {
		return &fault{"", "the body is not JSON"}
	}
	return nil
}

// messageOf is what a generated handler wants filled: a message, or a field of one that may be nil so far.
func messageOf(into any) proto.Message {
	if message, ok := into.(proto.Message); ok {
		return message
	}
	field := reflect.ValueOf(into)
	if field.Kind() != reflect.Pointer || field.Elem().Kind() != reflect.Pointer {
		return nil
	}
	if field = field.Elem(); field.IsNil() {
		field.Set(reflect.New(field.Type().Elem()))
	}
	message, _ := field.Interface().(proto.Message)
	return message
}
