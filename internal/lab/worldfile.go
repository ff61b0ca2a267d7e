package lab

// The format of the files; README.md next to the world describes each field.
type (
	worldFile struct {
		Regions         []string           `json:"regions"`
		Accounts        []accountFile      `json:"accounts"`
		ManagedPolicies map[string]string  `json:"managedPolicies"`
		Jobs            map[string]jobFile `json:"jobs"`
	}
	accountFile struct {
		ID              string         `json:"id"`
		Name            string         `json:"name"`
		Partition       string         `json:"partition"`
		Organization    string         `json:"organization"`
		OIDCProviders   []providerFile `json:"oidcProviders"`
		SCPs            []string       `json:"scps"`
		DisabledRegions []string       `json:"disabledRegions"`
		Roles           []roleFile     `json:"roles"`
	}
	providerFile struct {
		URL       string   `json:"url"`
		ClientIDs []string `json:"clientIds"`
	}
	roleFile struct {
		Name               string            `json:"name"`
		Path               string            `json:"path"`
		Trust              string            `json:"trust"`
		Policies           []string          `json:"policies"`
		Boundary           string            `json:"boundary"`
		MaxSessionDuration int               `json:"maxSessionDuration"`
		Tags               map[string]string `json:"tags"`
		Recreated          bool              `json:"recreated"`
	}
)
