package rest

import (
	"context"
	"sync"

	"google.golang.org/grpc"
)

// Streams that one connection carries. A server lets a connection have a number of calls open at once (1,000, unless it
// is set otherwise) and has the next one wait; streams stay open, so they would keep all others waiting for ever.
const streamsPerConnection = 400

// Pool is connections to the same servers: one for calls, and as many for streams as those need.
type Pool struct {
	*grpc.ClientConn
	dial func() (*grpc.ClientConn, error)

	mutex sync.Mutex
	lanes []*lane
}

type lane struct {
	connection *grpc.ClientConn
	open       int
}

func newPool(dial func() (*grpc.ClientConn, error)) (*Pool, error) {
	first, err := dial()
	if err != nil {
		return nil, err
	}
	return &Pool{ClientConn: first, dial: dial}, nil
}

// NewStream opens a stream on a connection that has room; its place is free again when the context ends, as that of a
// request always does.
func (p *Pool) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	chosen, err := p.enter()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		p.mutex.Lock()
		chosen.open--
		p.mutex.Unlock()
	})
	return chosen.connection.NewStream(ctx, desc, method, options...)
}

func (p *Pool) enter() (*lane, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, one := range p.lanes {
		if one.open < streamsPerConnection {
			one.open++
			return one, nil
		}
	}
	connection, err := p.dial()
	if err != nil {
		return nil, err
	}
	fresh := &lane{connection: connection, open: 1}
	p.lanes = append(p.lanes, fresh)
	return fresh, nil
}

// Close closes all of them.
func (p *Pool) Close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, one := range p.lanes {
		_ = one.connection.Close()
	}
	_ = p.ClientConn.Close()
}
