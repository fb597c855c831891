package rest

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/grpc/codes"
)

const webhooks = "/v1/webhooks/"

// Headers that belong to one hop, or say who is connected, and sign nothing.
var unsigned = map[string]bool{
	"accept": true, "accept-encoding": true, "authorization": true, "connection": true, "content-length": true,
	"cookie": true, "host": true, "x-forwarded-for": true,
}

// takeWebhooks takes what payment providers post, byte for byte: their signatures are over the body as it was sent.
func takeWebhooks(mux *runtime.ServeMux, payments rowlock.PaymentServiceClient) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, found := strings.CutPrefix(r.URL.Path, webhooks)
		if !found || r.Method != http.MethodPost {
			mux.ServeHTTP(w, r)
			return
		}
		factsOf(r.Context()).query = nil // what an address has there is between its house and the provider
		_, marshaler := runtime.MarshalerForRequest(mux, r)
		provider, known := rowlock.Payment_Provider_value[strings.ToUpper(name)]
		if !known {
			said := Refusal(codes.NotFound, rowlock.ErrorReason_NOT_FOUND, "there is no such provider")
			Refuse(w, r, http.StatusNotFound, said)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			Refuse(w, r, http.StatusBadRequest, malformed("the body broke off"))
			return
		}
		ctx, err := runtime.AnnotateContext(
			r.Context(), mux, withoutToken(r), "/rowlock.v1.PaymentService/HandleProviderWebhook",
		)
		if err != nil {
			refuse(r.Context(), mux, marshaler, w, r, err)
			return
		}
		answer, err := payments.HandleProviderWebhook(ctx, &rowlock.HandleProviderWebhookRequest{
			Provider: rowlock.Payment_Provider(provider), Body: body, Headers: signedHeaders(r.Header),
		})
		if err != nil {
			refuse(ctx, mux, marshaler, w, r, err)
			return
		}
		runtime.ForwardResponseMessage(
			runtime.NewServerMetadataContext(context.WithoutCancel(ctx), runtime.ServerMetadata{}), mux, marshaler, w, r, answer,
		)
	})
}

// withoutToken is the request without what a provider may have in Authorization, which is no token of ours.
func withoutToken(r *http.Request) *http.Request {
	copied := r.Clone(r.Context())
	copied.Header.Del("Authorization")
	return copied
}

func signedHeaders(sent http.Header) map[string]string {
	headers := make(map[string]string)
	for name, values := range sent {
		if name = strings.ToLower(name); !unsigned[name] && len(headers) < 50 && len(values[0]) <= 4096 {
			headers[name] = values[0]
		}
	}
	return headers
}
