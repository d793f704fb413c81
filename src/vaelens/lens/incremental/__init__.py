"""Incremental execution of a part as a graph of steps, of which only those after an intervention run again.

Everything before it comes from a base run that was kept. No hook is attached here, and no module is changed.
"""
