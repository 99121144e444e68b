"""Generated pictures of shapes, their captions, and a judge of what is true of them."""
