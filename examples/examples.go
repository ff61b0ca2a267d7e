// Package examples carries the example policies and the lab's world inside the binaries that use
// them, so that the demo runs from any directory. The files are the ones that a user deploys.
package examples

import "embed"

// Lab holds lab/world.json and the policy files that it names.
//
//go:embed lab/*.json
var Lab embed.FS
