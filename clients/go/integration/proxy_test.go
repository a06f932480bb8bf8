package integration

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/registry-grpc/registry-grpc/clients/go/internal/live"
)

// proxy stands between a client and the server, and cuts connections.
type proxy struct {
	endpoint string
	// limit is how many bytes, both ways, a connection lives for; 0 is for ever.
	limit atomic.Int64
	cuts  atomic.Int64

	mutex sync.Mutex
	open  map[net.Conn]bool
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	live.Must(t, err)
	p := &proxy{endpoint: listener.Addr().String(), open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); p.cut() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for connection := range p.open {
		_ = connection.Close()
	}
	clear(p.open)
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", os.Getenv("MREG_ENDPOINT"))
	if err != nil {
		_ = client.Close()
		return
	}
	p.mutex.Lock()
	p.open[client], p.open[server] = true, true
	p.mutex.Unlock()
	var moved atomic.Int64
	limit := p.limit.Load()
	end := sync.OnceFunc(func() { _, _ = client.Close(), server.Close() })
	forward := func(to io.Writer, from io.Reader) {
		defer end()
		block := make([]byte, 64<<10)
		for {
			count, err := from.Read(block)
			if count > 0 {
				if _, err := to.Write(block[:count]); err != nil {
					return
				}
			}
			if limit > 0 && moved.Add(int64(count)) > limit {
				p.cuts.Add(1)
				return
			}
			if err != nil {
				return
			}
		}
	}
	go forward(server, client)
	forward(client, server)
}
