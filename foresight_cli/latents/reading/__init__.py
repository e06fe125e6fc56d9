"""Reading latents back: whole entries, chosen rows, slices and sketches."""
