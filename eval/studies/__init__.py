"""Studies of a trained generator's latents: the pictures and the numbers of each."""
