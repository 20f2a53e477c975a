"""The English instruction set for real models: templates, topics, and a verifier for each."""
