package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/rowlock/rowlock/gateway/internal/rest"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/grpc/codes"
)

const bodyTime = 10 * time.Second

// bounded reads each body before anything else is done with it: none is longer than allowed, and none takes for ever.
func bounded(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength > limit {
			// Who waits for our word before sending it (Expect: 100-continue) keeps it; of others nothing is read.
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close")
			}
			refuseTooLong(w, r, limit)
			return
		}
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(bodyTime))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		var tooLong *http.MaxBytesError
		switch {
		case errors.As(err, &tooLong):
			refuseTooLong(w, r, limit)
			return
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			rest.Refuse(w, r, http.StatusBadRequest, rest.Refusal(
				codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, "the body broke off",
			))
			return
		case err != nil:
			rest.Refuse(w, r, http.StatusRequestTimeout, rest.Refusal(
				codes.DeadlineExceeded, rowlock.ErrorReason_DEADLINE, "the body did not arrive in time",
			))
			return
		}
		// A stream may last for as long as it likes.
		_ = connection.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		next.ServeHTTP(w, r)
	})
}

func refuseTooLong(w http.ResponseWriter, r *http.Request, limit int64) {
	rest.Refuse(w, r, http.StatusRequestEntityTooLarge, rest.Refusal(
		codes.ResourceExhausted, rowlock.ErrorReason_REQUEST_TOO_LARGE,
		fmt.Sprintf("the body is longer than %d bytes", limit),
	))
}

// forwardedBy believes X-Forwarded-For only of hops that are trusted: from anybody else it is dropped, so that nobody
// can choose the address that limits are counted by.
func forwardedBy(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOf(trusted, r.RemoteAddr) {
			r.Header.Del("X-Forwarded-For")
		}
		r.Header.Del("X-Forwarded-Host")
		next.ServeHTTP(w, r)
	})
}

func isOf(networks []netip.Prefix, remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, network := range networks {
		if network.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}

// patient cuts off readers that take nothing: every write has a time within which it must be done.
func patient(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timed := &timedWriter{ResponseWriter: w, controller: http.NewResponseController(w), limit: limit}
		timed.rest()
		next.ServeHTTP(timed, r)
		timed.hurry() // what is still in a buffer is written after us
	})
}

type timedWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
	limit      time.Duration
	begun      bool
}

func (t *timedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *timedWriter) hurry() { _ = t.controller.SetWriteDeadline(time.Now().Add(t.limit)) }

// rest takes the limit back between two writes: HTTP/2 ends a stream when it is over, whether or not anything is written.
func (t *timedWriter) rest() { _ = t.controller.SetWriteDeadline(time.Time{}) }

func (t *timedWriter) WriteHeader(code int) {
	t.begun = true
	t.ResponseWriter.WriteHeader(code)
}

func (t *timedWriter) Write(data []byte) (int, error) {
	t.begun = true
	t.hurry()
	defer t.rest()
	return t.ResponseWriter.Write(data)
}

func (t *timedWriter) Flush() { _ = t.FlushError() }

func (t *timedWriter) FlushError() error {
	t.hurry()
	defer t.rest()
	return t.controller.Flush()
}
