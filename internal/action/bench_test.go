package action

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// answerDelay is added to every answer, as a stand-in for the way to GitHub and to AWS. Without it a profile has more
// of the step in less time.
var answerDelay = flag.Duration("delay", 25*time.Millisecond, "of every answer in the benchmarks")

// BenchmarkHop alternates between the whole step in this process and a bare client that only makes the same three
// requests with net/http, on the same number of connections. It reports how much longer the step takes, and the
// allocations of each. The lab runs in this process too, and is included in both.
//
//	go test -run '^$' -bench BenchmarkHop ./internal/action
func BenchmarkHop(b *testing.B) {
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		b.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	var issuerCount, stsCount counter
	sent := recorder{handler: l.STS(), forms: map[string]url.Values{}}
	issuer, sts := issuerCount.serve(b, l.Issuer()), stsCount.serve(b, &sent)
	job, err := l.Job("staging")
	if err != nil {
		b.Fatal(err)
	}
	env := l.RequestEnv(issuer, job)
	for name, value := range map[string]string{
		"INPUT_AWS-REGION":         "us-east-1",
		"INPUT_HUB-ROLE-TO-ASSUME": hubRole,
		"INPUT_ROLE-TO-ASSUME":     spokeRole,
		"INPUT_STS-ENDPOINT":       sts,
	} {
		env[name] = value
	}
	var step, bare time.Duration
	var requests, connections int64
	var before, between, after runtime.MemStats
	var stepAllocated, bareAllocated allocated
	for b.Loop() {
		dir := b.TempDir()
		for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
			env[name] = filepath.Join(dir, name)
			if err := os.WriteFile(env[name], nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		requests -= issuerCount.requests.Load() + stsCount.requests.Load()
		connections -= issuerCount.connections.Load() + stsCount.connections.Load()
		runtime.ReadMemStats(&before)
		start := time.Now()
		if status := Run(b.Context(), io.Discard, func(name string) string { return env[name] }, Options{Version: "bench"}); status != 0 {
			b.Fatalf("the step ended with status %d", status)
		}
		step += time.Since(start)
		requests += issuerCount.requests.Load() + stsCount.requests.Load()
		connections += issuerCount.connections.Load() + stsCount.connections.Load()

		runtime.ReadMemStats(&between)
		start = time.Now()
		if err := bareHop(b.Context(), env, sts, sent.form); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
		runtime.ReadMemStats(&after)
		stepAllocated.add(&before, &between)
		bareAllocated.add(&between, &after)
	}
	b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
	b.ReportMetric(float64(connections)/float64(b.N), "connections/op")
	b.ReportMetric(step.Seconds()*1000/float64(b.N), "ms/step")
	b.ReportMetric(bare.Seconds()*1000/float64(b.N), "ms/bare")
	b.ReportMetric(step.Seconds()/bare.Seconds(), "step/bare")
	b.ReportMetric(float64(stepAllocated.bytes)/1024/float64(b.N), "KiB/step")
	b.ReportMetric(float64(bareAllocated.bytes)/1024/float64(b.N), "KiB/bare")
	b.ReportMetric(float64(stepAllocated.objects)/float64(b.N), "objects/step")
	b.ReportMetric(float64(bareAllocated.objects)/float64(b.N), "objects/bare")
}

// allocated is the heap allocation of a process.
type allocated struct{ bytes, objects uint64 }

func (a *allocated) add(before, after *runtime.MemStats) {
	a.bytes += after.TotalAlloc - before.TotalAlloc
	a.objects += after.Mallocs - before.Mallocs
}

// BenchmarkSpokes alternates between the whole step for several spokes and for one, and reports how much longer the
// former takes. With TLS it counts the handshakes, and how many of them resumed a session. With throttled, STS rejects
// the first twenty of a hundred calls. The waits dominate, so the spread between runs is large.
//
//	go test -run '^$' -bench BenchmarkSpokes ./internal/action
func BenchmarkSpokes(b *testing.B) {
	for _, spokes := range []int{1, 10, 50, 100} {
		b.Run(fmt.Sprintf("plain/%d", spokes), func(b *testing.B) { benchmarkSpokes(b, spokes, false, 0) })
	}
	b.Run("tls/100", func(b *testing.B) { benchmarkSpokes(b, 100, true, 0) })
	b.Run("throttled/100", func(b *testing.B) { benchmarkSpokes(b, 100, false, 20) })
}

func benchmarkSpokes(b *testing.B, spokes int, secure bool, throttled int) {
	var roles []hop.ARN
	for i := range spokes {
		roles = append(roles, hop.ARN{Partition: "aws", AccountID: fmt.Sprintf("3%011d", i), Path: "/", Name: "deploy"})
	}
	l := accountsOf(b, roles)
	var issuerCount, stsCount counter
	issuer, sts := issuerCount.serve(b, l.Issuer()), ""
	authority := ""
	var handshakes, resumed atomic.Int64
	if secure {
		server := stsCount.server(l.STS())
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: func(state tls.ConnectionState) error {
			handshakes.Add(1)
			if state.DidResume {
				resumed.Add(1)
			}
			return nil
		}}
		server.StartTLS()
		b.Cleanup(server.Close)
		sts, authority = server.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	} else {
		sts = stsCount.serve(b, l.STS())
	}
	job, err := l.Job("staging")
	if err != nil {
		b.Fatal(err)
	}
	run := func(n int) time.Duration {
		temp := filepath.Join(b.TempDir(), "_temp")
		env := l.RequestEnv(issuer, job)
		env["INPUT_AWS-REGION"], env["INPUT_HUB-ROLE-TO-ASSUME"], env["INPUT_STS-ENDPOINT"] = "us-east-1", hubRole, sts
		env["INPUT_CA-BUNDLE"] = authority
		for i := range n {
			env["INPUT_SPOKES"] += fmt.Sprintf("p%d = %s\n", i, roles[i])
		}
		env["RUNNER_TEMP"] = temp
		if err := os.Mkdir(temp, 0o700); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
			env[name] = filepath.Join(temp, name)
			if err := os.WriteFile(env[name], nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		var log strings.Builder
		start := time.Now()
		if status := Run(b.Context(), &log, func(name string) string { return env[name] }, Options{Version: "bench", HostTemp: temp}); status != 0 {
			b.Fatalf("the step ended with status %d:\n%s", status, log.String())
		}
		return time.Since(start)
	}
	var many, one time.Duration
	var requests, connections, shaken, shakenAgain int64
	for b.Loop() {
		one += run(1)
		requests -= issuerCount.requests.Load() + stsCount.requests.Load()
		connections -= issuerCount.connections.Load() + stsCount.connections.Load()
		handshakesBefore, resumedBefore := handshakes.Load(), resumed.Load()
		if throttled > 0 {
			fault, err := lab.ParseFault(fmt.Sprintf("sts:AssumeRole:throttle:%d", throttled))
			if err != nil {
				b.Fatal(err)
			}
			l.Fail(fault)
		}
		many += run(spokes)
		shaken += handshakes.Load() - handshakesBefore
		shakenAgain += resumed.Load() - resumedBefore
		requests += issuerCount.requests.Load() + stsCount.requests.Load()
		connections += issuerCount.connections.Load() + stsCount.connections.Load()
	}
	b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
	b.ReportMetric(float64(connections)/float64(b.N), "connections/op")
	b.ReportMetric(many.Seconds()*1000/float64(b.N), "ms/spokes")
	b.ReportMetric(one.Seconds()*1000/float64(b.N), "ms/one")
	b.ReportMetric(many.Seconds()/one.Seconds(), "spokes/one")
	if secure {
		b.ReportMetric(float64(shaken)/float64(b.N), "handshakes/op")
		b.ReportMetric(float64(shakenAgain)/float64(b.N), "resumed/op")
	}
}

// accountsOf is a lab with the hub of examples/lab and the roles, each in a separate account.
func accountsOf(b testing.TB, roles []hop.ARN) *lab.Lab {
	b.Helper()
	files := fstest.MapFS{
		"hub-permissions.json": {Data: []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "arn:aws:iam::3*:role/*"}]}`)},
	}
	for _, name := range []string{"hub-trust.json", "spoke-trust.json"} {
		text, err := examples.Lab.ReadFile("lab/" + name)
		if err != nil {
			b.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	accounts := `{"id": "123456789012", "oidcProviders": [{"url": "https://token.actions.githubusercontent.com", "clientIds": ["sts.amazonaws.com"]}],
		"roles": [{"name": "github-actions-hub", "trust": "hub-trust.json", "policies": ["hub-permissions.json"]}]}`
	for _, role := range roles {
		accounts += fmt.Sprintf(`, {"id": %q, "roles": [{"name": %q, "path": %q, "trust": "spoke-trust.json"}]}`, role.AccountID, role.Name, role.Path)
	}
	files["world.json"] = &fstest.MapFile{Data: []byte(`{"accounts": [` + accounts + `], "jobs": {"staging": {"subject": "immutable", "claims": {"environment": "staging"}}}}`)}
	world, err := lab.ReadWorld(files, "world.json")
	if err != nil {
		b.Fatal(err)
	}
	return lab.New(world, lab.Options{})
}

const (
	hubRole   = "arn:aws:iam::123456789012:role/github-actions-hub"
	spokeRole = "arn:aws:iam::222222222222:role/deploy-staging"
)

// counter counts the requests to a server.
type counter struct{ requests, connections atomic.Int64 }

func (c *counter) serve(b testing.TB, h http.Handler) string {
	server := c.server(h)
	server.Start()
	b.Cleanup(server.Close)
	return server.URL
}

func (c *counter) server(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		time.Sleep(*answerDelay)
		h.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.connections.Add(1)
		}
	}
	return server
}

// recorder keeps the last form that STS was sent for each action. The floor sends the same: tags and a policy cost the
// lab more than the client.
type recorder struct {
	handler http.Handler
	mu      sync.Mutex
	forms   map[string]url.Values
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the client has gone
	}
	if form, err := url.ParseQuery(string(body)); err == nil {
		r.mu.Lock()
		r.forms[form.Get("Action")] = form
		r.mu.Unlock()
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	r.handler.ServeHTTP(w, request)
}

func (r *recorder) form(action string) url.Values {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.forms[action])
}

// bareHop is the floor: three requests, two connections, no checks, no log, no files. form returns the STS request
// for an action, without the token.
func bareHop(ctx context.Context, env map[string]string, endpoint string, form func(action string) url.Values) error {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=sts.amazonaws.com", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	body, err := answer(client, request)
	if err != nil {
		return err
	}
	var token struct{ Value string }
	if err := json.Unmarshal(body, &token); err != nil {
		return err
	}
	call := func(form url.Values, credentials *aws.Credentials) (aws.Credentials, error) {
		text := form.Encode()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", strings.NewReader(text))
		if err != nil {
			return aws.Credentials{}, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if credentials != nil {
			hash := sha256.Sum256([]byte(text))
			if err := v4.NewSigner().SignHTTP(ctx, *credentials, request, hex.EncodeToString(hash[:]), "sts", "us-east-1", time.Now()); err != nil {
				return aws.Credentials{}, err
			}
		}
		body, err := answer(client, request)
		if err != nil {
			return aws.Credentials{}, err
		}
		type result struct {
			AccessKeyID     string `xml:"Credentials>AccessKeyId"`
			SecretAccessKey string `xml:"Credentials>SecretAccessKey"`
			SessionToken    string `xml:"Credentials>SessionToken"`
		}
		var document struct {
			Hub   result `xml:"AssumeRoleWithWebIdentityResult"`
			Spoke result `xml:"AssumeRoleResult"`
		}
		if err := xml.Unmarshal(body, &document); err != nil {
			return aws.Credentials{}, err
		}
		got := document.Spoke
		if credentials == nil {
			got = document.Hub
		}
		return aws.Credentials{AccessKeyID: got.AccessKeyID, SecretAccessKey: got.SecretAccessKey, SessionToken: got.SessionToken}, nil
	}
	assumeHub := form("AssumeRoleWithWebIdentity")
	assumeHub.Set("WebIdentityToken", token.Value)
	hub, err := call(assumeHub, nil)
	if err != nil {
		return err
	}
	_, err = call(form("AssumeRole"), &hub)
	return err
}

func answer(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", request.URL.Host, response.Status)
	}
	return body, err
}
