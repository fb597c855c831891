// Package rest serves every RPC of the contract over REST and JSON, by the handlers that grpc-gateway generates.
package rest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // spread calls over servers that say they serve
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// Every call goes to the next server in turn, of those that say they serve.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": ""}
}`

// A server that was away for long is found again within seconds; by itself gRPC would look every two minutes only.
var reconnecting = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

const largestAnswer = 32 << 20 // a page of 20,000 seats is about 5 MB

// Connect opens connections to the servers, each given as host:port; several are called in turn.
//
// A single name may stand for many: it is looked up as DNS has it. With encrypt nil the connection is plain.
func Connect(
	servers []string, encrypt *tls.Config, callTimeout time.Duration, streams *Streams,
) (*Pool, error) {
	protection := insecure.NewCredentials()
	if encrypt != nil {
		protection = credentials.NewTLS(encrypt)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(protection),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
		grpc.WithConnectParams(reconnecting),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithChainUnaryInterceptor(inTime(callTimeout), asMeant, again, askForLimits),
		grpc.WithChainStreamInterceptor(streams.watch),
	}
	target := "dns:///" + servers[0]
	if len(servers) > 1 {
		fixed := manual.NewBuilderWithScheme("servers")
		var addresses []resolver.Address
		for _, server := range servers {
			// Each shows a certificate with its own name, and none with those of all.
			host, _, err := net.SplitHostPort(server)
			if err != nil {
				return nil, err
			}
			addresses = append(addresses, resolver.Address{Addr: server, ServerName: host})
		}
		fixed.InitialState(resolver.State{Addresses: addresses})
		options = append(options, grpc.WithResolvers(fixed))
		target = "servers:///" + strings.Join(servers, ",")
	}
	return newPool(func() (*grpc.ClientConn, error) { return grpc.NewClient(target, options...) })
}

// Handler serves every RPC of the contract through a connection. With a tracer each request has a span.
func Handler(ctx context.Context, connection grpc.ClientConnInterface, tracer trace.Tracer) (http.Handler, error) {
	answers := jsonMarshaler()
	paths, err := readPaths()
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, answers),
		runtime.WithMarshalerOption(JSON, answers),
		runtime.WithMarshalerOption(JSONLines, answers),
		runtime.WithMarshalerOption(EventStream, eventMarshaler()),
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(nothing),
		runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.WithForwardResponseOption(showLimits),
		runtime.WithForwardResponseOption(unbuffered),
		runtime.WithErrorHandler(refuse),
		runtime.WithStreamErrorHandler(brokenOff),
		runtime.WithRoutingErrorHandler(paths.notServed),
		runtime.SetQueryParameterParser(&strictQuery{}),
		runtime.WithDisableChunkedEncoding(), // net/http does that by itself, where the protocol has chunks
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptReserved),
	)
	for _, err := range []error{
		rowlock.RegisterAuthServiceHandlerClient(ctx, mux, rowlock.NewAuthServiceClient(connection)),
		rowlock.RegisterBookingServiceHandlerClient(ctx, mux, rowlock.NewBookingServiceClient(connection)),
		rowlock.RegisterBoxOfficeServiceHandlerClient(ctx, mux, rowlock.NewBoxOfficeServiceClient(connection)),
		rowlock.RegisterContactServiceHandlerClient(ctx, mux, rowlock.NewContactServiceClient(connection)),
		rowlock.RegisterEventServiceHandlerClient(ctx, mux, rowlock.NewEventServiceClient(connection)),
		rowlock.RegisterNotificationServiceHandlerClient(ctx, mux, rowlock.NewNotificationServiceClient(connection)),
		rowlock.RegisterOperationsServiceHandlerClient(ctx, mux, rowlock.NewOperationsServiceClient(connection)),
		rowlock.RegisterPartnerServiceHandlerClient(ctx, mux, rowlock.NewPartnerServiceClient(connection)),
		rowlock.RegisterPaymentServiceHandlerClient(ctx, mux, rowlock.NewPaymentServiceClient(connection)),
		rowlock.RegisterReportServiceHandlerClient(ctx, mux, rowlock.NewReportServiceClient(connection)),
		rowlock.RegisterWaitingRoomServiceHandlerClient(ctx, mux, rowlock.NewWaitingRoomServiceClient(connection)),
	} {
		if err != nil {
			return nil, err
		}
	}
	return normalize(tracer, takeWebhooks(mux, rowlock.NewPaymentServiceClient(connection))), nil
}
