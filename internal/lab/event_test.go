package lab_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestEvents has the whole records of one hop, but for what differs from run to run.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	hub := s.hub("staging")
	in := spokeInput(stagingRole)
	in.Tags, in.TransitiveTagKeys, in.SourceIdentity = tagsOf("GitHub", "Actions"), []string{"GitHub"}, aws.String("octocat")
	if _, err := s.client(hub).AssumeRole(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client(hub).AssumeRole(t.Context(), spokeInput("arn:aws:iam::222222222222:role/nobody")); err == nil {
		t.Fatal("there is no such role")
	}
	events := s.Events()
	if len(events) != 4 {
		t.Fatalf("%d events", len(events))
	}
	want := []string{
		`{"eventVersion":"1.11","userIdentity":{"type":"WebIdentityUser",` +
			`"principalId":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com:sts.amazonaws.com:repo:octo-org@1234567/octo-repo@89012345:environment:staging",` +
			`"userName":"repo:octo-org@1234567/octo-repo@89012345:environment:staging",` +
			`"identityProvider":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},` +
			`"eventTime":"TIME","eventSource":"sts.amazonaws.com","eventName":"AssumeRoleWithWebIdentity","awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"UA",` +
			`"requestParameters":{"durationSeconds":3600,"roleArn":"arn:aws:iam::123456789012:role/github-actions-hub","roleSessionName":"gh-1-1"},` +
			`"responseElements":{"assumedRoleUser":{"arn":"arn:aws:sts::123456789012:assumed-role/github-actions-hub/gh-1-1","assumedRoleId":"ROLE:gh-1-1"},"audience":"sts.amazonaws.com",` +
			`"credentials":{"accessKeyId":"KEY","expiration":"WHEN"},"provider":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",` +
			`"subjectFromWebIdentityToken":"repo:octo-org@1234567/octo-repo@89012345:environment:staging"},` +
			`"requestID":"ID","eventID":"ID","readOnly":true,"resources":[{"ARN":"arn:aws:iam::123456789012:role/github-actions-hub","accountId":"123456789012","type":"AWS::IAM::Role"}],` +
			`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}`,
		`{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"ROLE:gh-1-1","arn":"arn:aws:sts::123456789012:assumed-role/github-actions-hub/gh-1-1",` +
			`"accountId":"123456789012","accessKeyId":"KEY","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"ROLE","arn":"arn:aws:iam::123456789012:role/github-actions-hub",` +
			`"accountId":"123456789012","userName":"github-actions-hub"},` +
			`"webIdFederationData":{"federatedProvider":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com","attributes":{}},` +
			`"attributes":{"creationDate":"TIME","mfaAuthenticated":"false"}}},` + assumedSpoke + `"recipientAccountId":"123456789012","sharedEventID":"ID","eventCategory":"Management"}`,
		`{"eventVersion":"1.11","userIdentity":{"type":"AWSAccount","principalId":"ROLE:gh-1-1","accountId":"123456789012"},` +
			assumedSpoke + `"recipientAccountId":"222222222222","sharedEventID":"ID","eventCategory":"Management"}`,
	}
	for i, want := range want {
		if got := settled(t, events[i]); got != want {
			t.Errorf("event %d\ngot  %s\nwant %s", i, got, want)
		}
	}
	if events[1].SharedEventID != events[2].SharedEventID || events[1].EventID == events[2].EventID || events[1].RequestID != events[2].RequestID {
		t.Error("the two records of one call do not belong together")
	}
	if e := events[3]; e.ErrorCode != "AccessDenied" || !strings.Contains(e.ErrorMessage, "is not authorized to perform: sts:AssumeRole") ||
		e.ResponseElements != nil || e.RecipientAccountID != "123456789012" {
		t.Errorf("the refusal: %+v", e)
	}
	text, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range s.Secrets() {
		if strings.Contains(string(text), secret) && !strings.HasPrefix(secret, "ASIA") {
			t.Error("a secret is in the events")
		}
	}
}

const assumedSpoke = `"eventTime":"TIME","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"UA",` +
	`"requestParameters":{"durationSeconds":3600,"roleArn":"arn:aws:iam::222222222222:role/deploy-staging","roleSessionName":"gh-1-1","sourceIdentity":"octocat",` +
	`"tags":[{"key":"GitHub","value":"Actions"}],"transitiveTagKeys":["GitHub"]},` +
	`"responseElements":{"assumedRoleUser":{"arn":"arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1","assumedRoleId":"ROLE:gh-1-1"},` +
	`"credentials":{"accessKeyId":"KEY","expiration":"WHEN"},"packedPolicySize":3,"sourceIdentity":"octocat"},` +
	`"requestID":"ID","eventID":"ID","readOnly":true,"resources":[{"ARN":"arn:aws:iam::222222222222:role/deploy-staging","accountId":"222222222222","type":"AWS::IAM::Role"}],` +
	`"eventType":"AwsApiCall","managementEvent":true,`

var unsettled = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`), "TIME"},
	{regexp.MustCompile(`[A-Z][a-z]{2} [0-9]+, 20[0-9]{2}, [0-9]+:[0-9:]{5} [AP]M`), "WHEN"},
	{regexp.MustCompile(`ASIA[A-Z2-7]{16}`), "KEY"},
	{regexp.MustCompile(`AROA[A-Z2-7]{17}`), "ROLE"},
	{regexp.MustCompile(`"userAgent":"[^"]+"`), `"userAgent":"UA"`},
}

func settled(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, u := range unsettled {
		text = u.pattern.ReplaceAllString(text, u.text)
	}
	return text
}
