"""Training of the two checkpoints of ``weights=tiny`` on drawn shapes: a Qwen2.5-VL that captions, an LTX-Video VAE."""
