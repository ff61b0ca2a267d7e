package storm

import "context"

func RunProcesses(ctx context.Context, o Options) (Summary, error) { return Summary{}, nil }
func RunCalls(ctx context.Context, o Options) (Summary, error)     { return Summary{}, nil }
