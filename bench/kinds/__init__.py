"""What tasks ask of networks: one file a kind. Head, losses, decoding and checks of that kind, and no other place's."""
