package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/org/hubspoke-chain/examples"
)

// overlay is a directory that falls back to examples/lab for missing files.
type overlay string

func (o overlay) Open(name string) (fs.File, error) {
	file, err := os.DirFS(string(o)).Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return examples.Lab.Open("lab/" + name)
	}
	return file, err
}

// edit changes values in a JSON file by their pointers (RFC 6901), and adds those that are not there.
func (s *scene) edit(ts *testscript.TestScript, args []string) {
	name := args[0]
	text, err := fs.ReadFile(overlay(s.dir), name)
	ts.Check(err)
	var document any
	ts.Check(json.Unmarshal(text, &document))
	for _, arg := range args[1:] {
		pointer, value, found := strings.Cut(arg, "=")
		var v any
		if !found || json.Unmarshal([]byte(value), &v) != nil {
			ts.Fatalf("edit: %q is not POINTER=JSON", arg)
		}
		document, err = replaced(document, strings.Split(pointer, "/")[1:], v)
		if err != nil {
			ts.Fatalf("edit: %s: %v", pointer, err)
		}
	}
	text, err = json.MarshalIndent(document, "", "  ")
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(s.dir, name), text, 0o600))
	s.changeWorld(ts, []string{"world.json"})
}

func replaced(document any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	key := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	var err error
	switch at := document.(type) {
	case map[string]any:
		at[key], err = replaced(at[key], path[1:], value)
		return at, err
	case []any:
		i, convErr := strconv.Atoi(key)
		if convErr != nil || i < 0 || i >= len(at) {
			return nil, fmt.Errorf("there is no %q", key)
		}
		at[i], err = replaced(at[i], path[1:], value)
		return at, err
	}
	return nil, fmt.Errorf("%q is in nothing that has parts", key)
}

func (s *scene) event(ts *testscript.TestScript, args []string) {
	ts.Check(os.WriteFile(filepath.Join(s.runner.Temp, "_github_workflow", "event.json"), []byte(ts.ReadFile(args[0])), 0o600))
}

// reply is a proxy for the lab's STS that answers one action itself, with AWS errors that the lab does not
// produce.
func (s *scene) reply(ts *testscript.TestScript, args []string) {
	if len(args) != 4 {
		ts.Fatalf("reply: want ACTION STATUS CODE MESSAGE")
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	behind, err := url.Parse(s.stsURL)
	ts.Check(err)
	var message bytes.Buffer
	ts.Check(xml.EscapeText(&message, []byte(args[3])))
	proxy := httputil.NewSingleHostReverseProxy(behind)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		form, formErr := url.ParseQuery(string(body))
		if err != nil || formErr != nil || form.Get("Action") != args[0] {
			r.Body = io.NopCloser(bytes.NewReader(body))
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>"+
			"<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>", args[2], message.String())
	}))
	s.others = append(s.others, server)
	s.stsURL = server.URL
}

func (s *scene) server(ts *testscript.TestScript, args []string) {
	if args[1] == "closed" {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		ts.Setenv(args[0], server.URL)
		return
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<!DOCTYPE html><title>%d</title>\n", status)
	}))
	s.others = append(s.others, server)
	ts.Setenv(args[0], server.URL)
}

// awsCLI answers aws iam get-role with the files that decide writes, in the words of the AWS CLI.
const awsCLI = `#!/bin/sh
test "$1 $2 $3" = "iam get-role --role-name" || exit 252
cat "$(dirname "$0")/$4.json" 2>/dev/null && exit
echo "An error occurred (NoSuchEntity) when calling the GetRole operation: The role with name $4 cannot be found." >&2
exit 254
`

// decide runs the command that the log suggests, as a user would paste it.
func (s *scene) decide(ts *testscript.TestScript, _ []string) {
	_, command, found := strings.Cut(ts.ReadFile("log"), "\nTo find out which, run:\n")
	if !found {
		ts.Fatalf("decide: the log ends in no command")
	}
	bin := filepath.Join(s.dir, "aws-cli")
	ts.Check(os.MkdirAll(bin, 0o755))
	ts.Check(os.WriteFile(filepath.Join(bin, "aws"), []byte(awsCLI), 0o755))
	var world struct {
		Accounts []struct {
			ID    string
			Roles []struct{ Name, Path, Trust string }
		}
	}
	text, err := fs.ReadFile(overlay(s.dir), "world.json")
	ts.Check(err)
	ts.Check(json.Unmarshal(text, &world))
	for _, account := range world.Accounts {
		for _, role := range account.Roles {
			trust, err := fs.ReadFile(overlay(s.dir), role.Trust)
			ts.Check(err)
			if role.Path == "" {
				role.Path = "/"
			}
			got := fmt.Sprintf(`{"Role": {"Arn": "arn:aws:iam::%s:role%s%s", "AssumeRolePolicyDocument": %s}}`, account.ID, role.Path, role.Name, trust)
			ts.Check(os.WriteFile(filepath.Join(bin, role.Name+".json"), []byte(got), 0o600))
		}
	}
	shell := exec.Command("bash", "-c", command)
	shell.Dir = s.dir
	shell.Env = append(os.Environ(), "PATH="+bin+":"+filepath.Dir(s.program)+":"+os.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		ts.Check(err)
	}
	ts.Check(os.WriteFile(filepath.Join(s.dir, "decision"), out, 0o600))
}

// front returns an unstarted server that forwards requests.
func (s *scene) front(ts *testscript.TestScript, behind string) *httptest.Server {
	target, err := url.Parse(behind)
	ts.Check(err)
	server := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the action ends
	s.others = append(s.others, server)
	return server
}

// ipv6 is a proxy for the lab on the IPv6 loopback address.
func (s *scene) ipv6(ts *testscript.TestScript, _ []string) {
	for _, service := range []*string{&s.stsURL, &s.issuer} {
		server := s.front(ts, *service)
		listener, err := net.Listen("tcp6", "[::1]:0")
		ts.Check(err)
		server.Listener.Close()
		server.Listener = listener
		server.Start()
		*service = server.URL
	}
}

// tls is a proxy for the lab with a certificate that no system CA has signed.
func (s *scene) tls(ts *testscript.TestScript, args []string) {
	sts, issuer := s.front(ts, s.stsURL), s.front(ts, s.issuer)
	sts.StartTLS()
	issuer.StartTLS()
	s.stsURL, s.issuer = sts.URL, issuer.URL
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sts.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), authority, 0o600))
}
