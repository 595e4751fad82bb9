"""What only a GPU can show; needs torch, lightning, numpy, safetensors, pydantic, yaml, pytest."""
