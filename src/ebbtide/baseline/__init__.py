"""What is usual: statistics that merge, as pure functions over columns."""
