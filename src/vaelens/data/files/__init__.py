"""Official files on this machine, with where they come from, how they are checked, and what is kept of them."""
