package storm

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/org/hubspoke-chain/internal/selfsigned"
)

// front is one service's addresses, which stay while the labs behind them come and go.
type front struct {
	handler     atomic.Pointer[http.Handler]
	servers     []*http.Server
	plain, tls  string // HOST:PORT
	silent      net.Listener
	curt        net.Listener
	certificate string // PEM

	mu   sync.Mutex
	open map[net.Conn]bool
}

var ownCertificate = sync.OnceValues(func() (tls.Certificate, error) {
	return selfsigned.New("storm", time.Now().Add(24*time.Hour), net.IPv4(127, 0, 0, 1))
})

func newFront() (*front, error) {
	certificate, err := ownCertificate()
	if err != nil {
		return nil, err
	}
	f := &front{open: map[net.Conn]bool{}, certificate: selfsigned.PEM(certificate)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*f.handler.Load()).ServeHTTP(w, r) })
	listen := func(secure bool) (string, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ConnState: f.state, ErrorLog: log.New(io.Discard, "", 0)}
		f.servers = append(f.servers, server)
		if secure {
			server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
			go server.ServeTLS(listener, "", "")
		} else {
			go server.Serve(listener)
		}
		return listener.Addr().String(), nil
	}
	if f.plain, err = listen(false); err != nil {
		return nil, err
	}
	if f.tls, err = listen(true); err != nil {
		return nil, errors.Join(err, f.close())
	}
	if f.silent, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, f.close())
	}
	go f.take(f.silent, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if f.curt, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, f.close())
	}
	go f.take(f.curt, reset)
	return f, nil
}

func (f *front) close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.Close())
	}
	for _, listener := range []net.Listener{f.silent, f.curt} {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	return errors.Join(errs...)
}

// serve puts a lab's service behind the front, and gives the URL by which it is reached.
func (f *front) serve(h http.Handler, how reach) string {
	f.handler.Store(&h)
	switch how {
	case securely:
		return "https://" + f.tls
	case refused:
		return "http://127.0.0.1:1" // of tcpmux, which nobody serves
	case mutely:
		return "https://" + f.silent.Addr().String()
	case curtly:
		return "https://" + f.curt.Addr().String()
	case silently:
		return "http://" + f.silent.Addr().String()
	case oddly:
		return "https://" + f.plain
	}
	return "http://" + f.plain
}

// take takes connections that are treated as treat does, none of which is answered.
func (f *front) take(listener net.Listener, treat func(net.Conn)) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		f.state(c, http.StateNew)
		go func() {
			treat(c)
			c.Close()
			f.state(c, http.StateClosed)
		}()
	}
}

// reset waits for the client's first bytes and resets the connection.
func reset(c net.Conn) {
	_, _ = io.ReadFull(c, make([]byte, 16)) // of a ClientHello that has some hundreds
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is not sent is dropped, and the peer sees RST
	}
}

func (f *front) state(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch state {
	case http.StateNew:
		f.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(f.open, c)
	}
}

// left is how many connections the client has not closed within a second.
func (f *front) left() int {
	for range 100 {
		if f.opened() == 0 {
			return 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	return f.opened()
}

func (f *front) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}
