package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// raw passes messages through as bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	bytes, ok := message.([]byte)
	if !ok {
		return nil, errors.New("only bytes are sent")
	}
	return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	answer, ok := message.(*[]byte)
	if !ok {
		return errors.New("only bytes are received")
	}
	*answer = data.Materialize()
	return nil
}

// connect opens so many connections to one server; calls are spread over them in turn.
func connect(target string, count int) ([]*grpc.ClientConn, error) {
	connections := make([]*grpc.ClientConn, count)
	for index := range connections {
		connection, err := grpc.NewClient(
			"passthrough:///"+target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})),
			grpc.WithUserAgent("rowlock-loadgen"),
			// A watcher costs the machine as little memory as it can.
			grpc.WithReadBufferSize(8<<10),
			grpc.WithWriteBufferSize(8<<10),
			grpc.WithSharedWriteBuffer(true),
			grpc.WithDisableServiceConfig(),
		)
		if err != nil {
			return nil, err
		}
		connections[index] = connection
	}
	return connections, nil
}

// waitUntilReady has every connection made, so that no call waits for its own.
func waitUntilReady(connections []*grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, connection := range connections {
		connection.Connect()
	}
	for _, connection := range connections {
		for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
			if !connection.WaitForStateChange(ctx, state) {
				return fmt.Errorf("%s cannot be connected to", connection.Target())
			}
		}
	}
	return nil
}

// readTokens reads access tokens, one a line; no file: no tokens.
func readTokens(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}
