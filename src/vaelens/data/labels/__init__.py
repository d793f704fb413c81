"""Labels of images: a column, a frame of columns as the user has it, their ranks, and the search for images by them."""
