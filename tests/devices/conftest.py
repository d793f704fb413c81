"""What is run in a process of its own, because a device once made known to PyTorch stays so."""

collect_ignore = ["elsewhere.py", "sweeps.py"]
