"""Named protocols, metrics with intervals, paired comparison, the report."""
