"""Labels of images, as columns of the user's table, as ranks, and in the search for images by them."""
