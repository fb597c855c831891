package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
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

// nothing lets none of the server's metadata become headers by itself.
func nothing(string) (string, bool) { return "", false }

// What says how near callers are to their limits, as the server calls it and as HTTP does, and by what it is asked for.
const limitsWanted = "rowlock-ratelimit"

var limitFields = map[string]string{"ratelimit": "RateLimit", "ratelimit-policy": "RateLimit-Policy"}

// showLimits puts them into the headers of an answer: all that these ever have of the server's metadata.
func showLimits(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	told := factsOf(ctx).limits
	if told == nil {
		return nil
	}
	for name, field := range limitFields {
		if values := told.Get(name); len(values) > 0 {
			w.Header().Set(field, strings.Join(values, ", "))
		}
	}
	return nil
}

const (
	longestToken = 4 << 10 // more than any token that we give; with 8 kB of headers a server refuses at random
	longestState = 512     // as W3C Trace Context has it
)

var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

// answerAs reads Accept, which may be a list with weights, into the one form that the mux looks up by equality.
func answerAs(accept string) string {
	for _, wanted := range []string{EventStream, JSONLines} {
		if strings.Contains(accept, wanted) {
			return wanted
		}
	}
	return JSON
}

// unbuffered asks proxies in between to hand on each message of a stream at once.
func unbuffered(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	if factsOf(ctx).Streams {
		w.Header().Set("X-Accel-Buffering", "no")
	}
	return nil
}

// normalize prepares a request for the mux, so that what reaches a server was looked at here: one way to say the
// method, one Accept, a body that is JSON, headers of sane length, a trace, and the place where a stream broke off, as
// browsers say it, put where the RPC looks for it.
func normalize(tracer trace.Tracer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts := factsOf(r.Context())
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			// Answers are of their moment, and most are one caller's own. The keys that tokens are verified by are neither.
			w.Header().Set("Cache-Control", "no-store")
		}
		given := followTrace(r, facts)
		if tracer != nil {
			beginSpan(tracer, r, facts, given)
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || !utf8.ValidString(r.URL.Path) || !allValid(query) {
			Refuse(w, r, http.StatusBadRequest, malformed("the path or the query is malformed"))
			return
		}
		for header, longest := range map[string]int{"Authorization": longestToken, "Idempotency-Key": longestState} {
			for _, value := range r.Header.Values(header) {
				if len(value) > longest {
					said := fmt.Sprintf("%s is longer than %d bytes", header, longest)
					Refuse(w, r, http.StatusRequestHeaderFieldsTooLarge, malformed(said))
					return
				}
			}
		}
		if !hasPlainHeaders(r) {
			said := Refusal(codes.Unauthenticated, rowlock.ErrorReason_TOKEN_INVALID, "Authorization is no token of ours")
			Refuse(w, r, http.StatusUnauthorized, said)
			return
		}
		if said := wrongBody(r); said != "" {
			Refuse(w, r, http.StatusUnsupportedMediaType, malformed(said))
			return
		}
		keys := r.Header.Values("Idempotency-Key")
		if len(keys) > 1 {
			Refuse(w, r, http.StatusBadRequest, malformed("Idempotency-Key is given more than once"))
			return
		}
		facts.idempotencyKey = r.Header.Get("Idempotency-Key")
		facts.query = slices.Sorted(maps.Keys(query))
		facts.maskGiven = query.Has("updateMask") || query.Has("update_mask")
		r.Header.Set("Accept", answerAs(strings.Join(r.Header.Values("Accept"), ",")))
		for _, header := range []string{"X-Http-Method-Override", "Grpc-Timeout", "Te"} {
			r.Header.Del(header)
		}
		resume(r, query)
		if r.Method == http.MethodHead {
			facts.headOnly = true
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// followTrace has the trace of a request go on in the server's log; one that has none, or none that is one, begins here.
// It says whether there was one.
func followTrace(r *http.Request, facts *Facts) bool {
	given := r.Header.Values("Traceparent")
	if len(given) == 1 {
		if found := traceparent.FindStringSubmatch(given[0]); found != nil && strings.Trim(found[1], "0") != "" {
			facts.TraceID = found[1]
			if len(r.Header.Get("Tracestate")) > longestState {
				r.Header.Del("Tracestate")
			}
			return true
		}
	}
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // never fails
	facts.TraceID = hex.EncodeToString(ids[:16])
	r.Header.Del("Tracestate")
	r.Header.Set("Traceparent", fmt.Sprintf("00-%s-%s-01", facts.TraceID, hex.EncodeToString(ids[16:])))
	return false
}

// hasPlainHeaders drops what gRPC cannot carry of the headers that are passed on, as it would be dropped without a word
// later. But for a token: whoever sends one means to be somebody, and must not be taken for nobody.
func hasPlainHeaders(r *http.Request) bool {
	for _, header := range []string{"Tracestate", "X-Forwarded-For"} {
		if !isPrintable(strings.Join(r.Header.Values(header), "")) {
			r.Header.Del(header)
		}
	}
	// What providers of payments have there is none of ours: see takeWebhooks.
	return strings.HasPrefix(r.URL.Path, webhooks) || isPrintable(strings.Join(r.Header.Values("Authorization"), ""))
}

func isPrintable(text string) bool {
	return strings.IndexFunc(text, func(letter rune) bool { return letter < ' ' || letter > '~' }) < 0
}

// wrongBody says why a body is not taken; nothing if it is. What providers post is theirs to choose, but not packed.
func wrongBody(r *http.Request) string {
	if r.ContentLength == 0 {
		return ""
	}
	if packed := r.Header.Get("Content-Encoding"); packed != "" && !strings.EqualFold(packed, "identity") {
		return "a body must not be compressed: leave Content-Encoding out"
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" || strings.HasPrefix(r.URL.Path, webhooks) {
		return ""
	}
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != JSON {
		return "a body must be application/json"
	}
	return ""
}

func resume(r *http.Request, query url.Values) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, ":watchSeats") {
		return
	}
	if !query.Has("resumeRevision") && !query.Has("resume_revision") {
		query.Set("resumeRevision", last)
		r.URL.RawQuery = query.Encode()
	}
}

func allValid(query url.Values) bool {
	for name, values := range query {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(values, "")) {
			return false
		}
	}
	return true
}

func malformed(said string) *status.Status {
	return Refusal(codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, said)
}
