// Package hubspokechain carries this action's action.yml inside hubspoke-lab, which reads the action's inputs from it.
package hubspokechain

import _ "embed"

// ActionYAML is the text of action.yml.
//
//go:embed action.yml
var ActionYAML []byte
