"""Networks of amortised posteriors in runs: found, checked, trained once."""
