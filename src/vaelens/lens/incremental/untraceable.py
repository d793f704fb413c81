"""Reasons why a part of a model can't be traced into steps."""


class Untraceable(Exception):
    """Says why a part can't be traced into steps, in a clause that follows "because"."""


class Mixing(Untraceable):
    """Says which step mixes the images of a batch, in a clause like the others."""
