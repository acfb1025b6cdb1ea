"""From clusterings to a verdict: curves, references, the table of criteria, the rule and its sentences."""
