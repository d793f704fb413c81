"""The user's own images and labels: arrays, array files, folders of pictures, collections."""
