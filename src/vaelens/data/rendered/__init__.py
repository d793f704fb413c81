"""Datasets rendered on demand, shapes after dSprites and a room after 3DShapes, by our own ray caster."""
