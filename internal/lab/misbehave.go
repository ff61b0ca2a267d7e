package lab

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// connection applies a fault that comes before the response; it returns false if there is no response.
func (f *Fault) connection(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case "delay":
		delay := f.Duration
		if delay == 0 {
			delay = defaultDelay
		}
		select {
		case <-time.After(delay):
			return true
		case <-r.Context().Done():
			return false
		}
	case "hang":
		<-r.Context().Done()
		return false
	case "reset", "close":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler) // the connection cannot be hijacked: net/http closes it
		}
		if tcp, ok := conn.(*net.TCPConn); ok && f.Kind == "reset" {
			_ = tcp.SetLinger(0) // unsent data is dropped, and the peer sees RST
		}
		_ = conn.Close()
		return false
	}
	return true
}

// answer returns the response of a fault that needs no evaluation; nil for other kinds, and without a fault.
func (f *Fault) answer(service string, now time.Time) *answer {
	if f == nil {
		return nil
	}
	ok := &answer{status: http.StatusOK, contentType: "text/xml"}
	if service == issuerService {
		ok.contentType = "application/json; charset=utf-8"
	}
	switch f.Kind {
	case "throttle", "400", "403", "404", "408", "429", "500", "502", "503", "504":
		return f.status(service)
	case "html", "html403", "html500", "html502", "html503":
		status, err := strconv.Atoi(strings.TrimPrefix(f.Kind, "html"))
		if err != nil {
			status = http.StatusOK
		}
		page := fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%d</title></head>"+
			"<body><h1>A proxy between you and the service</h1></body></html>\n", status)
		return &answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(page)}
	case "garbage":
		ok.body = random(4096)
		return ok
	case "empty":
		if service == issuerService {
			ok.body = []byte("{}")
		}
		return ok
	case "empty-value":
		return issuerAnswer(map[string]any{"count": 0, "value": ""})
	case "oversized":
		open := "<AssumeRoleResponse xmlns=\"" + namespace + "\"><AssumeRoleResult><SourceIdentity>"
		end := "</SourceIdentity></AssumeRoleResult></AssumeRoleResponse>"
		if service == issuerService {
			open, end = `{"count":2097152,"value":"`, `"}`
		}
		ok.body = slices.Concat([]byte(open), bytes.Repeat([]byte("A"), oversized), []byte(end))
		return ok
	case "redirect":
		location := map[string]string{"Location": "https://redirected.invalid/"}
		return &answer{status: http.StatusTemporaryRedirect, contentType: "text/plain", header: location}
	case "unauthorized":
		return issuerUnauthorized()
	case "not-in-progress":
		// The runner reports this refusal (actions/runner, JobRunner.cs); the body's form is the lab's guess.
		return issuerError(http.StatusForbidden, "Can't issue ID_TOKEN for a job that is not in progress.")
	}
	return nil
}

// status returns an HTTP status in the service's own form of an error.
func (f *Fault) status(service string) *answer {
	// The texts are those of "Common errors" in the STS API reference; RequestTimeout is not among them, but AWS's SDKs
	// retry it for every service (aws-sdk-go-v2/aws/retry, DefaultRetryableErrorCodes), and its text is the lab's own.
	const unknown = "The request processing has failed because of an unknown error, exception or failure."
	const unavailable = "The request has failed due to a temporary failure of the server."
	codes := map[string]struct {
		status        int
		code, message string
	}{
		"throttle": {http.StatusBadRequest, "Throttling", "Rate exceeded"},
		"400":      {http.StatusBadRequest, "ValidationError", "The input fails to satisfy the constraints specified by an AWS service."},
		"403":      {http.StatusForbidden, "OptInRequired", "The AWS access key ID needs a subscription for the service."},
		"404":      {http.StatusNotFound, "MalformedQueryString", "The query string contains a syntax error."},
		"408":      {http.StatusRequestTimeout, "RequestTimeout", "The request took too long to arrive."},
		"429":      {http.StatusTooManyRequests, "TooManyRequestsException", "Rate exceeded"},
		"500":      {http.StatusInternalServerError, "InternalFailure", unknown},
		"502":      {http.StatusBadGateway, "InternalFailure", unknown},
		"503":      {http.StatusServiceUnavailable, "ServiceUnavailable", unavailable},
		"504":      {http.StatusGatewayTimeout, "InternalFailure", unknown},
	}
	e := codes[f.Kind]
	if service == stsService {
		return refuse(e.status, e.code, "%s", e.message).answer(uuid())
	}
	if f.Kind == "throttle" {
		e.status = http.StatusTooManyRequests
	}
	return issuerError(e.status, http.StatusText(e.status))
}

// refusal returns the error that STS returns under a fault; nil for other kinds, and without a fault.
func (f *Fault) refusal(c *call) *apiError {
	if f == nil {
		return nil
	}
	switch f.Kind {
	case "idp-communication-error":
		// AWS's text is not public.
		return badRequest("IDPCommunicationError", "The identity provider could not be reached.")
	case "verification-key":
		return noKey()
	case "region-disabled":
		account := ""
		if parts := strings.Split(c.form.Get("RoleArn"), ":"); len(parts) > 5 {
			account = parts[4]
		}
		return regionDisabled(account)
	case "expired-token":
		if c.action == "AssumeRoleWithWebIdentity" {
			return expiredToken(c.now, c.now.Add(-tokenGrace))
		}
		return expiredSession()
	}
	return nil
}

// change alters the response to a call that was executed.
func (f *Fault) change(a *answer) *answer {
	if f == nil {
		return a
	}
	switch f.Kind {
	case "cut":
		a.cut = true
	case "duplicated":
		a.body = bytes.Replace(a.body, []byte("</Credentials>"), []byte("<AccessKeyId>ASIADUPLICATED000000</AccessKeyId></Credentials>"), 1)
		if end := bytes.LastIndexByte(a.body, '}'); end >= 0 && bytes.HasPrefix(a.body, []byte("{")) {
			a.body = append(slices.Clone(a.body[:end]), `,"value":"e30.e30.e30"}`...)
		}
	case "mistyped":
		a.contentType = "application/octet-stream"
	case "skew":
		a.skew = f.Duration
		if a.skew == 0 {
			a.skew = defaultSkew
		}
	}
	return a
}

// twist makes the response of a successful operation contradict the request.
func (f *Fault) twist(r *result, now time.Time) {
	if f == nil || r.Credentials == nil {
		return
	}
	switch f.Kind {
	case "other-role":
		head, session := r.AssumedRoleUser.Arn, ""
		if i := strings.LastIndex(head, "/"); i >= 0 {
			head, session = head[:i], head[i:]
		}
		r.AssumedRoleUser.Arn = head + "-other" + session
	case "other-account":
		parts := strings.SplitN(r.AssumedRoleUser.Arn, ":", 6)
		parts[4] = "999999999999"
		r.AssumedRoleUser.Arn = strings.Join(parts, ":")
	case "expired-credentials":
		r.Credentials.Expiration = now.Add(-time.Hour).UTC().Format(time.RFC3339)
	case "newline":
		r.Credentials.SessionToken += "\nINJECTED=1"
	}
}
