"""The JSON API and the pages on it: from a finding to a decision in a minute."""
