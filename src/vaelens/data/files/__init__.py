"""Official files on this machine: where they come from, lie and are kept; downloads, checks, and the cache."""
