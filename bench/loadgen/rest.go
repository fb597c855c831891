package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
)

// runRest makes the same GET over and over, by many callers, each with a connection of its own. It reports as `calls`
// does: a chain is one request here, and counts if it was answered 200.
func runRest(arguments []string) error {
	flags := flag.NewFlagSet("rest", flag.ExitOnError)
	url := flags.String("url", "", "what is asked for")
	tokens := flags.String("tokens", "", "file of access tokens, one a line; empty: none are sent")
	callers := flags.Int("callers", 128, "requests under way at once")
	length := flags.Duration("for", 5*time.Second, "how long")
	_ = flags.Parse(arguments)
	known, err := readTokens(*tokens)
	if err != nil {
		return err
	}
	client := restClient(*callers)
	seen := make([]*caller, *callers)
	var group sync.WaitGroup
	var next atomic.Int64
	begin := time.Now()
	for index := range seen {
		one := &caller{answers: map[codes.Code]int{}, steps: make([][]time.Duration, 1)}
		seen[index] = one
		group.Go(func() {
			for time.Since(begin) < *length {
				asked := time.Now()
				size, err := get(client, *url, tokenOf(known, int(next.Add(1))))
				took := time.Since(asked)
				one.calls = append(one.calls, took)
				if err != nil {
					one.answers[codes.Unknown]++
					continue
				}
				one.answers[codes.OK]++
				one.received += size
				one.chain = append(one.chain, took)
				one.steps[0] = append(one.steps[0], took)
				one.done++
			}
		})
	}
	group.Wait()
	run := &callRun{steps: make([]step, 1)}
	return say(run.report(seen, time.Since(begin)))
}

// restClient keeps as many connections as there are callers, with small buffers.
func restClient(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost: connections,
		DisableCompression:  true,
		ReadBufferSize:      8 << 10,
		WriteBufferSize:     4 << 10,
	}}
}

func tokenOf(tokens []string, number int) string {
	if len(tokens) == 0 {
		return ""
	}
	return tokens[number%len(tokens)]
}

func ask(ctx context.Context, client *http.Client, url, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return nil, fmt.Errorf("%s: %s", answer.Status, said)
	}
	return answer, nil
}

func get(client *http.Client, url, token string) (int, error) {
	answer, err := ask(context.Background(), client, url, token)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	size, err := io.Copy(io.Discard, answer.Body)
	return int(size), err
}

// watchRest follows one stream of newline-delimited JSON, as `watch` does one of gRPC.
func (run *watchRun) watchRest(index int, ready func()) error {
	run.open.Add(1)
	begin := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	answer, err := ask(ctx, run.client, run.flags.url, tokenOf(run.tokens, index))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewReaderSize(answer.Body, 8<<10)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	record := run.begun(time.Since(begin), len(line))
	ready()
	for {
		if line, err = lines.ReadBytes('\n'); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		run.heard(record, revisionIn(line), len(line))
	}
}

// revisionIn reads {"result":{"revision":"42", …}}; a space may stand after a colon.
func revisionIn(line []byte) uint64 {
	_, after, _ := bytes.Cut(line, []byte(`"revision":`))
	after = bytes.TrimLeft(after, ` "`)
	end := bytes.IndexByte(after, '"')
	if end < 0 {
		return 0
	}
	number, _ := strconv.ParseUint(string(after[:end]), 10, 64)
	return number
}
