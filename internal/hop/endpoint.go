package hop

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ParseEndpoint reads the URL of an STS endpoint: https, or http on loopback only, with nothing
// behind the host but a port.
func ParseEndpoint(s string) (*url.URL, error) {
	if strings.Contains(s, "@") {
		return nil, errors.New("an endpoint holds no user and no password (https://HOST or https://HOST:PORT)") // nor are they shown
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not an endpoint (https://HOST or https://HOST:PORT)", s)
	}
	if !Confidential(u) {
		return nil, fmt.Errorf("%q is not https (http is for 127.0.0.1, [::1] and localhost only)", s)
	}
	u.Path = ""
	return u, nil
}

// Confidential tells whether what is sent to u stays unread on the way: https, or http that does
// not leave the machine.
func Confidential(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
