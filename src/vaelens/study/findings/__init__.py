"""The findings of a study, which are the paper's four claims and what goes beyond them, judged on the tidy table alone.

Every verdict is by a rule that stands in `rules`, and every number can be computed again from the table by hand.
"""
