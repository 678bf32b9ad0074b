package cli

import "context"

func (s *shell) interact(ctx context.Context) int { return s.script(ctx) }
