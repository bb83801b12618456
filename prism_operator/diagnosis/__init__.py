"""Why an object is not Ready: pure, from what was read of it to causes in order."""
