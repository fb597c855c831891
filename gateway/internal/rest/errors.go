package rest

import (
	"context"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails" // so that details can be printed, and RetryInfo read
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refuse answers with google.rpc.Status as JSON, and says in headers when to try again.
func refuse(
	ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error,
) {
	refused := status.Convert(err)
	for _, detail := range refused.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			seconds := int64(retry.GetRetryDelay().AsDuration().Seconds() + 0.999)
			w.Header().Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
		}
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, marshaler, w, r, err)
}

// notServed answers where no RPC has the path, or none has it with this method.
func notServed(
	ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int,
) {
	said := map[int]*status.Status{
		http.StatusNotFound:         status.New(codes.NotFound, "there is nothing at this path; /docs has all"),
		http.StatusMethodNotAllowed: status.New(codes.Unimplemented, "this path takes another method; /docs has all"),
		http.StatusBadRequest:       status.New(codes.InvalidArgument, "the path is malformed"),
	}[code]
	if said == nil {
		said = status.New(codes.Unknown, http.StatusText(code))
	}
	refuse(ctx, mux, marshaler, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: said.Err()})
}
