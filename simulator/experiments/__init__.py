"""Many runs of one scenario: variants, seeds, and what may be concluded from them."""
