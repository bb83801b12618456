"""Real clusters for tests: a control plane without Docker, or kind."""
