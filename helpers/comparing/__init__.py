"""What an answer depends on: combinations of parameters, a study of each, and how much each choice moves."""
