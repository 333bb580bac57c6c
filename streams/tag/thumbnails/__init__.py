"""Small pictures of images: made while these are decoded, kept in the object store, never told of in vain."""
