package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails" // so that details can be printed, and read
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const domain = "rowlock.dev"

// refuse answers with google.rpc.Status as JSON, and says in headers when to try again.
func refuse(
	ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error,
) {
	var routed *runtime.HTTPStatusError
	if errors.As(err, &routed) {
		err = routed.Err
	}
	said := explain(ctx, err)
	code := httpStatus(said)
	if routed != nil {
		code = routed.HTTPStatus
	}
	_ = showLimits(ctx, w, nil)
	Refuse(w, r, code, said)
}

// Refuse writes a status as the answer to a request, and notes it in the request's facts.
func Refuse(w http.ResponseWriter, r *http.Request, httpCode int, said *status.Status) {
	facts := factsOf(r.Context())
	facts.Code = said.Code()
	header := w.Header()
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			facts.Reason = detail.GetReason()
		case *errdetails.RetryInfo:
			seconds := int64(detail.GetRetryDelay().AsDuration().Seconds() + 0.999)
			header.Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
		}
	}
	if httpCode == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	header.Set("Content-Type", JSON)
	header.Set("Cache-Control", "no-store")
	text, err := publicJSON.MarshalOptions.Marshal(said.Proto())
	if err != nil {
		// A detail of a type that is newer than this program: the rest is worth more than nothing.
		bare := proto.CloneOf(said.Proto())
		bare.Details = nil
		text, _ = publicJSON.MarshalOptions.Marshal(bare)
	}
	w.WriteHeader(httpCode)
	_, _ = w.Write(append(text, '\n'))
}

// Refusal makes a status with a reason of the contract.
func Refusal(
	code codes.Code, reason rowlock.ErrorReason, message string, more ...protoadapt.MessageV1,
) *status.Status {
	details := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason.String(), Domain: domain}}, more...)
	made, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		return status.New(code, message)
	}
	return made
}

// explain makes an error fit to be shown. What the server refused has its reason; what failed on the way here, in
// here or on the way back has a text of some library, which may tell of addresses, and none of it leaves.
func explain(ctx context.Context, err error) *status.Status {
	said := status.Convert(err)
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return said
		}
	}
	facts := factsOf(ctx)
	if found := faultIn(said.Message()); found != nil {
		return misread(ctx, found)
	}
	if !facts.called {
		return Refusal(codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, "the request is malformed")
	}
	switch said.Code() {
	case codes.Unavailable:
		return Refusal(said.Code(), rowlock.ErrorReason_SERVER_UNREACHABLE, "no server answers at present; try again soon", soon)
	case codes.DeadlineExceeded:
		return Refusal(said.Code(), rowlock.ErrorReason_DEADLINE, "the answer took too long; the effect may have happened")
	case codes.Canceled:
		return Refusal(said.Code(), rowlock.ErrorReason_CALL_CANCELLED, "the caller went away")
	case codes.Unimplemented:
		return Refusal(said.Code(), rowlock.ErrorReason_NOT_IMPLEMENTED, "this server does not offer the call")
	case codes.ResourceExhausted:
		if strings.HasPrefix(said.Message(), "Received message larger") {
			return Refusal(said.Code(), rowlock.ErrorReason_REQUEST_TOO_LARGE, "the request is larger than the server accepts")
		}
	}
	slog.Error("fault", "rpc", facts.RPC, "code", said.Code().String(), "text", said.Message(), "trace_id", facts.TraceID)
	failed := "the gateway failed to serve this call; the fault is logged"
	return Refusal(codes.Internal, rowlock.ErrorReason_INTERNAL, failed, &errdetails.RequestInfo{RequestId: facts.TraceID})
}

// misread is the refusal of a field that could not be read, named as the server would have named it.
func misread(ctx context.Context, found *fault) *status.Status {
	field, message := found.field, found.description
	if rpc, ok := runtime.RPCMethod(ctx); ok && field != "" {
		field = inBody(rpc, field)
	}
	if field == "" {
		return Refusal(codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, message)
	}
	violation := &errdetails.BadRequest_FieldViolation{Field: field, Description: message}
	return Refusal(
		codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, field+": "+message,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}},
	)
}

// inBody is the path of a field in the request message, where the body may be one field of that: title of an event is
// event.title of the request. What the request itself has, came in the query.
func inBody(rpc, field string) string {
	method := methodOf(rpc)
	if method == nil {
		return field
	}
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	body := rule.GetBody()
	first, _, _ := strings.Cut(field, ".")
	if body == "" || body == "*" || method.Input().Fields().ByTextName(first) != nil {
		return field
	}
	return body + "." + field
}

// methodOf finds the description of /package.Service/Method; nil if there is none.
func methodOf(rpc string) protoreflect.MethodDescriptor {
	name := strings.ReplaceAll(strings.TrimPrefix(rpc, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	method, _ := found.(protoreflect.MethodDescriptor)
	return method
}

func httpStatus(said *status.Status) int {
	for _, detail := range said.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if ok && info.GetReason() == rowlock.ErrorReason_REQUEST_TOO_LARGE.String() {
			return http.StatusRequestEntityTooLarge
		}
	}
	return runtime.HTTPStatusFromCode(said.Code())
}

// brokenOff is the last line of a stream that ends with an error after its beginning.
func brokenOff(ctx context.Context, err error) *status.Status {
	said := explain(ctx, err)
	facts := factsOf(ctx)
	facts.Code = said.Code()
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			facts.Reason = info.GetReason()
		}
	}
	return said
}

// notServed answers where no RPC has the path, or none has it with this method.
func (a *allowed) notServed(
	ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int,
) {
	said := Refusal(codes.InvalidArgument, rowlock.ErrorReason_INVALID_FIELD, "the path is malformed")
	switch code {
	case http.StatusNotFound:
		said = Refusal(codes.NotFound, rowlock.ErrorReason_NOT_FOUND, "there is nothing at this path; /docs has all")
	case http.StatusMethodNotAllowed:
		methods := strings.Join(a.at(r), ", ")
		w.Header().Set("Allow", methods)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		said = Refusal(codes.Unimplemented, rowlock.ErrorReason_NOT_IMPLEMENTED, "this path takes "+methods)
	}
	refuse(ctx, mux, marshaler, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: said.Err()})
}
