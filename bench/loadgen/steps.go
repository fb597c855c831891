package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// step is one call of a chain, written as
//
//	/package.Service/Method[<N][?FIELD=VALUE][!]
//
// "<N": field 1 of the answer to step N is put in front of the request as its field 1 (a resource name, which the
// caller cannot know beforehand). "?FIELD=VALUE": the call is made again until that number field of the answer has
// that value. "!": if it is refused (FAILED_PRECONDITION) the next step is tried in its stead, otherwise that is left
// out and has the same answer.
type step struct {
	method      string
	nameOf      int
	untilField  protowire.Number
	untilValue  uint64
	hasFallback bool
}

func parseSteps(text string) ([]step, error) {
	var steps []step
	for index, part := range strings.Fields(text) {
		one := step{nameOf: -1}
		part, one.hasFallback = strings.CutSuffix(part, "!")
		part, condition, hasCondition := strings.Cut(part, "?")
		if hasCondition {
			field, value, _ := strings.Cut(condition, "=")
			number, err := strconv.ParseInt(field, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("step %d: %w", index, err)
			}
			if one.untilValue, err = strconv.ParseUint(value, 10, 64); err != nil {
				return nil, fmt.Errorf("step %d: %w", index, err)
			}
			one.untilField = protowire.Number(number)
		}
		method, from, hasFrom := strings.Cut(part, "<")
		if hasFrom {
			earlier, err := strconv.Atoi(from)
			if err != nil || earlier < 0 || earlier >= index {
				return nil, fmt.Errorf("step %d: it may name an earlier step only", index)
			}
			one.nameOf = earlier
		}
		one.method = method
		steps = append(steps, one)
	}
	if len(steps) == 0 || steps[len(steps)-1].hasFallback {
		return nil, fmt.Errorf("no steps, or no fallback after the last")
	}
	return steps, nil
}

// chain is what one caller does: a request for each step, sent with one token.
type chain struct {
	token    uint64
	requests [][]byte
}

// readChains reads chains from a file: for each, a varint that numbers its token, and a length-prefixed request for
// each step.
func readChains(path string, steps int) ([]chain, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var chains []chain
	for len(data) > 0 {
		one := chain{requests: make([][]byte, 0, steps)}
		token, size := binary.Uvarint(data)
		if size <= 0 {
			return nil, fmt.Errorf("%s: chain %d is cut off", path, len(chains))
		}
		one.token, data = token, data[size:]
		for range steps {
			length, size := binary.Uvarint(data)
			if size <= 0 || uint64(len(data)-size) < length {
				return nil, fmt.Errorf("%s: chain %d is cut off", path, len(chains))
			}
			end := uint64(size) + length
			one.requests = append(one.requests, data[size:end:end])
			data = data[end:]
		}
		chains = append(chains, one)
	}
	return chains, nil
}

// stringField returns a string field of an encoded message.
func stringField(message []byte, wanted protowire.Number) []byte {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil
		}
		message = message[size:]
		if number == wanted && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			return value
		}
		if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
			return nil
		}
		message = message[size:]
	}
	return nil
}

// numberField returns a number field of an encoded message; absent is zero.
func numberField(message []byte, wanted protowire.Number) uint64 {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return 0
		}
		message = message[size:]
		if number == wanted && kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(message)
			return value
		}
		if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
			return 0
		}
		message = message[size:]
	}
	return 0
}

// named puts a name in front of a request as its field 1.
func named(name, request []byte) []byte {
	message := make([]byte, 0, len(name)+len(request)+4)
	message = protowire.AppendTag(message, 1, protowire.BytesType)
	message = protowire.AppendBytes(message, name)
	return append(message, request...)
}
