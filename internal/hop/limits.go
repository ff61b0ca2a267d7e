package hop

import (
	"time"

	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/transport"
)

// Limits of a hop. Source, where none is named: the API model of AssumeRole and AssumeRoleWithWebIdentity.
const (
	HubDuration = 900 * time.Second // of the hub's session: the shortest that AWS allows, since it is used for seconds
	MinDuration = 900 * time.Second // of a spoke's session
	// MaxDuration is that of a chained session, whatever MaxSessionDuration the role has.
	// Source: IAM User Guide, "Methods to assume a role", role chaining.
	MaxDuration = 3600 * time.Second

	MaxPolicy     = 2048 // characters of the inline and the managed session policies together
	MaxPolicyARNs = 10   // managed session policies
	MaxTags       = 50   // session tags, and transitive keys
	MaxTagKey     = 128  // characters
	MaxTagValue   = 256  // characters

	MaxSpokes            = 500       // of one plan; a choice of this project
	MaxAttempts          = 20        // of one call; a choice of this project
	MaxTimeout           = time.Hour // of a whole hop: one that takes longer than its session is of no use
	maxNoProxy           = 4096      // bytes
	maxConcurrent        = 50        // calls at a time, each on a connection of its own
	maxThrottleDoublings = 4         // doublings of the wait after throttling: up to 16 s, and a random part of as much
	maxMessage           = 2000      // bytes of AWS's message in an error; the longest name two ARNs and an action, some 500
	maxCode              = 256       // bytes of a code, a request id or an ARN in an error
	maxRolePath          = 512       // characters; IAM's CreateRole
	maxRoleName          = 64        // characters; IAM's CreateRole
)

// What the fields of a Plan may hold. The limit of an audience is IAM's for a client id of an OIDC provider.
var (
	SessionName = pattern.New(`^[A-Za-z0-9_+=,.@-]+$`, 2, 64, "2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -") // and a source identity
	ExternalID  = pattern.New(`^[A-Za-z0-9_+=,.@:/-]+$`, 2, 1224, "2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -")
	Audience    = pattern.New(`^[\x21-\x7e]+$`, 1, 255, "1 to 255 printable ASCII characters without a space")
	PolicyARN   = pattern.New(`^arn:[a-z-]+:iam::(aws|[0-9]{12}):policy/[\x21-\x7e]+$`, 20, 2048,
		"the ARN of a managed policy (arn:aws:iam::aws:policy/NAME or arn:aws:iam::ACCOUNT:policy/NAME)")
	policyText = pattern.New(`^[\t\n\r\x{20}-\x{FF}]+$`, 1, 4*MaxPolicy, "a policy")
)

// What AWS returns. Anything else would end up in files that the runner and SDKs parse, and a shorter value would hide
// half of the log once it is masked.
var (
	AccessKeyID = pattern.New(`^[A-Za-z0-9_]+$`, 16, 128, "an access key id")              // the API model's accessKeyIdType
	KeyMaterial = pattern.New(`^[\x21-\x7e]+$`, 16, transport.MaxResponse, "key material") // opaque, but printable and on one line
)
