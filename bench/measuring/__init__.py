"""Size, speed and energy of networks, and the machine they were measured on."""
