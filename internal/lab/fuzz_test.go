package lab_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
)

// FuzzSTS sends what nobody was given credentials for: whatever it is, STS refuses it, with an error of
// AWS's form and a request id.
func FuzzSTS(f *testing.F) {
	const scope = "AWS4-HMAC-SHA256 Credential=ASIAAAAAAAAAAAAAAAAA/20261124/us-east-1/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature="
	f.Add("Action=GetCallerIdentity&Version=2011-06-15", scope+strings.Repeat("0", 64), "20261124T000000Z")
	f.Add("Action=AssumeRole&Version=2011-06-15&Tags.member.1.Key=a&Tags.member.3.Key=b&RoleArn=x", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "")
	f.Add("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=gh-1-1&RoleArn="+hubRole+"&WebIdentityToken=e30.e30.e30", "", "")
	f.Add("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&DurationSeconds=-1&PolicyArns.member.1.arn=%00", "", "")
	f.Add("%", "=", "T")
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		f.Fatal(err)
	}
	handler := lab.New(world, lab.Options{}).STS()
	f.Fuzz(func(t *testing.T, body, authorization, date string) {
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", authorization)
		request.Header.Set("X-Amz-Date", date)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code < 400 || recorder.Code >= 500 {
			t.Errorf("status %d", recorder.Code)
		}
		if !strings.HasPrefix(recorder.Body.String(), "<ErrorResponse ") || recorder.Header().Get("x-amzn-RequestId") == "" {
			t.Errorf("%v %s", recorder.Header(), recorder.Body)
		}
	})
}
