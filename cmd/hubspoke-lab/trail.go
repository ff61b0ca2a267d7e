package main

import (
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/lab"
)

// trail returns CloudTrail's records, one per call: a call across accounts is recorded in both, under one shared event ID.
func trail(events []lab.Event) string {
	var lines []string
	seen := map[string]bool{}
	for _, e := range events {
		if e.SharedEventID != "" && seen[e.SharedEventID] {
			continue
		}
		seen[e.SharedEventID] = true
		who := e.UserIdentity.ARN
		if who == "" {
			who = e.UserIdentity.UserName
		}
		lines = append(lines, fmt.Sprintf("%s %s by %s", e.EventTime, e.EventName, who))
		if role, ok := e.RequestParameters["roleArn"]; ok {
			lines = append(lines, fmt.Sprintf("    role  %v", role))
		}
		if tags, ok := e.RequestParameters["tags"].([]map[string]string); ok {
			var pairs []string
			for _, tag := range tags {
				pairs = append(pairs, tag["key"]+"="+tag["value"])
			}
			lines = append(lines, "    tags  "+strings.Join(pairs, ", "))
		}
		if e.ErrorCode != "" {
			lines = append(lines, fmt.Sprintf("    %s: %s", e.ErrorCode, e.ErrorMessage))
		}
	}
	return strings.Join(lines, "\n")
}
