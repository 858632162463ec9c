"""Amortised posteriors: a network is trained once, and answers for every SED."""
