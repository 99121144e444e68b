"""The report, and the comparison of two runs: pages of one file, which need no network."""
