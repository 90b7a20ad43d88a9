"""Where inputs come from: sources, labelled sets, images, tokenised text, augmentation."""
