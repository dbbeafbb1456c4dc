"""Image models of timm and torchvision: found, built, exported."""
