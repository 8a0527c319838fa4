"""Loading, heads, LoRA, reference sharing; everything a checkpoint needs, for any transformers causal LM."""
