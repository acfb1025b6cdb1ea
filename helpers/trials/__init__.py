"""The criteria on trial: problems whose answer is known, asking the criteria, judging their answers."""
