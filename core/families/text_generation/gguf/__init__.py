"""A model that writes as a GGUF file for llama.cpp and Ollama, checked against the bundle that it was made of."""
