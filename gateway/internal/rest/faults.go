package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// fault is what is wrong with one field of a request, in the contract's own names, as the server says it.
//
// Generated handlers turn errors into texts, so its text is made to be recognised: see faultIn.
type fault struct{ field, description string }

const mark = "\x00"

func (f *fault) Error() string { return mark + f.field + mark + f.description }

// faultIn reads a fault out of the text that a handler made of it.
func faultIn(text string) *fault {
	parts := strings.Split(text, mark)
	if len(parts) != 3 || parts[0] != "" {
		return nil
	}
	return &fault{parts[1], parts[2]}
}

// locate finds what is wrong with JSON that could not be read as a message: it tries each field alone.
func locate(kind protoreflect.MessageDescriptor, text []byte, path string) error {
	pairs, err := pairsOf(text)
	if err != nil {
		return &fault{path, "must be an object"}
	}
	seen := make(map[protoreflect.Name]bool)
	for _, pair := range pairs {
		field := fieldNamed(kind, pair.name)
		if field == nil {
			return &fault{join(path, pair.name), "there is no such field"}
		}
		if seen[field.Name()] {
			return &fault{join(path, string(field.Name())), "is given twice"}
		}
		seen[field.Name()] = true
		if readable(kind, pair.name, pair.value) {
			continue
		}
		return locateIn(kind, field, pair, join(path, string(field.Name())))
	}
	return &fault{path, "fields that exclude each other are given together"}
}

// locateIn finds what is wrong with the value of one field.
func locateIn(kind protoreflect.MessageDescriptor, field protoreflect.FieldDescriptor, given pair, path string) error {
	isPart := field.Message() != nil && !field.IsMap() && field.Message().ParentFile().Package() != "google.protobuf"
	if !field.IsList() {
		if isPart {
			return locate(field.Message(), given.value, path)
		}
		return &fault{path, must(field)}
	}
	var entries []json.RawMessage
	if json.Unmarshal(given.value, &entries) != nil || entries == nil {
		return &fault{path, "must be a list"}
	}
	for index, entry := range entries {
		if readable(kind, given.name, append(append([]byte("["), entry...), ']')) {
			continue
		}
		here := fmt.Sprintf("%s[%d]", path, index)
		if isPart {
			return locate(field.Message(), entry, here)
		}
		return &fault{here, must(field)}
	}
	return &fault{path, must(field)}
}

// readable says whether a message with this field only could be read.
func readable(kind protoreflect.MessageDescriptor, name string, value []byte) bool {
	known, err := protoregistry.GlobalTypes.FindMessageByName(kind.FullName())
	if err != nil {
		return false
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return false
	}
	text := bytes.Join([][]byte{[]byte("{"), quoted, []byte(":"), value, []byte("}")}, nil)
	var alone proto.Message = known.New().Interface()
	return readJSON.Unmarshal(text, alone) == nil
}

type pair struct {
	name  string
	value json.RawMessage
}

// pairsOf reads an object with all its names, also those that it has twice.
func pairsOf(text []byte) ([]pair, error) {
	reader := json.NewDecoder(bytes.NewReader(text))
	if opening, err := reader.Token(); err != nil || opening != json.Delim('{') {
		return nil, fmt.Errorf("no object")
	}
	var pairs []pair
	for reader.More() {
		name, err := reader.Token()
		if err != nil {
			return nil, err
		}
		one := pair{name: name.(string)}
		if err := reader.Decode(&one.value); err != nil {
			return nil, err
		}
		pairs = append(pairs, one)
	}
	return pairs, nil
}

func fieldNamed(kind protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := kind.Fields().ByJSONName(name); field != nil {
		return field
	}
	return kind.Fields().ByTextName(name)
}

func join(path, name string) string {
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	name = strings.ToValidUTF8(strings.ReplaceAll(name, mark, "␀"), "�")
	if path == "" {
		return name
	}
	return path + "." + name
}

// must says what a value has to be.
func must(field protoreflect.FieldDescriptor) string {
	if field.IsMap() {
		return "must be an object whose values are texts"
	}
	if field.Message() != nil {
		words, known := map[protoreflect.FullName]string{
			"google.protobuf.Timestamp": "must be a time such as 2030-01-31T19:30:00Z, from the year 1 to 9999",
			"google.protobuf.Duration":  "must be a length of time in seconds such as 900s",
			"google.protobuf.FieldMask": "must be names of fields, by commas",
		}[field.Message().FullName()]
		if known {
			return words
		}
		return "must be an object"
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return "must be text"
	case protoreflect.BytesKind:
		return "must be bytes in base64"
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.EnumKind:
		return "must be one of " + names(field.Enum())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "must be a number"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "must be a whole number of 64 bits"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "must be a whole number that is not negative"
	default:
		return "must be a whole number of 32 bits"
	}
}

func names(enum protoreflect.EnumDescriptor) string {
	var all []string
	for index := range enum.Values().Len() {
		if value := enum.Values().Get(index); value.Number() != 0 {
			all = append(all, string(value.Name()))
		}
	}
	return strings.Join(all, ", ")
}
