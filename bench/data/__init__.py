"""What inputs are read into: labelled sets, images, tokenised text."""
