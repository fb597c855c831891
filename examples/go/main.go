// Watches a hall, books two seats of it, and ends when the stream has told of them:
//
//	cd examples/go && go run . [HOST:PORT]
//
// Needs a server with something on sale, such as `rowlock up`.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, address); err != nil {
		log.Fatalf("%v %s", err, reason(err))
	}
}

func run(ctx context.Context, address string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()

	token, err := signUp(ctx, rowlock.NewAuthServiceClient(connection))
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)

	events := rowlock.NewEventServiceClient(connection)
	list, err := events.ListPerformances(ctx, &rowlock.ListPerformancesRequest{OnlyAvailable: true, PageSize: 1})
	if err != nil {
		return err
	}
	if len(list.Performances) == 0 {
		return errors.New("nothing is on sale")
	}
	performance := list.Performances[0].Name

	stream, err := events.WatchSeats(ctx, &rowlock.WatchSeatsRequest{Performance: performance})
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	fmt.Println("places", len(first.GetSnapshot().GetStates()))

	booking, err := rowlock.NewBookingServiceClient(connection).CreateBooking(ctx, &rowlock.CreateBookingRequest{
		Parent:        performance,
		BestAvailable: &rowlock.BestAvailable{Quantity: 2},
		// Sent again with the same one, the request books nothing twice.
		RequestId: fmt.Sprintf("example-%d", time.Now().UnixNano()),
	})
	if err != nil {
		return err
	}
	fmt.Println("held", booking.Name)
	return await(stream, 2)
}

func signUp(ctx context.Context, auth rowlock.AuthServiceClient) (string, error) {
	email, password := fmt.Sprintf("carol-%d@example.org", time.Now().UnixNano()), "correct horse battery staple"
	_, err := auth.SignUp(ctx, &rowlock.SignUpRequest{Email: email, Password: password, DisplayName: "Carol"})
	if err != nil {
		return "", err
	}
	session, err := auth.LogIn(ctx, &rowlock.LogInRequest{Email: email, Password: password})
	return session.GetAccessToken(), err
}

// await reads until so many places have changed. A program that runs for long opens the stream again when it ends, with
// ResumeRevision: the last revision that it was told.
func await(stream rowlock.EventService_WatchSeatsClient, places int) error {
	for places > 0 {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, change := range message.GetChanges().GetChanges() {
			fmt.Println("place", change.Index, "is now", change.State)
			places--
		}
	}
	return nil
}

// reason is what programs decide by, such as SEAT_TAKEN.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}
