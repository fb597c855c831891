package rest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// strictQuery reads fields from the query, and refuses names that no field has: a misspelt condition would otherwise
// let everything through.
type strictQuery struct{ runtime.DefaultQueryParser }

func (q *strictQuery) Parse(message proto.Message, values url.Values, elsewhere *utilities.DoubleArray) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field, path := fieldAt(message.ProtoReflect().Descriptor(), key)
		if field == nil {
			return &fault{join("", key), "there is no such field"}
		}
		if elsewhere.HasCommonPrefix(strings.Split(path, ".")) {
			return &fault{path, "is told by the path or the body already"}
		}
		if err := q.DefaultQueryParser.Parse(message, url.Values{key: values[key]}, elsewhere); err != nil {
			return &fault{path, queryWords(field, values[key])}
		}
	}
	if masked, ok := message.(interface{ GetUpdateMask() *fieldmaskpb.FieldMask }); ok {
		for index, name := range masked.GetUpdateMask().GetPaths() {
			masked.GetUpdateMask().Paths[index] = inSnakeCase(name)
		}
	}
	return nil
}

// inSnakeCase is a field's name in the contract, whose JSON name may have been given: displayName is display_name.
func inSnakeCase(name string) string {
	var text strings.Builder
	for _, letter := range name {
		if 'A' <= letter && letter <= 'Z' {
			text.WriteByte('_')
			letter += 'a' - 'A'
		}
		text.WriteRune(letter)
	}
	return text.String()
}

// fieldAt finds the field that a name in a query means, such as filter.startTime; nil if there is none.
func fieldAt(kind protoreflect.MessageDescriptor, key string) (protoreflect.FieldDescriptor, string) {
	var field protoreflect.FieldDescriptor
	var path string
	for _, name := range strings.Split(key, ".") {
		if field != nil {
			if field.IsList() || field.IsMap() || field.Message() == nil {
				return nil, ""
			}
			kind = field.Message()
		}
		bare, _, _ := strings.Cut(name, "[") // an entry of a map: labels[colour]
		if field = fieldNamed(kind, bare); field == nil {
			return nil, ""
		}
		path = join(path, string(field.Name()))
	}
	return field, path
}

func queryWords(field protoreflect.FieldDescriptor, given []string) string {
	if len(given) > 1 && !field.IsList() && !field.IsMap() {
		return fmt.Sprintf("is given %d times", len(given))
	}
	return must(field)
}
