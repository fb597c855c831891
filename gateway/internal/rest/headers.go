package rest

import (
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
)

// Headers that reach the server, and what they are called there. Everything else stays here: a header that the server
// would believe (`Grpc-Metadata-…`, an identity of somebody's own making) cannot be sent in from outside.
// `Authorization` is forwarded by grpc-gateway itself.
var forwarded = map[string]string{
	"Traceparent": "traceparent",
	"Tracestate":  "tracestate",
}

func incoming(header string) (string, bool) {
	name, ok := forwarded[header]
	return name, ok
}

// outgoing lets none of the server's metadata become headers, but for what says how a caller is limited.
func outgoing(name string) (string, bool) {
	return name, strings.HasPrefix(name, "ratelimit")
}

func noTrailer(string) (string, bool) { return "", false }

const idempotencyKey = "rowlock-idempotency-key"

// annotate carries Idempotency-Key to where the request message is known; see requestID.
func annotate(r *http.Request) metadata.MD {
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		return metadata.Pairs(idempotencyKey, key)
	}
	return nil
}

// answerAs reads Accept, which may be a list with weights, into the one form that the mux looks up by equality.
func answerAs(accept string) string {
	for _, wanted := range []string{EventStream, JSONLines} {
		if strings.Contains(accept, wanted) {
			return wanted
		}
	}
	return JSON
}

// normalize prepares a request for the mux: one Accept, no way to say another method than the request line has, and
// the place where a stream broke off, as browsers say it, put where the RPC looks for it.
func normalize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept", answerAs(r.Header.Get("Accept")))
		r.Header.Del("X-HTTP-Method-Override")
		r.Header.Del("Grpc-Timeout")
		if last := r.Header.Get("Last-Event-ID"); last != "" && r.Method == http.MethodGet {
			query := r.URL.Query()
			if query.Get("resumeRevision") == "" && strings.HasSuffix(r.URL.Path, ":watchSeats") {
				query.Set("resumeRevision", last)
				r.URL.RawQuery = query.Encode()
			}
		}
		next.ServeHTTP(w, r)
	})
}
