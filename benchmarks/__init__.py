"""How fast is it here? Runnable by anyone, with nothing to download."""
