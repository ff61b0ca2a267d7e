package lab

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// namespace of the responses, and the version that a request must name (STS API reference).
const (
	apiVersion = "2011-06-15"
	namespace  = "https://sts.amazonaws.com/doc/" + apiVersion + "/"
)

// answer is an HTTP response before it is sent, so that a fault can still change it.
type answer struct {
	status      int
	contentType string
	header      map[string]string
	body        []byte
	outcome     string        // for the log: empty, or the refusal and its reason
	skew        time.Duration // offset of the Date header from the clock
	cut         bool          // only half of the body is sent
}

// apiError is an STS error response as it is sent.
type apiError struct {
	status        int
	code, message string
}

func refuse(status int, code, format string, args ...any) *apiError {
	return &apiError{status, code, fmt.Sprintf(format, args...)}
}

func badRequest(code, format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, code, format, args...)
}

func forbidden(code, format string, args ...any) *apiError {
	return refuse(http.StatusForbidden, code, format, args...)
}

// answer returns the error's document, byte for byte in the form that awslabs/aws-sdk-rust#827 shows.
func (e *apiError) answer(requestID string) *answer {
	kind := "Sender"
	if e.status >= 500 {
		kind = "Receiver"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<ErrorResponse xmlns=%q>\n  <Error>\n    <Type>%s</Type>\n", namespace, kind)
	fmt.Fprintf(&b, "    <Code>%s</Code>\n", e.code)
	fmt.Fprintf(&b, "    <Message>%s</Message>\n  </Error>\n", escapeText(e.message))
	fmt.Fprintf(&b, "  <RequestId>%s</RequestId>\n</ErrorResponse>\n", requestID)
	a := newAnswer(e.status, b.Bytes(), requestID)
	a.outcome = e.code + ": " + e.message
	if e.status < 500 {
		a.header["Connection"] = "close" // STS closes after a refusal; seen in awslabs/aws-sdk-rust#827
	}
	return a
}

// escapeText leaves quotes in text unescaped, as AWS does.
func escapeText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return strings.NewReplacer("&#39;", "'", "&#34;", `"`).Replace(b.String())
}

// result is the response to an operation; each operation uses the members that the API reference lists for it.
type result struct {
	Audience                    string       `xml:",omitempty"`
	AssumedRoleUser             *assumedUser `xml:",omitempty"`
	Provider                    string       `xml:",omitempty"`
	Credentials                 *credentials `xml:",omitempty"`
	SubjectFromWebIdentityToken string       `xml:",omitempty"`
	PackedPolicySize            *int         `xml:",omitempty"` // percent; absent without policies and tags
	SourceIdentity              string       `xml:",omitempty"`
	Arn, UserID, Account        string       `xml:"-"` // of GetCallerIdentity
}

type assumedUser struct{ AssumedRoleID, Arn string }

type credentials struct{ AccessKeyID, SecretAccessKey, SessionToken, Expiration string }

// MarshalXML writes Id where Go's names say ID.
func (u assumedUser) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(struct{ AssumedRoleId, Arn string }{u.AssumedRoleID, u.Arn}, start)
}

// MarshalXML writes the members in the order in which STS has them.
func (c credentials) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(struct{ SessionToken, SecretAccessKey, Expiration, AccessKeyId string }{
		c.SessionToken, c.SecretAccessKey, c.Expiration, c.AccessKeyID,
	}, start)
}

func (r *result) answer(action, requestID string) (*answer, error) {
	var content any = r
	if r.Arn != "" {
		content = struct{ Arn, UserId, Account string }{r.Arn, r.UserID, r.Account}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%sResponse xmlns=%q>\n", action, namespace)
	encoder := xml.NewEncoder(&b)
	encoder.Indent("  ", "  ")
	if err := encoder.EncodeElement(content, xml.StartElement{Name: xml.Name{Local: action + "Result"}}); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "\n  <ResponseMetadata>\n    <RequestId>%s</RequestId>\n  </ResponseMetadata>\n", requestID)
	fmt.Fprintf(&b, "</%sResponse>\n", action)
	return newAnswer(http.StatusOK, b.Bytes(), requestID), nil
}

// newAnswer returns a response with the headers that all STS responses have.
func newAnswer(status int, body []byte, requestID string) *answer {
	header := map[string]string{"x-amzn-RequestId": requestID}
	return &answer{status: status, contentType: "text/xml", header: header, body: body}
}

// Count is the traffic that a service has received.
type Count struct {
	Requests    int // that a handler has read
	Connections int // accepted, by servers that Start started
}

// serve answers one request, and applies a pending fault that matches.
func (l *Lab) serve(w http.ResponseWriter, r *http.Request, service, action string, run func(*Fault) *answer) {
	fault := l.arrive(service, action)
	line := service + " " + r.Method + " " + action
	if fault != nil {
		line += " (fault " + fault.Kind + ")"
		if !fault.connection(w, r) {
			l.logLine(line + ": no answer")
			return
		}
	}
	a := fault.answer(service, l.now())
	if a == nil {
		a = fault.change(run(fault))
	}
	l.logLine(line + ": " + describe(a))
	l.send(w, a)
}

func describe(a *answer) string {
	if a.outcome == "" {
		return strconv.Itoa(a.status)
	}
	return fmt.Sprintf("%d %q", a.status, a.outcome) // quoted: it can contain text from the request
}

// logLine masks secrets in a line: a validation error repeats values of the request.
func (l *Lab) logLine(line string) {
	if l.log == nil {
		return
	}
	for _, secret := range l.Secrets() {
		line = strings.ReplaceAll(line, secret, "***")
	}
	l.log("%s", line)
}

// arrive counts a request and takes the pending fault that matches it.
func (l *Lab) arrive(service, action string) *Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := l.counts[service]
	count.Requests++
	l.counts[service] = count
	return l.takeFault(service, action)
}

func (l *Lab) send(w http.ResponseWriter, a *answer) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Date", l.now().Add(a.skew).UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if a.cut {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // net/http's way to break off
	}
	_, _ = w.Write(a.body) // a client that has disconnected needs no response
}
