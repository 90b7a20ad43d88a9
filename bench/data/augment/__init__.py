"""Strong augmentation of images: operations on one image, views of it by number, and mixtures of a batch's images."""
