"""The user's own images and labels, in arrays, array files, folders of pictures, and collections."""
