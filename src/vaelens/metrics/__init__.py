"""Scores of representations and of interventions, one metric a file."""
